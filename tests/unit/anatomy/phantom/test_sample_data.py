"""The committed sample study is what its generator makes."""

import csv
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

SAMPLE = Path(__file__).resolve().parents[4] / "sample-data"


def test_generator_makes_the_first_patients_again_byte_for_byte(tmp_path):
    command = [sys.executable, str(SAMPLE / "generate.py"), "--out", str(tmp_path), "--patients", "2"]
    subprocess.run(command, check=True, capture_output=True)
    made = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.nii.gz"))

    assert len(made) == 2 * 6 + 1
    for name in made:
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes(), name


def test_study_is_complete_and_small():
    images = sorted(SAMPLE.glob("*.nii.gz"))
    with (SAMPLE / "patients.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(images) == len(rows) == 48
    assert len({row["patient"] for row in rows}) == 16
    assert len(list((SAMPLE / "labels" / "final").glob("*.nii.gz"))) == 8
    assert sum(p.stat().st_size for p in SAMPLE.rglob("*") if p.is_file()) < 15e6


def test_every_frame_shows_a_wall_and_labels_are_sparse():
    for truth in (SAMPLE / "truth").glob("*.nii.gz"):
        image = nib.load(SAMPLE / truth.name)
        mask = np.asarray(nib.load(truth).dataobj)

        assert mask.shape == image.shape == (*image.shape[:2], 1)
        assert mask.any(), truth.name
        assert 0.04 <= round(float(image.header.get_zooms()[0]), 4) <= 0.1
    for label in (SAMPLE / "labels" / "final").glob("*.nii.gz"):
        values = np.asarray(nib.load(label).dataobj)

        assert set(np.unique(values)) == {0, 1, 255}
