"""The loop on real MR of nibabel's own test data: a T1-weighted head of 2 mm, an echo-planar one of 2 x 2 x 2.2 mm.

Nobody has drawn anything in them. The annotator's label is the head: what is brighter than air, without holes.
"""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from sequal.anatomy.measurement import label_dice
from sequal.anatomy.models import model_of
from sequal.files.imaging import read_frame
from sequal.learning.training import run_round
from sequal.prediction import load_pair, predict_image
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import StudyState
from sequal.study.volume_plan import with_plan

DATA = Path(nib.__file__).parent / "tests" / "data"
CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not (DATA / "anatomical.nii").exists(), reason="nibabel came without its test data")


def head(voxels):
    """The greatest piece that is brighter than half the mean of the brighter half, filled slice by slice."""
    bright = voxels > 0.5 * voxels[voxels > voxels.mean()].mean()
    pieces, _ = ndimage.label(bright)
    largest = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    filled = [ndimage.binary_fill_holes(one) for one in np.moveaxis(largest, 2, 0)]
    return np.stack(filled, axis=2).astype(np.uint8)


@pytest.fixture
def study(tmp_path):
    """Both heads as files of a study, with what the annotator would draw: {id: (image, label)}."""
    anatomical, echo_planar = nib.load(DATA / "anatomical.nii"), nib.load(DATA / "example4d.nii.gz")
    files = {}
    for name, voxels, affine in (
        ("t1", np.asarray(anatomical.dataobj), anatomical.affine),
        ("epi", np.asarray(echo_planar.dataobj[..., 0]), echo_planar.affine),
    ):
        image, label = tmp_path / f"{name}.nii.gz", tmp_path / "labels" / f"{name}.nii.gz"
        label.parent.mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(voxels.astype(np.int16), affine), image)
        nib.save(nib.Nifti1Image(head(voxels.astype(float)), affine), label)
        files[name] = image, label
    return files


def test_infer_label_train_infer(study, tmp_path):
    asked = {
        "models": "volume",
        "labels": "head",
        "volume_spacing": "5,5,5",
        "volume_patch": "32,32,32",
        "device": "cpu",
        "batch_labelled": "1",
        "batch_unlabelled": "1",
        "learning_rate": "0.003",
        "validation_fraction": "0",
        "iterations_per_epoch": "10",
        "epochs": "3",
        "trigger": "never",
    }
    settings = with_plan(Settings.from_conf(asked), [image for image, _ in study.values()], tmp_path / "plan.json")
    state = StudyState.open(tmp_path / "state", settings)
    truths = {name: np.asarray(nib.load(label).dataobj) for name, (_, label) in study.items()}

    def round_with(*labelled):
        items = [Item(name, image, label if name in labelled else None, name) for name, (image, label) in study.items()]
        report = run_round([i for i in items if i.label], [i for i in items if not i.label], state, settings)
        assert report.published, report.reason
        loaded = load_pair(state.published, CPU)
        found = {name: predict_image(read_frame(image), loaded, settings, CPU) for name, (image, _) in study.items()}
        return found, {name: label_dice(found[name].mask, truths[name]) for name in study}

    _, after_one = round_with("t1")
    found, after_two = round_with("t1", "epi")
    assert after_one["t1"] > 0.6, "thirty steps, from random weights"
    assert min(after_two.values()) > 0.8
    assert after_two["epi"] > after_one["epi"] + 0.1, "another sequence is learnt from its own label"
    for name, (image, label) in study.items():
        assert found[name].mask.shape == nib.load(label).shape
        voxel_ml = abs(np.linalg.det(nib.load(label).affine[:3, :3])) / 1000
        told = model_of(settings).report(found[name].shown, read_frame(image))["volumes_ml"]
        assert told["head"] == pytest.approx(truths[name].sum() * voxel_ml, rel=0.25)
