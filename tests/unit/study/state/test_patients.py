import pytest

from sequal.errors import StudyError
from sequal.study.state import MANIFEST_NAME, PatientNames, patient_of


@pytest.fixture
def manifest(tmp_path):
    def write(text):
        path = tmp_path / MANIFEST_NAME
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_without_anything_each_image_is_its_own_patient(tmp_path):
    assert patient_of(["a", "b"], tmp_path / MANIFEST_NAME) == {"a": "a", "b": "b"}
    assert patient_of([], None) == {}


def test_manifest_before_pattern_before_the_image(manifest):
    path = manifest("image,patient\np1_x,P\n")
    patients = patient_of(["p1_x", "p2_x", "other"], path, r"(?P<patient>p\d)_")
    assert patients == {"p1_x": "P", "p2_x": "p2", "other": "other"}


def test_pattern_whose_group_matches_nothing():
    assert patient_of(["x"], None, r"(?P<patient>p\d)?x") == {"x": "x"}


def test_images_may_be_named_by_their_file(manifest):
    path = manifest("image,patient\na.nii.gz,P\nb.PNG,Q\n1.2.3,R\n")
    assert patient_of(["a", "b", "1.2.3"], path) == {"a": "P", "b": "Q", "1.2.3": "R"}


def test_spreadsheet_files_are_read(manifest):
    path = manifest(b'\xef\xbb\xbfimage, patient\r\n"a, left", P\r\n\r\na,P\r\n')
    assert patient_of(["a, left", "a"], path) == {"a, left": "P", "a": "P"}


def test_rows_without_an_image_are_logged(manifest, caplog):
    patient_of(["a"], manifest("image,patient\na,P\nb,P\nc,P\n"))
    assert "names 2 images" in caplog.text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("a,P\n", 1),
        ("image;patient\na;\n", 2),
        ("image,patient\na,P\nb\n", 3),
        ("image,patient\na,P,x\n", 2),
        ("image,patient\na,\n", 2),
        ("image,patient\n,P\n", 2),
        ("image,patient\na,P\n\na,Q\n", 4),
    ],
)
def test_malformed_manifest_names_the_line(manifest, text, line):
    with pytest.raises(StudyError, match=f"line {line} of"):
        patient_of(["a"], manifest(text))


@pytest.mark.parametrize("content", [b"image,patient\n\xff\xfe,P\n", b'image,patient\n"a,P\n'])
def test_unreadable_manifest(manifest, content):
    with pytest.raises(StudyError, match=r"patients\.csv"):
        patient_of(["a"], manifest(content))


def test_a_row_with_the_id_counts_more_than_one_with_a_file_name(manifest):
    for order in ("a,P\na.png,Q", "a.png,Q\na,P"):
        assert patient_of(["a"], manifest(f"image,patient\n{order}\n")) == {"a": "P"}
    both = manifest("image,patient\na.png,Q\n")
    assert patient_of(["a", "a.png"], both) == {"a": "a", "a.png": "Q"}


def test_names_follow_images_that_come(tmp_path):
    path, ids = tmp_path / MANIFEST_NAME, {"a"}
    path.write_text("image,patient\na,P\nb.png,Q\n")
    names = PatientNames(path, "", ids)
    ids.add("b")
    assert dict(names) == {"a": "P", "b": "Q"}
