import nibabel as nib
import numpy as np

from sequal.commands import demo_study
from sequal.commands.demo_study import VOLUME_DEMO, simulate_demo_study, simulate_demo_volumes
from sequal.commands.spelling import setting_pairs
from sequal.settings import Settings
from sequal.study.folder import StudyFiles


def test_frames_become_a_studies_folder_with_its_truth(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_study, "_FRAMES", (3, 2))
    done = []
    study = simulate_demo_study(tmp_path / "demo", lambda *step: done.append(step))
    files = StudyFiles.open(study)
    assert len(files.images) == 5
    assert done[-1] == (5, 5)
    assert sorted(files.patients()) == sorted(files.images)
    for image, path in files.images.items():
        truth = nib.load(study / "truth" / path.name)
        assert truth.shape == nib.load(path).shape
        assert set(np.unique(truth.dataobj)) <= {0, 1}, image
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["frames"]


def test_volumes_become_a_studies_folder_without_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_study, "_VOLUMES", 2)
    files = StudyFiles.open(simulate_demo_volumes(tmp_path))
    settings = Settings.from_conf({"models": "volume", **setting_pairs(VOLUME_DEMO)})
    assert len(files.images) == len(files.patients()) == 2
    assert files.labels == {}
    for path in files.images.values():
        truth = np.unique(nib.load(files.folder / "truth" / path.name).dataobj)
        assert set(truth) == set(range(len(settings.label_names) + 1))
