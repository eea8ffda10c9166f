import nibabel as nib
import numpy as np

from sequal.commands import demo_study
from sequal.commands.demo_study import simulate_demo_study
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
