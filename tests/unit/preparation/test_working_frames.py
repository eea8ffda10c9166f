import numpy as np
import pytest
import torch
from PIL import Image

from sequal.files.imaging import read_frame
from sequal.preparation.working_frames import WorkingFrames
from sequal.preparation.working_grid import frame_to_working
from sequal.study.items import Item
from unit.synthetic_study import band, settings, write_image


@pytest.fixture
def items(tmp_path):
    rng = np.random.default_rng(0)
    return [
        Item(f"im{i}", write_image(tmp_path / f"im{i}.nii.gz", band(rng, (96, 64), frames)[0]))
        for i, frames in enumerate([1, 3, 1])
    ]


def test_frames_are_normalised_on_the_working_grid(items):
    frames = WorkingFrames(settings())
    frame = frames.get(items[1])
    assert frame.pixels.shape == (3, 1, 48, 64)
    assert frame.pixels.dtype == torch.float16
    assert frame.frames == 3
    assert frame.grid.native == (96, 64)
    assert frame.pixels.min() >= 0.0
    assert frame.pixels.max() <= 1.0


def test_a_served_frame_and_a_scored_frame_are_the_same_numbers(items):
    stored = WorkingFrames(settings()).get(items[0])
    served = frame_to_working(read_frame(items[0].image), settings())
    assert torch.equal(stored.pixels, served.pixels)
    assert stored.grid == served.grid


def test_an_unreadable_image_is_named_once(items, tmp_path, caplog):
    (tmp_path / "bad.png").write_bytes(b"not an image")
    bad = Item("bad", tmp_path / "bad.png")
    frames = WorkingFrames(settings())
    assert frames.readable([items[0], bad, items[2]]) == [items[0], items[2]]
    assert frames.get(bad) is None
    assert frames.unreadable.keys() == {"bad"}
    assert "bad.png" in frames.unreadable["bad"]
    assert sum("bad" in record.getMessage() for record in caplog.records) == 1


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that were read."""
    names = []

    def counted(path):
        names.append(path.name)
        return read_frame(path)

    monkeypatch.setattr("sequal.preparation.working_frames.read_frame", counted)
    return names


def test_the_cache_holds_what_it_may_and_drops_the_least_used(items, reads):
    still = 48 * 64 * 2
    frames = WorkingFrames(settings(), cache_bytes=4 * still)
    for item in (items[0], items[1], items[0], items[2], items[0], items[1]):
        assert frames.get(item) is not None
    # The clip of three frames is the least used when the fifth frame comes, and has to be read again.
    assert reads == ["im0.nii.gz", "im1.nii.gz", "im2.nii.gz", "im1.nii.gz"]


def test_an_image_that_was_just_read_is_not_read_again(items, reads):
    frames = WorkingFrames(settings(), cache_bytes=0)
    frames.get(items[0])
    image = frames.image(items[0])
    assert reads == ["im0.nii.gz"]
    np.testing.assert_array_equal(image.pixels, read_frame(items[0].image).pixels)
    assert frames.image(items[1]).grid == (96, 64, 3)
    items[2].image.unlink()
    assert frames.image(items[2]) is None


@pytest.mark.parametrize("bits", [8, 16])
def test_a_picture_of_any_depth(tmp_path, bits):
    pixels, _ = band(np.random.default_rng(0))
    array = pixels[:, :, 0].T
    image = Image.fromarray(array.astype(np.uint8) if bits == 8 else (array * 257).astype(np.uint16))
    image.save(tmp_path / "a.png")
    frame = WorkingFrames(settings()).get(Item("a", tmp_path / "a.png"))
    assert frame.grid.native == (96, 64)
    bright = frame.pixels[0, 0, :, 30:38].float().mean()
    assert bright > 3 * frame.pixels[0, 0, :, :20].float().mean()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 70)])
def test_frames_smaller_than_the_stride(tmp_path, size):
    item = Item("a", write_image(tmp_path / "a.nii.gz", np.arange(np.prod(size)).reshape(*size, 1)))
    frame = WorkingFrames(settings()).get(item)
    assert frame.grid.native == size
    assert frame.pixels.isfinite().all()
