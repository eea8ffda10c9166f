import json

import pytest

from sequal.errors import ImageError, StudyError
from sequal.files.importing.spacing import SpacingRules
from unit.files.importing.sources import pixels, write_picture


@pytest.fixture
def image(tmp_path):
    return write_picture(tmp_path / "in" / "a.png", pixels())


def test_without_anything_there_is_none(image):
    assert SpacingRules().of(image, "a.png") is None


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", json.dumps({"spacing_mm": 0.06}), (0.06, 0.06)),
        ("a.json", json.dumps({"spacing_mm": [0.06, 0.05]}), (0.06, 0.05)),
        ("a.json", json.dumps({"dx_mm": 0.06, "dy_mm": 0.05}), (0.06, 0.05)),
        ("a.png.json", json.dumps({"spacing_mm": 0.06}), (0.06, 0.06)),
        ("a_CF.txt", "0.06\n", (0.06, 0.06)),
        ("a.txt", "0.06 0.05", (0.06, 0.05)),
    ],
)
def test_a_sidecar_is_read(image, name, text, expected):
    image.with_name(name).write_text(text)
    assert SpacingRules().of(image, "a.png") == expected


def test_a_sidecar_about_other_things_says_nothing(image):
    image.with_name("a.json").write_text(json.dumps({"operator": "x"}))
    assert SpacingRules().of(image, "a.png") is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "about 0.06", r"`a\.txt` to be one or two numbers"),
        ("a.json", "{", r"`a\.json` to be readable"),
        ("a.json", '{"spacing_mm": "thin"}', "one or two numbers"),
        ("a.json", '{"spacing_mm": [1, 2, 3]}', "one or two numbers"),
        ("a_CF.txt", "6.0", r"`a_CF\.txt`.*within 0\.005 to 0\.5"),
        ("a_CF.txt", "nan", "within 0.005 to 0.5"),
    ],
)
def test_a_sidecar_that_cannot_be_used_is_an_error(image, name, text, message):
    image.with_name(name).write_text(text)
    with pytest.raises(ImageError, match=message):
        SpacingRules().of(image, "a.png")


def test_a_table_names_images_by_path_file_or_stem(tmp_path, image):
    table = tmp_path / "spacing.csv"
    table.write_text("\ufeffimage, dx_mm, dy_mm, by\nsub/A.png,0.06,0.05,me\nb.png,0.07,0.07,me\nc,0.08,0.08,me\n")
    rules = SpacingRules.read(None, table)
    assert rules.of(image, "sub/a.png") == (0.06, 0.05)
    assert rules.of(image.with_name("b.png"), "elsewhere/b.png") == (0.07, 0.07)
    assert rules.of(image.with_name("c.tif"), "c.tif") == (0.08, 0.08)
    assert rules.of(image.with_name("d.png"), "d.png") is None


def test_the_option_rules_over_the_table_and_the_table_over_the_sidecar(tmp_path, image):
    image.with_name("a.txt").write_text("0.05")
    table = tmp_path / "spacing.csv"
    table.write_text("image,spacing_mm\na.png,0.06\n")
    assert SpacingRules.read(None, table).of(image, "a.png") == (0.06, 0.06)
    assert SpacingRules.read((0.07, 0.08), table).of(image, "a.png") == (0.07, 0.08)


def test_a_bad_entry_stops_its_image_only(tmp_path, image):
    table = tmp_path / "spacing.csv"
    table.write_text("image,spacing_mm\na.png,thin\nb.png,0.06\nc.png\n")
    rules = SpacingRules.read(None, table)
    for name in ("a.png", "c.png"):
        with pytest.raises(ImageError, match="spacing table's entry"):
            rules.of(image.with_name(name), name)
    assert rules.of(image.with_name("b.png"), "b.png") == (0.06, 0.06)


@pytest.mark.parametrize("text", ["", "name,mm\na,0.06\n", "image,dx_mm\na,0.06\n"])
def test_a_table_of_other_columns_is_refused(tmp_path, text):
    table = tmp_path / "spacing.csv"
    table.write_text(text)
    with pytest.raises(StudyError, match=r"columns image,spacing_mm or image,dx_mm,dy_mm"):
        SpacingRules.read(None, table)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(StudyError, match="UTF-8 CSV"):
        SpacingRules.read(None, tmp_path / "none.csv")


def test_a_given_spacing_must_be_credible():
    with pytest.raises(ImageError, match="millimetres per pixel"):
        SpacingRules.read((6.0, 6.0), None)
