import copy
import math
from itertools import repeat

import pytest
import torch
from ignite.engine import Events
from torch import nn

from sequal.errors import CheckpointError
from sequal.learning.batch import Batch
from sequal.learning.losses import SupervisedLoss, confident_disagreement_loss
from sequal.learning.losses.cross_pseudo import CrossPseudoLoss
from sequal.learning.methods import METHODS
from sequal.learning.methods.cross import CrossPair, CrossTrainer
from sequal.learning.networks import Architecture
from sequal.prediction import check_fits, checkpoint_payload, load_pair
from sequal.settings import METHOD_NAMES, Settings
from sequal.study.state import load_checkpoint, save_checkpoint
from unit.synthetic_study import settings

CPU = torch.device("cpu")
FIRST, SECOND = Architecture("unet"), Architecture("segresnet")


def _pair(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pair = CrossPair(FIRST, SECOND)
    for module in pair.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # passes are compared
    return pair


def _batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    views = [torch.rand(3, 1, 64, 64, generator=generator) for _ in range(2)]
    label = torch.randint(0, 2, (3, 1, 64, 64), generator=generator).to(torch.uint8)
    label[2] = 255
    return Batch(*views, label)


def _run(pair, **changes):
    values = {"epochs": 1, "iterations_per_epoch": 1, "method": "cross", "extent_weight": 0, **changes}
    trainer, outputs = CrossTrainer(pair, repeat(_batch()), settings(**values), CPU), []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(dict(engine.state.output)))
    trainer.run()
    return trainer, outputs


def test_every_file_of_the_room_is_a_method_under_its_own_name():
    assert tuple(METHODS) == METHOD_NAMES == ("sequal", "cross")
    assert all(method.pair.method == name for name, method in METHODS.items())


def test_the_mean_of_both_is_shown_and_both_are_compared():
    pair, x = _pair().eval(), torch.rand(1, 1, 64, 64)
    first, second = pair.compared
    assert (first, second) == tuple(pair.members.values())
    expected = (first(x).softmax(1) + second(x).softmax(1)) / 2
    torch.testing.assert_close(pair.shown(x).softmax(1), expected)
    assert type(first) is not type(second)


def test_the_first_loss_is_the_sum_of_its_parts():
    pair, twin = _pair(), _pair()
    _, (out,) = _run(pair, cross_weight=2.0, contrast_weight=0, disagreement_weight=3.0, dice_weight=0.5)
    batch = _batch()
    twin.train()
    with torch.no_grad():
        first, second = (network(batch.view) for network in twin.learners)
        supervised = sum(SupervisedLoss(0.5)(logits, batch.label).item() for logits in (first, second))
        disagreement = confident_disagreement_loss(first, second, batch.label).item()
        cross = CrossPseudoLoss(0.8)(first, second).item()
    assert out["supervised"] == pytest.approx(supervised, rel=1e-4)
    assert out["disagreement"] == pytest.approx(disagreement, rel=1e-3, abs=1e-6)
    assert out["cross"] == pytest.approx(cross, rel=1e-3)
    assert out["weight"] == pytest.approx(math.exp(-5))
    assert disagreement > 0.01
    expected = supervised + math.exp(-5) * (3 * disagreement + 2 * cross)
    assert out["loss"] == pytest.approx(expected, rel=1e-4)
    shown = (first.softmax(1) + second.softmax(1)) / 2
    predicted, truth = shown.argmax(1, keepdim=True) == 1, batch.label == 1
    assert out["intersection"] == int((predicted & truth).sum())


@pytest.mark.parametrize(("ramp", "first"), [("fraction", math.exp(-5)), ("paper", 1.0)])
def test_disagreement_is_ramped_unless_as_published(ramp, first):
    _, (out,) = _run(_pair(), ramp=ramp, disagreement_weight=3.0, cross_weight=0, contrast_weight=0)
    assert out["disagreement"] > 0.01
    assert out["loss"] == pytest.approx(out["supervised"] + 3 * first * out["disagreement"], rel=1e-4)


def test_each_part_can_be_left_out():
    for part in ("cross_weight", "contrast_weight", "disagreement_weight"):
        _, (out,) = _run(_pair(), **{part: 0})
        assert out[part.removesuffix("_weight")] == 0.0
    _, (out,) = _run(_pair())
    assert all(out[part] > 0 for part in ("cross", "contrast"))
    _, (plain,) = _run(_pair(), entropy_quantile=1.0, kl_weight=False)
    assert plain["cross"] != pytest.approx(out["cross"])


def test_both_networks_learn_each_by_its_own_optimiser():
    pair = _pair()
    before = {name: copy.deepcopy(network.state_dict()) for name, network in pair.members.items()}
    trainer, outputs = _run(pair, epochs=2, iterations_per_epoch=6, learning_rate=0.005)
    given = [{id(p) for group in optimizer.param_groups for p in group["params"]} for optimizer in trainer.optimizers]
    assert given == [{id(p) for p in network.parameters()} for network in (*pair.learners, pair.branch)]
    assert pair.updates == 12
    assert sum(o["supervised"] for o in outputs[-3:]) < sum(o["supervised"] for o in outputs[:3])
    for name, network in pair.members.items():
        assert any(not torch.equal(before[name][key], value) for key, value in network.state_dict().items())


