"""Masks that are none, or are drawn in another way than a grey value on black."""

import numpy as np
import pytest
from PIL import Image

from sequal.files.imaging import read_label
from sequal.files.importing import ImportOptions, run_import
from unit.files.importing.sources import layer_mask, pixels, write_picture

LAYER = layer_mask(1)


@pytest.fixture
def source(tmp_path):
    write_picture(tmp_path / "source" / "a.png", pixels())
    (tmp_path / "source" / "masks").mkdir()
    return tmp_path / "source"


def imported(source, tmp_path, **options):
    """The report, and the label of the only image, (H, W); None without one."""
    studies = tmp_path / "studies"
    report = run_import(source, studies, ImportOptions(**options))
    label = studies / "labels" / "final" / "a.nii.gz"
    return report, read_label(label, (48, 40))[:, :, 0].T if label.exists() else None


def in_alpha(path):
    picture = Image.new("RGBA", (48, 40), (255, 255, 255, 0))
    picture.putalpha(Image.fromarray(LAYER * 255))
    picture.save(path)


def in_red(path):
    rows = np.zeros((40, 48, 3), np.uint8)
    rows[..., 0] = LAYER * 255
    Image.fromarray(rows).save(path)


def in_a_palette(path):
    picture = Image.fromarray(LAYER * 3).convert("P")
    picture.putpalette([0, 0, 0] * 3 + [9, 200, 30] + [0, 0, 0] * 252)
    picture.save(path)


def in_one_bit(path):
    Image.fromarray(LAYER * 255).convert("1").save(path)


def in_16_bits(path):
    Image.fromarray(LAYER.astype(np.uint16) * 255).save(path)


@pytest.mark.parametrize("draw", [in_alpha, in_red, in_a_palette, in_one_bit, in_16_bits])
def test_the_layer_is_found_however_it_is_drawn(source, tmp_path, draw):
    draw(source / "masks" / "a.png")
    report, label = imported(source, tmp_path)
    assert report.problems == []
    np.testing.assert_array_equal(label, LAYER)


def inverted(path):
    Image.fromarray((1 - LAYER) * 255).save(path)


def in_a_palette_of_another_order(path):
    picture = Image.fromarray(1 - LAYER).convert("P")
    picture.putpalette([255, 255, 255, 0, 0, 0] + [0] * 762)
    picture.save(path)


def filled(path):
    Image.fromarray(np.full((40, 48), 255, np.uint8)).save(path)


def grey_picture(path):
    Image.fromarray(pixels()).save(path)


def through_jpeg(path):
    Image.fromarray(LAYER * 255).save(path.with_suffix(".jpg"), quality=60)
    with Image.open(path.with_suffix(".jpg")) as picture:
        picture.save(path)
    path.with_suffix(".jpg").unlink()


def in_two_colours(path):
    rows = np.zeros((40, 48, 3), np.uint8)
    rows[..., 0] = LAYER * 255
    rows[2, 2] = 0, 255, 0
    Image.fromarray(rows).save(path)


def half_as_large(path):
    Image.fromarray(LAYER[::2, ::2]).save(path)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (inverted, "may be exchanged"),
        (in_a_palette_of_another_order, "may be exchanged"),
        (filled, "may be exchanged"),
        (grey_picture, "grey picture"),
        (through_jpeg, "saved as JPEG"),
        (in_two_colours, "2 colours"),
        (half_as_large, "the size of its frame"),
    ],
)
def test_what_is_no_mask_is_named_and_its_image_comes_in(source, tmp_path, draw, words):
    draw(source / "masks" / "a.png")
    report, label = imported(source, tmp_path)
    assert [image.image for image in report.imported] == ["a"]
    assert label is None
    (problem,) = report.problems
    assert problem.name == "a.png"
    assert words in problem.reason


def test_an_inverted_mask_can_be_told(source, tmp_path):
    inverted(source / "masks" / "a.png")
    report, label = imported(source, tmp_path, layer_value=0)
    assert report.problems == []
    np.testing.assert_array_equal(label, LAYER)


def test_a_doubtful_mask_comes_in_with_a_note(source, tmp_path):
    Image.fromarray(LAYER + np.roll(LAYER, 10, axis=0)).save(source / "masks" / "a.png")
    report, label = imported(source, tmp_path)
    assert label is not None
    (note,) = report.notes
    assert note.name == "a.png"
    assert "more than once" in note.reason
