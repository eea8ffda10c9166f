import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sequal.learning.networks import Architecture, create_network
from sequal.prediction import image_features
from sequal.prediction.features import gradient_embedding, pooled
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import NETWORK_NAMES, Settings
from sequal.study.items import Item
from unit.synthetic_study import band, settings, write_image

CPU = torch.device("cpu")


def network_of(name):
    """Random weights, but batch norm that has seen frames: without it a deep encoder's maps vanish."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_network(Architecture(name))
        with torch.no_grad():
            for _ in range(10):
                network(torch.rand(2, 1, 64, 64))
    return network.eval()


def features_of(items, network):
    return image_features(items, network, WorkingFrames(settings(), cache_bytes=0), CPU)


@pytest.fixture
def clip(tmp_path):
    pixels = band(np.random.default_rng(0), frames=5)[0]
    stills = [Item(f"f{f}", write_image(tmp_path / f"f{f}.nii.gz", pixels[:, :, f : f + 1])) for f in range(5)]
    return Item("clip", write_image(tmp_path / "clip.nii.gz", pixels)), stills


def test_gradient_worked_by_hand():
    """Two pixels, h = (1, 2) and (3, 0); p = (0.75, 0.25) and (0.4, 0.6).

    p − onehot: (−0.25, 0.25) and (0.4, −0.4). Class 0: (−0.25 · 1 + 0.4 · 3, −0.25 · 2) / 2; class 1: the negative.
    """
    logits = torch.tensor([[0.75, 0.4], [0.25, 0.6]]).log().view(1, 2, 2, 1)
    h = torch.tensor([[1.0, 3.0], [2.0, 0.0]]).view(1, 2, 2, 1)
    embedding = gradient_embedding(h, logits, torch.ones(1, 1, 2, 1))
    torch.testing.assert_close(embedding, torch.tensor([[0.475, -0.25, -0.475, 0.25]]))


def test_padding_does_not_count():
    logits, h = torch.randn(2, 2, 6, 4), torch.randn(2, 3, 6, 4)
    valid = torch.zeros(1, 1, 6, 4)
    valid[:, :, :4, :3] = 1
    torch.testing.assert_close(
        gradient_embedding(h, logits, valid),
        gradient_embedding(h[:, :, :4, :3], logits[:, :, :4, :3], torch.ones(1, 1, 4, 3)),
    )


def test_a_coarser_layer_sums_over_its_cells():
    logits, h = torch.randn(1, 2, 8, 6), torch.randn(1, 3, 4, 3)
    fine = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    valid = torch.ones(1, 1, 8, 6)
    torch.testing.assert_close(gradient_embedding(h, logits, valid), gradient_embedding(fine, logits, valid))


def test_gradient_against_autograd(tmp_path):
    """The last layer of this network is a 1×1 convolution: its embedding is its weights' gradient, exactly."""
    network = network_of("basic_unet")
    item = Item("a", write_image(tmp_path / "a.nii.gz", band(np.random.default_rng(1), size=(90, 50))[0]))
    frame = WorkingFrames(settings()).get(item)
    logits = frame.grid.crop(network(frame.grid.pad(frame.pixels.float())))
    functional.cross_entropy(logits, logits.argmax(dim=1)).backward()
    expected = network.final_conv.weight.grad.flatten().numpy()
    found = features_of([item], network)["a"].gradient
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    assert np.abs(found).max() > 1e-3


