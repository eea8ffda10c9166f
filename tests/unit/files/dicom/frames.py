"""Frames, labels and checks for the tests of DICOM out."""

import subprocess
from pathlib import Path

import numpy as np

from pacs import needed_program
from sequal.files.dicom import ImageIdentity, OutgoingLabel, bundle_image
from sequal.files.imaging import Calibration, Frame
from sequal.study.state import Provenance

#: Lateral and axial differ, so that swapped axes are seen.
CALIBRATED = Calibration((0.08, 0.05), "nifti spacing")
NOT_CALIBRATED = Calibration(None, "none (nifti spacing is the default of 1 mm)")
#: An odd number of pixels, no multiple of eight: what bits and bytes are padded by must not be seen.
SIZE = (33, 21)
WRITTEN_AT = 1_700_000_000.0


def make_frame(frames=1, calibration=CALIBRATED, pixels=None):
    if pixels is None:
        pixels = np.random.default_rng(1).integers(0, 256, (*SIZE, frames)).astype(np.float32)
    return Frame(pixels, np.eye(4), pixels.shape, calibration, Path("frame.nii.gz"))


def make_values(frames=1, *, unknown=True):
    """A slanted layer in every frame but the last of a clip; the last columns are not annotated."""
    values = np.zeros((*SIZE, frames), np.uint8)
    for index in range(max(frames - 1, 1)):
        for x in range(2, 25):
            top = 5 + index + x // 8
            values[x, top : top + 6, index] = 1
    if unknown:
        values[28:] = 255
    return values


def make_label(kind="final", frames=1, *, unknown=True):
    values = make_values(frames, unknown=unknown)
    provenance = Provenance("ab" * 32, 3, "cd" * 32, 0.5, 0.0213, WRITTEN_AT) if kind == "refined" else None
    return OutgoingLabel(kind, values, WRITTEN_AT, provenance)


def identity_of(frame, patient="p01", image="p01_f1"):
    return ImageIdentity.of(frame, patient=patient, image=image)


def make_bundle(frames=1, calibration=CALIBRATED, kinds=("final", "refined"), **names):
    frame = make_frame(frames, calibration)
    return bundle_image(frame, identity_of(frame, **names), [make_label(kind, frames) for kind in kinds])


def save(folder, datasets):
    """Write data sets as files named after their instance."""
    folder.mkdir(parents=True, exist_ok=True)
    for dataset in datasets:
        dataset.save_as(folder / f"{dataset.SOPInstanceUID}.dcm", write_like_original=False)
    return folder


def validator_errors(file):
    """What DCMTK and dicom3tools find wrong with a file."""
    found = []
    test = subprocess.run([needed_program("dcmftest"), file], capture_output=True, text=True, check=False)
    if test.returncode or not test.stdout.startswith("yes"):
        found.append(test.stdout + test.stderr)
    verify = subprocess.run([needed_program("dciodvfy"), file], capture_output=True, text=True, check=False)
    lines = (verify.stdout + verify.stderr).splitlines()
    assert any(line.strip() for line in lines), "dciodvfy names at least the kind of object"
    return found + [line for line in lines if line.startswith("Error")]
