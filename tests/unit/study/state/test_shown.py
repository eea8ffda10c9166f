import numpy as np
import pytest

from sequal.errors import StudyError
from sequal.study.state import StudyState, state_warnings
from sequal.study.state.shown import ShownStore
from unit.synthetic_study import settings


def test_the_last_mask_of_an_image_is_remembered_exactly(tmp_path):
    store = ShownStore(tmp_path / "shown")
    assert store.get("1.2") is None
    masks = [np.eye(4, 3, dtype=np.uint8), np.ones((4, 3), np.uint8)]
    for mask in masks:
        store.put("1.2", mask)
    store.put("../other", masks[0])
    np.testing.assert_array_equal(ShownStore(tmp_path / "shown").get("1.2"), masks[1])
    np.testing.assert_array_equal(store.get("../other"), masks[0])
    assert not (tmp_path / "other.npz").exists()


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04 and no more"])
def test_a_damaged_file_counts_as_none_and_is_told_of_once(tmp_path, content, caplog):
    store = ShownStore(tmp_path / "shown")
    store.put("1.2", np.eye(3, dtype=np.uint8))
    next((tmp_path / "shown").iterdir()).write_bytes(content)
    assert store.get("1.2") is None
    assert store.get("1.2") is None
    assert caplog.text.count("was damaged") == 1
    assert (tmp_path / "shown" / "1.2.npz.damaged").read_bytes() == content
    (warning,) = state_warnings(tmp_path)
    assert "shown/1.2.npz.damaged" in warning
    store.put("1.2", np.eye(3, dtype=np.uint8))
    np.testing.assert_array_equal(store.get("1.2"), np.eye(3, dtype=np.uint8))


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "shown").write_text("a file")
    with pytest.raises(StudyError, match="to be writable"):
        ShownStore(tmp_path / "shown").put("1.2", np.eye(3, dtype=np.uint8))


def test_a_study_has_a_salt_of_its_own_that_stays(tmp_path):
    salts = [StudyState.open(tmp_path / name, settings()).salt for name in ("a", "b", "a")]
    assert salts[0] == salts[2] != salts[1]
    assert len(salts[0]) >= 16