def test_pooling_by_hand():
    features = torch.tensor([[1.0, 5.0], [9.0, 100.0]]).view(1, 1, 2, 2)
    valid = torch.zeros(1, 1, 4, 4)
    valid[:, :, :2, :] = 1  # the first row whole
    valid[:, :, 2, :2] = 1  # half of the third cell
    assert pooled(features, valid).item() == pytest.approx((1 + 5 + 9 * 0.5) / 2.5)
    assert pooled(features, torch.ones(1, 1, 4, 4)).item() == pytest.approx(features.mean().item())


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_every_network_tells_images_apart(name, clip):
    _, stills = clip
    found = features_of(stills[:2], network_of(name))
    first, second = found["f0"], found["f1"]
    for kind in ("bottleneck", "gradient"):
        a, b = getattr(first, kind), getattr(second, kind)
        assert a.dtype == np.float32
        assert a.ndim == 1
        assert a.shape == b.shape
        assert np.isfinite(a).all()
        assert not np.array_equal(a, b)
    assert len(first.gradient) % 2 == 0


def test_a_clip_is_the_mean_of_its_frames(clip):
    whole, stills = clip
    network = network_of("unet")
    found = features_of([whole, *stills], network)
    for kind in ("bottleneck", "gradient"):
        mean = np.mean([getattr(found[still.id], kind) for still in stills], axis=0)
        np.testing.assert_allclose(getattr(found["clip"], kind), mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["unet", "dynunet", "vnet"])
def test_networks_tell_volumes_apart(name, tmp_path):
    network = create_network(Architecture(name, spatial_dims=3, classes=3, filters=4))
    found = features_of_volumes(network, tmp_path, "32,32,16")
    for kind in ("bottleneck", "gradient"):
        one, other = (getattr(found[image], kind) for image in ("a", "b"))
        assert one.ndim == 1
        assert np.isfinite([one, other]).all()
        assert not np.array_equal(one, other)


def test_windows_of_a_volume_count_each_voxel_once(tmp_path):
    """A network that sees one voxel at a time gives the same vectors, whatever the windows."""
    network = nn.Sequential(nn.Conv3d(1, 4, 1), nn.ReLU(), nn.Conv3d(4, 3, 1))
    whole, parts = (features_of_volumes(network, tmp_path, patch) for patch in ("64,64,64", "32,16,16"))
    for kind in ("bottleneck", "gradient"):
        np.testing.assert_allclose(getattr(parts["a"], kind), getattr(whole["a"], kind), rtol=1e-4, atol=1e-7)


def features_of_volumes(network, folder, patch):
    of_volumes = {"models": "volume", "labels": "a,b", "volume_spacing": "1,1,1", "volume_patch": patch}
    items = []
    for seed, image in enumerate("ab"):
        voxels = np.random.default_rng(seed).random((40, 36, 20), np.float32)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / f"{image}.nii.gz")
        items.append(Item(image, folder / f"{image}.nii.gz"))
    return image_features(items, network, WorkingFrames(Settings.from_conf(of_volumes)), CPU)


def test_unreadable_images_are_left_out_and_the_mode_is_kept(tmp_path, clip):
    _, stills = clip
    (tmp_path / "bad.png").write_bytes(b"not an image")
    network = network_of("unet").train()
    frames = WorkingFrames(settings())
    seen = []
    bad = Item("bad", tmp_path / "bad.png")
    found = image_features([bad, *stills[:2]], network, frames, CPU, lambda image, _: seen.append(image))
    assert list(found) == seen == ["f0", "f1"]
    assert frames.unreadable.keys() == {"bad"}
    assert network.training
    assert features_of([], network) == {}


def test_of_a_volume_the_vectors_are_those_of_its_voxels():
    """A volume of one slice more gives what a frame of the same pixels gives, in every axis order."""
    rng = torch.Generator().manual_seed(0)
    features, logits = torch.rand(2, 5, 4, 6, generator=rng), torch.randn(2, 3, 8, 12, generator=rng)
    valid = (torch.rand(1, 1, 8, 12, generator=rng) > 0.3).float()
    flat = pooled(features, valid), gradient_embedding(features, logits, valid)
    deep = [x.repeat_interleave(2, dim=-1).view(*x.shape, 2) for x in (features, logits, valid)]
    torch.testing.assert_close(pooled(deep[0], deep[2]), flat[0])
    torch.testing.assert_close(gradient_embedding(*deep), flat[1])
