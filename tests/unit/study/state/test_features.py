import io
import os

import numpy as np
import pytest

from sequal.errors import StudyError
from sequal.settings import Settings
from sequal.study.state import FeatureStore, StudyState, state_warnings


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "features")


def test_what_is_put_is_got(store):
    assert store.get("c1", "bottleneck") == {}
    store.put("c1", "bottleneck", {"b/ü": np.float32([1, 2]), "a": np.float32([3, 4])})
    store.put("c1", "bottleneck", {"a": np.float32([5, 6]), "bad": None})
    found = store.get("c1", "bottleneck")
    assert {image: vector.tolist() for image, vector in found.items()} == {"b/ü": [1, 2], "a": [5, 6]}
    assert all(vector.dtype == np.float32 for vector in found.values())
    assert store.tried("c1", "bottleneck") == {"a", "b/ü", "bad"}


def test_checkpoints_and_kinds_keep_apart(store):
    store.put("c1", "bottleneck", {"a": np.float32([1])})
    store.put("c1", "gradient", {"a": np.float32([1, 2, 3])})
    assert store.get("c2", "bottleneck") == {}
    assert store.get("c1", "gradient")["a"].tolist() == [1, 2, 3]


def test_images_that_were_all_tried_in_vain(store):
    store.put("c1", "gradient", {"bad": None})
    assert store.get("c1", "gradient") == {}
    assert store.tried("c1", "gradient") == {"bad"}
    store.put("c1", "gradient", {"a": np.float32([1, 2])})
    assert store.get("c1", "gradient").keys() == {"a"}
    assert store.tried("c1", "gradient") == {"a", "bad"}


def test_vectors_of_two_lengths_are_refused(store):
    with pytest.raises(ValueError, match="one length"):
        store.put("c1", "gradient", {"a": np.float32([1, 2]), "b": np.float32([1])})
    assert store.tried("c1", "gradient") == set()


def _saved(save, *args, **arrays):
    buffer = io.BytesIO()
    save(buffer, *args, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 half a file",
        b"\x93NUMPY",
        b"no archive",
        _saved(np.save, np.zeros(3)),
        _saved(np.savez, images=np.array(["a", "b"]), vectors=np.zeros((1, 2))),
        _saved(np.savez, images=np.array(["a"]), vectors=np.zeros(1)),
    ],
    ids=["empty", "zip", "npy", "text", "one array", "too few", "flat"],
)
def test_a_damaged_file_counts_as_none_and_is_told_of_once(store, tmp_path, content, caplog):
    store.put("c1", "gradient", {"a": np.float32([1, 2])})
    (tmp_path / "features" / "c1-gradient.npz").write_bytes(content)
    assert store.get("c1", "gradient") == {}
    assert store.tried("c1", "gradient") == set()
    assert caplog.text.count("was damaged") == 1
    (warning,) = state_warnings(tmp_path)
    assert "features/c1-gradient.npz.damaged" in warning
    store.put("c1", "gradient", {"b": np.float32([1, 2])})
    assert store.get("c1", "gradient").keys() == {"b"}


def test_a_failed_write_leaves_the_old_file(store, monkeypatch):
    store.put("c1", "gradient", {"a": np.float32([1, 2])})

    def full(*_args, **_kwargs):
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(np, "savez", full)
        with pytest.raises(StudyError, match="No space left"):
            store.put("c1", "gradient", {"b": np.float32([1, 2])})
    assert store.get("c1", "gradient").keys() == {"a"}


def test_the_newest_and_the_protected_stay(store, tmp_path):
    store.prune(1)  # nothing there yet
    for age, digest in enumerate(("c3", "c1", "c2", "c0")):
        for kind in ("bottleneck", "gradient"):
            store.put(digest, kind, {"a": np.float32([1])})
            os.utime(tmp_path / "features" / f"{digest}-{kind}.npz", ns=(10**18 - age, 10**18 - age))
    store.prune(1, {"c0"})
    assert sorted(path.name for path in (tmp_path / "features").iterdir()) == [
        "c0-bottleneck.npz",
        "c0-gradient.npz",
        "c3-bottleneck.npz",
        "c3-gradient.npz",
    ]


def test_a_study_keeps_its_features_in_its_state(tmp_path):
    state = StudyState.open(tmp_path, Settings())
    state.features.put("c1", "gradient", {"a": np.float32([1])})
    assert (tmp_path / "features" / "c1-gradient.npz").exists()
