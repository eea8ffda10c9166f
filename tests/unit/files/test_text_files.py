import unicodedata

import pytest

from sequal.errors import StudyError
from sequal.files.importing.spacing import SpacingRules
from sequal.files.text_files import read_table, read_text
from sequal.study.state import patient_of

NFC, NFD = (unicodedata.normalize(form, "Jérôme") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_as_whatever_program_wrote_it(tmp_path, encoding, ending, separator):
    lines = [f"image{separator}patient", "", f" a {separator}Jérôme", f'"b{separator}1"{separator} P']
    (tmp_path / "t.csv").write_bytes(ending.join([*lines, ""]).encode(encoding))
    assert read_table(tmp_path / "t.csv") == [
        (1, ["image", "patient"]),
        (3, ["a", "Jérôme"]),
        (4, [f"b{separator}1", "P"]),
    ]


def test_mixed_line_ends_and_the_line_of_a_spreadsheet(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"sep=;\r\nimage;patient\na;P\rb;Q\r\n")
    assert read_table(tmp_path / "t.csv") == [(2, ["image", "patient"]), (3, ["a", "P"]), (4, ["b", "Q"])]
    assert read_text(tmp_path / "t.csv").count("\n") == 4


def test_patients_in_a_table_with_semicolons(tmp_path):
    (tmp_path / "patients.csv").write_text("\ufeffimage;patient\r\na;P\r\n")
    assert patient_of(["a", "b"], tmp_path / "patients.csv") == {"a": "P", "b": "b"}


@pytest.mark.parametrize(("listed", "image"), [(NFC, NFD), (NFD, NFC)])
def test_names_that_look_equal_are_one_patient(tmp_path, listed, image):
    (tmp_path / "patients.csv").write_text(f"image,patient\n{listed}_1,{listed}\n{listed}_2.png,{image}\n")
    patients = patient_of([f"{image}_1", f"{image}_2"], tmp_path / "patients.csv")
    assert set(patients.values()) == {NFC}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image;spacing_mm\na.png;0,06\n", (0.06, 0.06)),
        ("image;dx_mm;dy_mm\r\na.png;0,06;0,05\r\n", (0.06, 0.05)),
        ("image\tdx_mm\tdy_mm\ra.png\t0.06\t0.05\r", (0.06, 0.05)),
        ('image,spacing_mm\na.png,"0,06"\n', (0.06, 0.06)),
    ],
)
def test_spacing_tables_of_any_country(tmp_path, text, expected):
    (tmp_path / "t.csv").write_text(text)
    rules = SpacingRules.read(None, tmp_path / "t.csv")
    assert rules.of(tmp_path / "a.png", "a.png") == expected


def test_a_decimal_comma_between_commas_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("image,spacing_mm\na.png,0,06\n")
    with pytest.raises(StudyError, match=r"line 2 of .* semicolons"):
        SpacingRules.read(None, tmp_path / "t.csv")


@pytest.mark.parametrize("sidecar", ["_CF.txt", ".txt"])
@pytest.mark.parametrize(("image", "beside"), [(NFC, NFD), (NFD, NFC)])
def test_a_sidecar_in_another_form_of_letters_with_a_comma(tmp_path, sidecar, image, beside):
    (tmp_path / f"{image}.png").touch()
    (tmp_path / f"{beside}{sidecar}").write_bytes("0,06\r\n".encode("utf-16"))
    assert SpacingRules().of(tmp_path / f"{image}.png", f"{image}.png") == (0.06, 0.06)
