import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import nn

from sequal.learning.networks import Architecture, create_network, dropout_layers
from sequal.prediction.mc_dropout import PASSES, bald_of_frames, dropout_dice, pairwise_dice
from sequal.preparation.volume_grid import VolumeGrid
from sequal.preparation.working_grid import WorkingGrid

CPU = torch.device("cpu")
GRID = WorkingGrid((50, 40), (50, 40))


class Tiny(nn.Module):
    """Batch norm, a convolution and dropout before the last layer."""

    def __init__(self, p=0.5):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.conv = nn.Conv2d(1, 8, 1)
        self.dropout = nn.Dropout(p)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        return self.last(self.dropout(self.conv(self.norm(x)).relu()))


@pytest.fixture
def tiny():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Tiny()


def frames(count, seed=0):
    return torch.rand(count, 1, 50, 40, generator=torch.Generator().manual_seed(seed)).half()


def test_against_passes_one_after_the_other(tiny):
    """Mutual information of the same masks, with numpy on the cropped frame."""
    pixels = frames(1)
    tiny.eval()
    tiny.dropout.train()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        padded = GRID.pad(pixels.float()).expand(4, -1, -1, -1)
        p = torch.cat([tiny(padded).softmax(1) for _ in range(PASSES // 4)])[:, :, :50, :40].double().numpy()
    expected = (entropy(p.mean(axis=0), axis=0) - entropy(p, axis=1).mean(axis=0)).mean()
    assert bald_of_frames(tiny, pixels, GRID, CPU, seed=3).item() == pytest.approx(expected, rel=1e-4)
    assert expected > 0


def test_a_volume_is_passed_in_windows():
    """A network that looks at one voxel says the same in windows as in one piece, but for the masks."""

    class Drops(nn.Module):
        def __init__(self):
            super().__init__()
            self.dropout = nn.Dropout(0.5)
            self.shapes = []

        def forward(self, x):
            self.shapes.append(tuple(x.shape[2:]))
            return self.dropout(torch.cat([x, 1 - x], dim=1) * 8)

    network = Drops()
    grid = VolumeGrid.of((40, 20, 20), np.eye(4), (1.0, 1.0, 1.0), (32, 16, 16), 16)
    sure = bald_of_frames(network, torch.zeros(1, 1, 40, 20, 20), grid, CPU, seed=1)
    unsure = bald_of_frames(network, torch.full((1, 1, 40, 20, 20), 0.5), grid, CPU, seed=1)
    assert set(network.shapes) == {(32, 16, 16)}
    assert sure.item() > 0
    assert unsure.item() > sure.item(), "dropout moves what lies in the middle from side to side"


def test_a_score_depends_neither_on_neighbours_nor_on_the_global_state(tiny):
    pixels = frames(3)
    together = bald_of_frames(tiny, pixels, GRID, CPU, seed=1)
    torch.manual_seed(99)
    alone = torch.cat([bald_of_frames(tiny, pixels[i : i + 1], GRID, CPU, seed=1) for i in (2, 1, 0)])
    assert together.dtype == torch.float64
    assert torch.equal(together, alone.flip(0))
    assert not torch.equal(together, bald_of_frames(tiny, pixels, GRID, CPU, seed=2))


def test_it_leaves_the_world_as_it_was(tiny):
    tiny.train()
    tiny.norm.eval()
    modes = [module.training for module in tiny.modules()]
    weights = {key: value.clone() for key, value in tiny.state_dict().items()}
    state = torch.get_rng_state()
    bald_of_frames(tiny, frames(2), GRID, CPU, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in tiny.modules()] == modes
    # Batch norm kept its statistics: it was in evaluation mode.
    assert all(torch.equal(value, weights[key]) for key, value in tiny.state_dict().items())


def test_masks_of_dropout_passes_are_compared_two_by_two(tiny):
    pixels, state = frames(2), torch.get_rng_state()
    found = dropout_dice(tiny, pixels, GRID, CPU, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert found.dtype == torch.float64
    assert all(0 <= value < 1 for value in found.tolist())
    assert torch.equal(dropout_dice(tiny, pixels.flip(0), GRID, CPU, seed=1), found.flip(0))
    tiny.dropout.p = 0.0
    assert dropout_dice(tiny, pixels, GRID, CPU, seed=1).tolist() == [1.0, 1.0]


def test_two_empty_masks_agree_and_one_alone_does_not():
    masks = torch.zeros(3, 2, 2, dtype=torch.bool)
    assert pairwise_dice(masks).item() == 1.0
    masks[0, 0] = True
    assert pairwise_dice(masks).item() == pytest.approx(1 / 3)


def test_only_dropout_is_in_training_mode(tiny):
    seen = []
    for name, module in tiny.named_children():
        module.register_forward_hook(lambda m, *_, name=name: seen.append((name, m.training)))
    bald_of_frames(tiny, frames(1), GRID, CPU, seed=0)
    assert set(seen) == {("norm", False), ("conv", False), ("dropout", True), ("last", False)}
    assert len(seen) == 4 * PASSES / 4


@pytest.mark.parametrize("name", ["segresnet", "basic_unet"])
def test_a_network_without_dropout_gives_nan_and_says_so(name, caplog):
    network = create_network(Architecture(name))
    assert dropout_layers([network]) == []
    scores = bald_of_frames(network, frames(2), GRID, CPU, seed=0)
    assert scores.shape == (2,)
    assert scores.isnan().all()
    assert "dropout" in caplog.text


def test_dropout_that_drops_nothing_is_none():
    assert dropout_layers([Tiny(p=0.0)]) == []


def test_the_default_network_has_dropout():
    network = create_network(Architecture("unet"))
    scores = bald_of_frames(network, frames(1), GRID, CPU, seed=0)
    assert np.isfinite(scores.item())
    assert scores.item() > 0
