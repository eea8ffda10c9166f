import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequal.files.dicom import image_series, pseudonym
from sequal.files.dicom.text import short_text
from sequal.files.dicom.uids import content_uid
from unit.files.dicom.frames import identity_of, make_frame, save, validator_errors


@given(st.lists(st.one_of(st.text(), st.integers())))
def test_a_uid_is_valid_and_follows_from_its_parts(parts):
    uid = pydicom.uid.UID(content_uid(*parts))
    assert uid.is_valid
    assert len(uid) <= 44
    assert uid.startswith("2.25.")
    assert uid == content_uid(*parts)


@given(st.text(), st.text())
def test_names_fit_and_stay_apart(one, other):
    for name in (one, other):
        text = short_text(name)
        assert len(text) <= 64
        assert not set(text) & set("\\^=\n\r\0")
        text.encode()
    assert (short_text(one) == short_text(other)) == (one == other)


def test_a_name_from_a_damaged_file_name_can_be_written():
    assert short_text("a\udcff") == short_text("a\udcff") != short_text("a\udcfe")
    short_text("a\udcff").encode()
    assert pseudonym("a\udcff", "s") != pseudonym("a\udcfe", "s")


@pytest.mark.parametrize("name", ["Łukasz–7", "x" * 300, "a\\b^c=d", "  padded "])
def test_unusual_names_pass_the_validators(tmp_path, name):
    frame = make_frame()
    folder = save(tmp_path, image_series(frame, identity_of(frame, patient=name, image=name)))
    for file in folder.iterdir():
        assert validator_errors(file) == []
        image = pydicom.dcmread(file)
        assert (image.PatientID, image.StudyDescription) == (short_text(name), short_text(name))
