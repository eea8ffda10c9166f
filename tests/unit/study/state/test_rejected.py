import json

import pytest

from sequal.errors import StudyError
from sequal.study.state import RejectedStore


def test_label_moves_and_the_reason_lies_beside_it(tmp_path):
    label = tmp_path / "upload.nii.gz"
    label.write_bytes(b"label")
    moved = RejectedStore(tmp_path / "rejected").put("a/b", label, "it is empty", now=5.0)
    assert moved == tmp_path / "rejected" / "a%2Fb-1.nii.gz"
    assert moved.read_bytes() == b"label"
    assert not label.exists()
    about = json.loads((tmp_path / "rejected" / "a%2Fb-1.json").read_text())
    assert about == {"image": "a/b", "file": "upload.nii.gz", "reason": "it is empty", "rejected_at": 5.0}


def test_earlier_rejections_of_the_image_stay(tmp_path):
    store = RejectedStore(tmp_path / "rejected")
    moved = []
    for content in (b"1", b"2"):
        (tmp_path / "l.png").write_bytes(content)
        moved.append(store.put("a", tmp_path / "l.png", "bad"))
    assert [path.name for path in moved] == ["a-1.png", "a-2.png"]
    assert [path.read_bytes() for path in moved] == [b"1", b"2"]


def test_file_that_is_not_there(tmp_path):
    store = RejectedStore(tmp_path / "rejected")
    with pytest.raises(StudyError, match=r"missing\.nii\.gz"):
        store.put("a", tmp_path / "missing.nii.gz", "bad")
    assert list((tmp_path / "rejected").iterdir()) == []
