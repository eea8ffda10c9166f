import numpy as np
import pytest
import torch

from sequal.acquisition import FEATURE_KINDS
from sequal.prediction import image_features, store_features, unfeatured_items
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item
from sequal.study.state import FeatureStore
from unit.synthetic_study import band, settings, write_image

CPU = torch.device("cpu")


@pytest.fixture
def items(tmp_path):
    rng = np.random.default_rng(0)
    good = [Item(f"im{i}", write_image(tmp_path / f"im{i}.nii.gz", band(rng, top=10 + i)[0])) for i in range(3)]
    (tmp_path / "bad.png").write_bytes(b"not an image")
    return [good[0], Item("bad", tmp_path / "bad.png"), *good[1:]]


def test_the_features_of_the_teacher_go_to_the_store(tmp_path, items, loaded, monkeypatch):
    monkeypatch.setattr("sequal.prediction.pool_features._AT_ONCE", 2)
    store, seen = FeatureStore(tmp_path / "features"), []
    assert unfeatured_items(items, None, store) == []
    assert unfeatured_items(items, loaded.digest, store) == items
    unreadable = store_features(items, loaded, store, settings(), CPU, seen.append)
    assert unreadable.keys() == {"bad"}
    assert seen == ["im0", "im1", "im2"]
    expected = image_features(items, loaded.pair.teacher, WorkingFrames(settings()), CPU)
    for kind in FEATURE_KINDS:
        stored = store.get(loaded.digest, kind)
        assert stored.keys() == expected.keys()
        for image, vector in stored.items():
            np.testing.assert_array_equal(vector, getattr(expected[image], kind))
    assert unfeatured_items(items, loaded.digest, store) == []
    assert unfeatured_items(items, "another", store) == items


def test_an_image_with_one_kind_alone_is_done_again(tmp_path, items, loaded):
    store = FeatureStore(tmp_path / "features")
    store.put(loaded.digest, "bottleneck", {item.id: np.zeros(2, np.float32) for item in items})
    store.put(loaded.digest, "gradient", {"im0": np.zeros(2, np.float32)})
    assert unfeatured_items(items, loaded.digest, store) == items[1:]


def test_nothing_to_do(tmp_path, loaded):
    assert store_features([], loaded, FeatureStore(tmp_path / "features"), settings(), CPU) == {}
    assert not (tmp_path / "features").exists()
