from pathlib import Path
from unittest.mock import Mock

import nibabel as nib
import numpy as np
import pytest
from monailabel.config import settings as server_settings

from lib.configs import Studies, chosen
from lib.datastores import accept_label, open_folders
from sequal.anatomy.models import MODELS
from sequal.errors import SettingsError, StudyError
from sequal.study.state import study_state_folder
from unit.synthetic_study import SIZE, write_image

CONF = {"models": "carotid,volume", "volume.labels": "liver", "device": "cpu"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A frame and a volume, each in the folder of its model."""
    place = tmp_path / "study"
    for model in ("carotid", "volume"):
        (place / model).mkdir(parents=True)
    write_image(place / "carotid" / "frame.nii.gz", np.zeros((*SIZE, 1)))
    nib.save(nib.Nifti1Image(np.zeros((32, 32, 32), np.int16), np.diag([2, 2, 2, 1])), place / "volume" / "ct.nii.gz")
    return place


def _open(tmp_path: Path, place: Path | str, **conf: str) -> Studies:
    return Studies.open(str(tmp_path / "app"), str(place), CONF | conf)


def test_each_model_has_the_study_that_a_server_of_it_alone_would_have(tmp_path: Path, place: Path) -> None:
    studies = _open(tmp_path, place)
    carotid, volume = studies
    assert studies.first is studies.of_frames is carotid
    assert studies.labels == ["intima-media", "liver"]
    assert carotid.state.root == study_state_folder(tmp_path / "app", str(place / "carotid"))
    ((_, alone),) = Studies.open(
        str(tmp_path / "app"), str(place / "volume"), {"models": "volume", "labels": "liver", "device": "cpu"}
    ).by_model.items()
    assert alone.state.root == volume.state.root != carotid.state.root
    assert alone.settings == volume.settings
    assert (volume.state.root / "volume_plan.json").is_file()
    assert not (carotid.state.root / "volume_plan.json").exists()


def test_a_setting_may_be_of_one_model(tmp_path: Path, place: Path) -> None:
    carotid, volume = _open(tmp_path, place, epochs="3", **{"volume.epochs": "9", "state": str(tmp_path / "state")})
    assert (carotid.settings.epochs, volume.settings.epochs) == (3, 9)
    assert (carotid.state.root.name, volume.state.root.parent) == ("carotid", tmp_path / "state")


def test_a_wrong_setting_says_of_which_model(tmp_path: Path, place: Path) -> None:
    with pytest.raises(SettingsError, match=r"^For the model `volume`: Expected `epochs` to be .*, got '0'"):
        _open(tmp_path, place, **{"volume.epochs": "0"})


def test_a_model_without_a_folder_stops_the_start(tmp_path: Path, place: Path) -> None:
    (place / "volume" / "ct.nii.gz").rename(place / "ct.nii.gz")
    (place / "volume").rmdir()
    with pytest.raises(StudyError, match=r"got none of the name volume. Make `.*study/volume` and move the images"):
        _open(tmp_path, place)


def test_each_model_has_the_state_of_a_pacs_that_a_server_of_it_alone_would_have(tmp_path: Path) -> None:
    pacs = "http://pacs:8042/dicom-web"
    grid = {"volume_spacing": "1,1,1", "volume_patch": "32,32,32"}
    studies = _open(tmp_path, pacs, **grid)
    for study, conf in zip(studies, ({"models": "carotid"}, {"models": "volume", "labels": "liver"}), strict=True):
        alone = Studies.open(str(tmp_path / "app"), pacs, {**conf, **grid, "device": "cpu"}).first
        assert alone.state.root == study.state.root
    assert len({study.state.root for study in studies}) == 2
    assert studies.warnings() == []


def test_a_mistake_in_the_labels_can_be_corrected_until_there_is_a_label(tmp_path: Path, place: Path) -> None:
    _open(tmp_path, place, **{"volume.labels": "livr"})
    volume = _open(tmp_path, place).by_model["volume"]
    datastore = open_folders(_open(tmp_path, place), Mock(), watched=False)
    drawn = tmp_path / "drawn.nii.gz"
    nib.save(nib.Nifti1Image(np.eye(32, dtype=np.uint8)[None].repeat(32, 0), np.diag([2, 2, 2, 1])), drawn)
    label = datastore.save_label("ct", str(drawn), "final", {})
    accept_label(volume, datastore, "ct", label)
    with pytest.raises(SettingsError, match=r"Expected `labels` to be liver, .*made_for\.json"):
        _open(tmp_path, place, **{"volume.labels": "livr"})
    (volume.state.root / "made_for.json").unlink()  # as by hand: the labels that are there count again
    _open(tmp_path, place, **{"volume.labels": "spleen"})
    with pytest.raises(SettingsError, match="Expected `labels` to be spleen, "):
        _open(tmp_path, place)


def test_several_models_have_no_remote_study_but_a_pacs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_settings, "MONAI_LABEL_DATASTORE", "xnat")
    with pytest.raises(SettingsError, match=r"several models, .* got MONAI_LABEL_DATASTORE=xnat\. Start a server"):
        _open(tmp_path, "http://xnat:8080/project")
    assert not (tmp_path / "app").exists()


def test_models_of_one_modality_have_no_pacs_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODELS["volume"], "modalities", ("CT", "US"))
    with pytest.raises(SettingsError, match=r"different modalities for one PACS, .* carotid and volume, .* take US\."):
        _open(tmp_path, "http://pacs:8042/dicom-web")
    assert not (tmp_path / "app").exists()


def test_images_beside_the_folders_are_named_until_they_are_moved(tmp_path: Path, place: Path) -> None:
    studies = _open(tmp_path, place)
    assert studies.warnings() == []
    stray = write_image(place / "stray.nii.gz", np.zeros((*SIZE, 1)))
    (told,) = studies.warnings()
    assert "(stray.nii.gz). Move each into `study/carotid` or `study/volume`" in told
    (place / "labels" / "final").mkdir(parents=True)
    label = write_image(place / "labels" / "final" / "frame.nii.gz", np.zeros((*SIZE, 1)))
    assert "(labels/final/frame.nii.gz, stray.nii.gz)" in studies.warnings()[0]
    label.unlink()
    stray.rename(place / "carotid" / stray.name)
    assert studies.warnings() == []


def test_a_request_is_for_all_models_or_the_one_that_it_names() -> None:
    by_model = {"carotid": 1, "volume": 2}
    assert chosen(by_model, {}) == by_model
    assert chosen(by_model, {"model": "volume"}) == {"volume": 2}
    with pytest.raises(SettingsError, match=r"one that is served \(carotid, volume\), got 'liver'"):
        chosen(by_model, {"model": "liver"})
