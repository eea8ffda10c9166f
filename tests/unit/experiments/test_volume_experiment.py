"""Whole experiments on volumes: the published recipe on H5 files, and a folder of CT and MR."""

import json

import h5py
import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

import cli
from sequal.anatomy.phantom.volumes import BODY_LABELS
from sequal.errors import LabelError, SettingsError, StudyError
from sequal.experiments import Plan
from sequal.experiments.dataset import prepare_dataset
from sequal.experiments.report import write_report
from sequal.experiments.volume_folder import make_volumes
from sequal.experiments.volumes import find_volumes
from unit.experiments.miniature import play, results

HEART = ",".join(BODY_LABELS["heart"])
VOLUMES = {"models": "volume", "labels": HEART, "volume_spacing": "8,8,8", "volume_patch": "32,32,16"}
TINY = {
    "network": "basic_unet",
    "epochs": "1",
    "iterations_per_epoch": "1",
    "batch_labelled": "1",
    "batch_unlabelled": "1",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Eight volumes of four patients, each seen by CT and MR; only to be read."""
    folder = tmp_path_factory.mktemp("volumes") / "study"
    make_volumes(folder, count=8, shape=(24, 24, 16))
    return folder


@pytest.fixture(scope="module")
def left_atrium(study, tmp_path_factory):
    """Six of them as that community shares them: a folder a case, one structure, no spacing; only to be read."""
    folder = tmp_path_factory.mktemp("h5") / "LA"
    for number, path in enumerate(sorted(study.glob("*.nii.gz"))[:6]):
        case = folder / f"CASE{number}" / "mri_norm2.h5"
        case.parent.mkdir(parents=True)
        voxels = np.asarray(nib.load(path).dataobj, np.float32)
        truth = np.asarray(nib.load(study / "truth" / path.name).dataobj)
        with h5py.File(case, "w") as file:
            file["image"] = (voxels - voxels.mean()) / voxels.std()
            file["label"] = (truth == 1).astype(np.uint8)
    return folder


def test_the_published_recipe_in_one_command(left_atrium, tmp_path):
    (tmp_path / "test.list").write_text("CASE1\nCASE4\n")
    folder = tmp_path / "e"
    command = (
        f"simulate {folder} --images {left_atrium} --test-list {tmp_path / 'test.list'} --models volume "
        "--conf labels left_atrium --method cross --preset paper --start 2 --rounds 1 --strategies random "
        "--refinement off --scores needed"
    )
    reduced = " --volume_patch 32,32,16 --epochs 1 --iterations_per_epoch 1 --batch_labelled 1 --batch_unlabelled 1"
    ran = CliRunner().invoke(cli.app, [*command.split(), *reduced.split()])
    assert ran.exit_code == 0, ran.output
    (found,) = results(folder).values()
    assert sorted(image["id"] for image in found["test"]["images"]) == ["CASE1_mri_norm2", "CASE4_mri_norm2"]
    assert all(image["unit"] == "voxels" and 0 <= image["dice"] <= 1 for image in found["test"]["images"])
    assert len(found["labelled"]) == 2
    assert found["labels"]["expert"] == 1.0, "labels of volumes are the truth"
    assert found["training"]["published"]
    assert found["instrument"]["pool_images"] == 0, "random queries need no scores"
    plan = Plan.load(folder / "experiment.json")
    settings = plan.settings_of(plan.cells()[0])
    assert (settings.network, settings.second_network, settings.optimizer) == ("vnet", "resnet_vnet", "sgd")
    assert json.loads((folder / "data" / "volume_plan.json").read_bytes())["volume_spacing"] == "1,1,1"
    assert nib.load(next((folder / "data" / "pool" / "images").glob("*.nii.gz"))).get_data_dtype() == np.float32


def test_a_folder_of_volumes_is_played_and_reported(study, tmp_path):
    given = {
        "images": str(study),
        "masks": str(study / "truth"),
        "test_fraction": 0.25,
        "start": 2,
        "budget": 2,
        "rounds": 2,
        "strategies": "pld,bald",
        "settings": {**VOLUMES, **{key: value for key, value in TINY.items() if key != "network"}},
        "network": TINY["network"],
    }
    play(tmp_path / "e", given)
    found = results(tmp_path / "e")
    first, second = (found[f"cells/pld-on-s0/round-0{number}.json"] for number in (1, 2))
    assert {"pld", "entropy", "pld_kl"} <= first["instrument"]["scores"].keys()
    assert "pld_kl_rounds" in second["instrument"]["scores"]
    assert set(second["labelled"]) == set(first["labelled"]) | {query["id"] for query in first["queried"]}
    image = second["test"]["images"][0]
    assert image["unit"] == "mm"
    assert image["by_label"].keys() <= set(BODY_LABELS["heart"])
    one = next(iter(image["by_label"].values()))
    truth = nib.load(study / "truth" / f"{image['id']}.nii.gz")
    voxel_ml = abs(np.linalg.det(truth.affine[:3, :3])) / 1000
    number = list(BODY_LABELS["heart"]).index(next(iter(image["by_label"]))) + 1
    assert one["volume_ml_true"] == pytest.approx(np.count_nonzero(np.asarray(truth.dataobj) == number) * voxel_ml)
    assert second["test"]["mean"]["volume_error"] is not None
    assert second["test"]["mean"]["imt_bias"] is None
    summary = write_report(tmp_path / "e", tmp_path / "report")
    assert summary["pld"]["imt"] is None
    assert "volume error" in (tmp_path / "report" / "report.md").read_text()
    assert (tmp_path / "e" / "thumbnails" / f"{first['labelled'][0]}.png").exists()


def options(study, **changes):
    return {"images": str(study), "masks": str(study / "truth"), "start": 1, "rounds": 1, **changes}


def test_prepared_volumes_keep_place_and_truth(study, tmp_path):
    plan = Plan.of(options(study, settings=VOLUMES))
    dataset = prepare_dataset(tmp_path / "data", plan)
    for split in ("pool", "test"):
        for image, known in dataset.frames[split].items():
            stored, source = nib.load(dataset.image(split, image)), nib.load(study / f"{image}.nii.gz")
            np.testing.assert_allclose(stored.affine, source.affine, atol=1e-4)
            np.testing.assert_array_equal(np.asarray(stored.dataobj), np.asarray(source.dataobj, np.float32))
            truth = np.asarray(nib.load(study / "truth" / f"{image}.nii.gz").dataobj)
            np.testing.assert_array_equal(dataset.truth(split, image), truth)
            assert known.spacing_mm == pytest.approx(nib.affines.voxel_sizes(source.affine), abs=1e-4)
    patients = [{frame.patient for frame in dataset.frames[split].values()} for split in ("pool", "test")]
    assert not patients[0] & patients[1]


def test_a_value_that_no_structure_has_is_named_with_its_file(study, left_atrium, tmp_path):
    one = {**VOLUMES, "labels": next(iter(BODY_LABELS["heart"]))}
    read = next(iter(find_volumes(Plan.of(options(study, settings=one))).pool.values()))
    with pytest.raises(LabelError, match=r"p0\d_v1.*got \[2"):
        read()
    with h5py.File(tmp_path / "case.h5", "w") as file:
        file["image"], file["label"] = np.ones((8, 8, 8), np.float32), np.full((8, 8, 8), 7, np.uint8)
    given = {"images": str(tmp_path), "start": 1, "rounds": 1, "splits": "seed", "settings": one}
    with pytest.raises(LabelError, match=r"values of case\.h5.*got \[7\]"):
        find_volumes(Plan.of(given)).pool["case"]()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": "32x32"}, "--size` only with frames"),
        ({"noise": "none"}, "--noise` only with frames"),
        ({"variants": {"other": {"labels": "liver"}}}, "the same `labels` in all variants"),
        ({"settings": {"models": "volume"}}, "Expected `labels` to name"),
    ],
)
def test_options_that_say_nothing_of_volumes_are_refused(study, changes, words):
    with pytest.raises(SettingsError, match=words):
        find_volumes(Plan.of(options(study, **{"settings": VOLUMES, **changes})))


def test_folders_that_hold_no_cases_are_refused(study, left_atrium, tmp_path):
    given = {"start": 1, "rounds": 1, "settings": VOLUMES}
    with pytest.raises(SettingsError, match="H5 files with `image` and `label`"):
        find_volumes(Plan.of({**given, "images": str(study)}))
    names = tmp_path / "test.list"
    for text, words in (("CASE9\n", "'CASE9', of which there is none"), ("\n", "an empty list")):
        names.write_text(text)
        with pytest.raises(StudyError, match=words):
            find_volumes(Plan.of({**given, "images": str(left_atrium), "test_list": str(names)}))
