import gzip
import json
import os

import numpy as np
import pytest

from sequal.errors import LabelError, StudyError
from sequal.study.state import Provenance, RefinedStore

LABEL = np.zeros((4, 3, 2), np.uint8)
LABEL[1:3, 1] = 1
LABEL[0] = 255


def provenance(**changes):
    return Provenance(
        **{
            "label_digest": "y1",
            "round": 3,
            "checkpoint_digest": "c",
            "fusion_lambda": 0.8,
            "fraction_changed": 0.125,
            "created_at": 1.5,
            **changes,
        }
    )


@pytest.fixture
def store(tmp_path):
    return RefinedStore(tmp_path / "refined")


def files(store_folder):
    return sorted(path.name for path in store_folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("image_id", ["frame_01", "1.2.840.113", "../../escape", "a/b", ".", "ü?*", "x" * 400])
def test_round_trip_inside_the_folder(tmp_path, store, image_id):
    store.put(image_id, LABEL, provenance())
    np.testing.assert_array_equal(store.get(image_id, "y1"), LABEL)
    assert store.get(image_id, "y1").dtype == np.uint8
    assert store.provenance(image_id) == provenance()
    assert store.image_ids() == [image_id]
    assert sorted(os.listdir(tmp_path)) == ["refined"]
    assert len(files(tmp_path / "refined")) == 2


def test_absent(store):
    assert store.get("a", "y1") is None
    assert store.provenance("a") is None
    assert store.image_ids() == []
    store.drop("a")


def test_label_from_an_edited_expert_label_is_deleted(tmp_path, store):
    store.put("a", LABEL, provenance())
    assert store.get("a", "y2") is None
    assert files(tmp_path) == []
    assert store.get("a", "y1") is None


def test_drop_takes_one_image(store):
    store.put("a", LABEL, provenance())
    store.put("b", LABEL, provenance())
    store.drop("a")
    assert store.image_ids() == ["b"]


def test_same_label_same_bytes(tmp_path, store):
    store.put("a", LABEL, provenance())
    first = (tmp_path / "refined" / "a.nii.gz").read_bytes()
    store.put("a", LABEL, provenance(round=4))
    assert (tmp_path / "refined" / "a.nii.gz").read_bytes() == first


@pytest.mark.parametrize("label", [LABEL[..., 0], LABEL.astype(np.int16), LABEL[:0]])
def test_other_arrays_are_refused(tmp_path, store, label):
    with pytest.raises(LabelError, match="uint8"):
        store.put("a", label, provenance())
    assert files(tmp_path) == []


@pytest.mark.parametrize("damage", ["label_cut", "label_gone", "label_other", "sidecar_cut", "sidecar_poor"])
def test_damaged_label_counts_as_absent(tmp_path, store, damage):
    store.put("a", LABEL, provenance())
    label, sidecar = tmp_path / "refined" / "a.nii.gz", tmp_path / "refined" / "a.json"
    if damage == "label_cut":
        label.write_bytes(label.read_bytes()[:20])
    elif damage == "label_gone":
        label.unlink()
    elif damage == "label_other":
        label.write_bytes(gzip.compress(gzip.decompress(label.read_bytes()), mtime=9))
    elif damage == "sidecar_cut":
        sidecar.write_bytes(sidecar.read_bytes()[:20])
    else:
        sidecar.write_text(json.dumps({"label_digest": "y1"}))
    assert store.get("a", "y1") is None
    store.put("a", LABEL, provenance())
    np.testing.assert_array_equal(store.get("a", "y1"), LABEL)


def test_staged_labels_are_invisible_until_commit(tmp_path, store):
    store.put("a", LABEL, provenance(round=1))
    staged = store.stage(2)
    staged.put("a", LABEL * 0, provenance(round=2))
    staged.put("b", LABEL, provenance(round=2))
    assert store.image_ids() == ["a"]
    np.testing.assert_array_equal(store.get("a", "y1"), LABEL)
    np.testing.assert_array_equal(staged.get("a", "y1"), LABEL * 0)
    assert store.commit(2) == ["a", "b"]
    np.testing.assert_array_equal(store.get("a", "y1"), LABEL * 0)
    assert store.provenance("b").round == 2
    assert sorted(os.listdir(tmp_path / "refined")) == ["a.json", "a.nii.gz", "b.json", "b.nii.gz"]


def test_discarded_round_leaves_no_trace(tmp_path, store):
    store.put("a", LABEL, provenance())
    before = {path: path.read_bytes() for path in (tmp_path / "refined").iterdir()}
    store.stage(2).put("a", LABEL * 0, provenance(round=2))
    store.discard(2)
    assert {path: path.read_bytes() for path in (tmp_path / "refined").iterdir()} == before
    assert store.commit(2) == []
    store.discard(2)


def test_stage_begins_empty_and_rounds_keep_apart(store):
    store.stage(2).put("a", LABEL, provenance())
    store.stage(3).put("b", LABEL, provenance())
    assert store.stage(2).image_ids() == []
    assert store.commit(3) == ["b"]


def test_commit_that_a_crash_tore_apart_falls_back_to_the_expert(tmp_path, store):
    store.put("a", LABEL, provenance(round=1))
    store.stage(2).put("a", LABEL * 0, provenance(round=2))
    (tmp_path / "refined" / ".staged-2" / "a.nii.gz").replace(tmp_path / "refined" / "a.nii.gz")
    assert store.get("a", "y1") is None


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StudyError, match="writable"):
        RefinedStore(tmp_path / "file")
