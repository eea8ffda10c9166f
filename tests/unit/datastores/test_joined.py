"""Two folders as one datastore: whose image it is, and that a new file takes none away."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fastapi import HTTPException

from lib.datastores import JoinedStudies, LabelGuard, StudyFolder
from sequal.study.state import StudyState
from unit.synthetic_study import settings

OF_VOLUMES = {"models": "volume", "labels": "liver"}
SHAPES = {"carotid": (12, 9, 1), "volume": (8, 8, 8)}


def _save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(np.uint8), np.eye(4)), path)
    return path


def _image(place: Path, model: str, name: str) -> Path:
    return _save(place / model / f"{name}.nii.gz", np.arange(np.prod(SHAPES[model])).reshape(SHAPES[model]) % 200)


def _label(path: Path, model: str) -> Path:
    label = np.zeros(SHAPES[model])
    label[2:7, 3:6] = 1
    return _save(path, label)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for model, names in {"carotid": "ab", "volume": "cd"}.items():
        for name in names:
            _image(tmp_path / "study", model, name)
    return tmp_path / "study"


@pytest.fixture
def states(tmp_path: Path) -> dict[str, StudyState]:
    return {model: StudyState.open(tmp_path / "state" / model, settings()) for model in SHAPES}


@pytest.fixture
def opened(place: Path, states: dict[str, StudyState]) -> Callable[[], JoinedStudies]:
    """Opens the two folders, as a server does when it starts."""

    def opened() -> JoinedStudies:
        guards = {
            "carotid": LabelGuard(states["carotid"], settings()),
            "volume": LabelGuard(states["volume"], settings(**OF_VOLUMES)),
        }
        return JoinedStudies(
            {model: StudyFolder(str(place / model), guard, auto_reload=False) for model, guard in guards.items()},
            watched=False,
        )

    return opened


def test_lists_are_those_of_both_and_an_image_is_asked_of_its_folder(opened, place, tmp_path):
    store = opened()
    assert store.list_images() == ["a", "b", "c", "d"]
    assert store.save_label("c", str(_label(tmp_path / "c.nii.gz", "volume")), "final", {"client_id": "anna"}) == "c"
    assert store.save_label("b", str(_label(tmp_path / "b.nii.gz", "carotid")), "final", {}) == "b"

    assert (store.get_labeled_images(), store.get_unlabeled_images()) == (["b", "c"], ["a", "d"])
    assert store.status() == {"total": 4, "completed": 2, "label_tags": {"final": 2}}
    assert [store.model_of(image) for image in "abcdx"] == ["carotid", "carotid", "volume", "volume", None]
    assert store.get_label_uri("c", "final") == str(place / "volume" / "labels" / "final" / "c.nii.gz")
    assert store.get_label_info("c", "final")["client_id"] == "anna"
    assert [pair["image"] for pair in store.datalist()] == [store.get_image_uri(image) for image in "bc"]
    assert store.json()["objects"].keys() == set("abcd")
    assert store.get_image_uri("x") == store.get_label_by_image_id("x", "final") == ""
    assert (store.has_label_file("c"), store.has_label_file("d")) == (True, False)


def test_each_label_passes_the_guard_of_its_own_model(opened, states, tmp_path):
    store = opened()
    with pytest.raises(HTTPException, match="8 x 8 x 8") as refused:
        store.save_label("c", str(_label(tmp_path / "label.nii.gz", "carotid")), "final", {})
    assert refused.value.status_code == 400
    kept = {model: len(list((state.root / "rejected").glob("*.nii.gz"))) for model, state in states.items()}
    assert kept == {"carotid": 0, "volume": 1}


def test_an_image_that_both_have_is_that_of_the_first_and_the_other_is_named(opened, place):
    _image(place, "volume", "a")
    store = opened()
    assert store.model_of("a") == "carotid"
    assert store.list_images() == ["a", "b", "c", "d"]
    assert store.of_model("volume").get_unlabeled_images() == ["c", "d"]
    assert list(store.of_model("volume").index) == ["c", "d"]
    (told,) = store.warnings()
    assert "'a': that in `carotid/` is used, that in `volume/` is left out. Rename the file in `volume/`" in told


def test_a_new_file_takes_no_image_away(opened, place, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.datastores.kept_list.time.time", lambda: 1000.0)
    store = opened()
    label = _label(tmp_path / "c.nii.gz", "volume")
    store.save_label("c", str(label), "final", {})
    monkeypatch.setattr("lib.datastores.kept_list.time.time", lambda: 2000.0)
    _image(place, "carotid", "c")
    store.look()
    for known in (store, opened()):  # while the server runs, and when it starts again
        assert known.model_of("c") == "volume"
        assert known.get_labeled_images() == ["c"]
        assert "c" not in known.of_model("carotid").list_images()
        assert len(known.warnings()) == 1

    # What is noted of the one that is left out stays, and it is there when the other one has gone.
    (place / "volume" / "c.nii.gz").rename(place / "volume" / "e.nii.gz")
    store.look()
    assert (store.model_of("c"), store.model_of("e"), store.warnings()) == ("carotid", "volume", [])
    assert store.get_unlabeled_images() == ["a", "b", "c", "d", "e"]


def test_a_new_image_says_whose_it_is(opened, place, tmp_path):
    store = opened()
    file = str(_image(tmp_path, "volume", "new"))
    with pytest.raises(HTTPException, match=r"whose image it is \(carotid or volume\), got none"):
        store.add_image("new", file, {})
    assert store.add_image("new", file, {}, model="volume") == "new"
    assert store.model_of("new") == "volume"
    with pytest.raises(HTTPException, match="'a', which carotid has") as refused:
        store.add_image("a", file, {}, model="volume", overwrite=True)
    assert refused.value.status_code == 409
    assert store.add_image("new", file, {}, overwrite=True) == "new"

    _image(place, "carotid", "c")
    store.look()
    with pytest.raises(
        HTTPException, match="an id of one model alone, got 'c'"
    ):  # else the newer one would be the other
        store.add_image("c", file, {}, overwrite=True)

    store.remove_image("new")
    assert store.model_of("new") is None


def test_the_archive_has_the_pairs_of_both(opened, tmp_path):
    store = opened()
    with pytest.raises(HTTPException, match="no labelled image"):
        store.get_dataset_archive(None)
    for image, model in {"a": "carotid", "c": "volume"}.items():
        store.save_label(image, str(_label(tmp_path / f"{image}.nii.gz", model)), "final", {})
    with zipfile.ZipFile(store.get_dataset_archive(None)) as archive:
        assert {name for name in archive.namelist() if name.endswith(".gz")} == {
            f"{kind}/{image}.nii.gz" for kind in ("image", "label") for image in "ac"
        }
        assert json.loads(archive.read("metadata.json"))["objects"].keys() == set("abcd")