def test_the_published_settings_of_the_method():
    published = Settings.from_conf({"method": "cross", "models": "volume", "labels": "left_atrium", "preset": "paper"})
    assert (published.network, published.second_network) == ("vnet", "resnet_vnet")
    assert published.epochs * published.iterations_per_epoch == 6000
    assert published.volume_patch_voxels == (112, 112, 80)
    assert published.trigger == "never"
    given = Settings.from_conf({"method": "cross", "preset": "paper", "network": "unet"})
    assert given.network == "unet"
    assert given.override({"preset": "default"}).optimizer == Settings.optimizer
    assert Settings.from_conf({"preset": "paper"}).network == Settings.network


def test_the_learning_rate_falls_to_a_tenth_every_2500_steps():
    changes = settings(method="cross", schedule="step", optimizer="sgd", learning_rate=0.01)
    trainer = CrossTrainer(_pair(), [_batch()], changes, CPU)
    rates = []
    for _ in range(5001):
        rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        trainer.optimizers[0].step()
        trainer.schedules[0].step()
    assert [rates[step] for step in (0, 2499, 2500, 5000)] == pytest.approx([0.01, 0.01, 0.001, 0.0001])


def test_without_labels_the_networks_still_teach_each_other():
    unlabelled = _batch()
    unlabelled.label.fill_(255)
    pair = _pair()
    changes = settings(method="cross", epochs=1, iterations_per_epoch=1, extent_weight=0, ramp_fraction=0.1)
    trainer = CrossTrainer(pair, repeat(unlabelled), changes, CPU)
    trainer.run()
    out = trainer.state.output
    assert (out["supervised"], out["intersection"], out["union"]) == (0.0, 0, 0)
    assert math.isfinite(out["loss"])
    assert out["cross"] > 0


def test_a_checkpoint_comes_back_whole(tmp_path):
    pair = _pair().eval()
    pair.after_step()
    save_checkpoint(tmp_path / "c.pt", checkpoint_payload(pair, {"iterations": pair.updates}))
    loaded, x = load_pair(tmp_path / "c.pt", CPU), torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(loaded.shown(x), pair.shown(x))
    assert loaded.pair.architectures == pair.architectures
    assert (loaded.pair.updates, loaded.pair.symmetric) == (1, True)
    assert loaded.reference is loaded.pair.members["first"]


def test_a_checkpoint_of_another_method_or_network_is_named(tmp_path):
    save_checkpoint(tmp_path / "c.pt", checkpoint_payload(_pair(), {}))
    checkpoint = load_checkpoint(tmp_path / "c.pt")
    check_fits(checkpoint, Settings(method="cross", second_network="segresnet"), "c.pt")
    with pytest.raises(CheckpointError, match=r"of the method 'sequal', got 'cross'\. Set `method` to cross"):
        check_fits(checkpoint, Settings(), "c.pt")
    with pytest.raises(CheckpointError, match="hold unet and dynunet, got unet and segresnet"):
        check_fits(load_pair(tmp_path / "c.pt", CPU), Settings(method="cross"), "c.pt")


def test_two_networks_for_other_images_do_not_go_together():
    with pytest.raises(CheckpointError, match="for the same images and classes"):
        CrossPair.create({"first": FIRST, "second": Architecture("segresnet", classes=3)}, 0.9)


def test_the_anchor_holds_both(tmp_path):
    pair, start = _pair(0), _pair(1)
    key = next(iter(dict(pair.learners[1].named_parameters())))
    mine, other = (dict(one.learners[1].named_parameters())[key].clone() for one in (pair, start))
    pair.move_towards(start, 0.25)
    torch.testing.assert_close(dict(pair.learners[1].named_parameters())[key], 0.75 * mine + 0.25 * other)


def test_streams_that_go_apart_do_not_share_their_batch_statistics():
    """Whatever the unlabelled patches look like, the logits of the labelled ones are the same."""
    batch = _batch()
    found = []
    for offset in (0.0, 5.0):
        view = batch.view.clone()
        view[2] += offset
        trainer = CrossTrainer(_pair(), [batch], settings(method="cross", contrast_weight=0), CPU, streams_apart=True)
        logits, features = trainer.forward(trainer.pair.learners[0], view, batch.label)
        assert features.numel() == 0
        found.append(logits)
    torch.testing.assert_close(found[0][:2], found[1][:2])
    assert not torch.allclose(found[0][2], found[1][2])


def test_features_come_in_the_order_of_the_patches_when_streams_go_apart():
    batch = _batch()
    batch.label[0], batch.label[2] = 255, 0
    outputs = {}
    for apart in (False, True):
        trainer = CrossTrainer(_pair(), [batch], settings(method="cross"), CPU, streams_apart=apart)
        trainer.pair.eval()  # with kept statistics both ways are the same
        outputs[apart] = trainer.forward(trainer.pair.learners[0], batch.view, batch.label, trainer._layers[0])
    for together, separate in zip(*outputs.values(), strict=True):
        torch.testing.assert_close(together, separate)
