import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import verify_metadata
from monai.data import MetaTensor
from PIL import Image

from sequal.anatomy.layer import pieces
from sequal.anatomy.phantom import HOSPITAL, draw_hospital_frames, simulate_frame, simulate_hospital_frame
from sequal.errors import ExportError
from sequal.files.exporting import ExportedModel, bundle_metadata, export_bundle, largest_difference
from sequal.files.exporting import bundle as bundle_module
from sequal.files.exporting.bundle_scripts import ToWorkingGridd
from sequal.files.exporting.metadata_rules import METADATA_RULES
from sequal.files.imaging import read_frame
from sequal.learning.networks import Architecture, create_network
from sequal.prediction import load_pair, predict_image
from sequal.preparation import normalisation
from sequal.settings import Settings
from unit.synthetic_study import write_image

REPOSITORY = Path(__file__).parents[4]
CPU = torch.device("cpu")
WEIGHTS = REPOSITORY / "apps" / "sequal" / "model" / "pretrained_carotid.pt"
#: Simulated frames of the test that runs everywhere.
FRAMES = 8
#: Real frames, beside the project where somebody has them.
_PLACES = (parent / "shared" / "data" / "carotid" / "study" for parent in REPOSITORY.parents)
REAL = next((place for place in _PLACES if place.is_dir()), None)


@pytest.fixture(scope="module")
def model():
    """The starting weights: their masks show whether every step is there."""
    return ExportedModel.load(WEIGHTS, Settings())


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export_bundle(model, tmp_path_factory.mktemp("bundles") / "carotid")


def _monai(folder, *arguments):
    """`python -m monai.bundle` as the bundle's page says, without this app on the path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-m", "monai.bundle", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=500
    )


def test_the_folder_is_that_of_the_specification(exported):
    files = {str(path.relative_to(exported.path)) for path in exported.path.rglob("*") if path.is_file()}
    assert files == {
        "configs/inference.json",
        "configs/metadata.json",
        "configs/metadata.schema.json",
        "docs/README.md",
        "models/model.pt",
        "scripts/__init__.py",
        "scripts/cleaning.py",
        "scripts/normalisation.py",
        "scripts/pieces.py",
        "scripts/saving.py",
        "scripts/working_grid.py",
    }
    assert exported.difference <= 1e-4


def _run(folder, images, masks, *more):
    places = ["--dataset_dir", str(images), "--output_dir", str(masks)]
    done = _monai(folder, "run", "--config_file", "configs/inference.json", *places, *more)
    assert done.returncode == 0, done.stderr[-2000:]


@cache
def _pair():
    return load_pair(WEIGHTS, CPU)


def _of_the_app(path, model, **settings):
    """The app's own way from a file to a mask, in the shape of the file."""
    frame = read_frame(path)
    return predict_image(frame, _pair(), replace(model.settings, **settings), CPU).mask.reshape(frame.shape)


def _assert_the_masks_are_those_of_the_app(images, masks, model):
    """Voxel for voxel; gives whether the clean-up left something out in one of them."""
    cleaned = False
    for path in sorted(images.iterdir()):
        mask = nib.load(masks / f"{path.name.partition('.')[0]}_mask.nii.gz")
        expected = _of_the_app(path, model)
        assert mask.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(np.asanyarray(mask.dataobj), expected, err_msg=path.name)
        if path.name.endswith(".nii.gz"):
            np.testing.assert_allclose(mask.affine, nib.load(path).affine, atol=1e-6)
        cleaned = cleaned or bool((_of_the_app(path, model, min_piece_mm=0.0) != expected).any())
    return cleaned


@pytest.mark.timeout(600)
def test_monai_runs_it_and_finds_the_masks_of_the_app(exported, model, tmp_path):
    """Whole frames, of a hospital that the weights do badly at, so that the clean-up has something to do."""
    images = tmp_path / "images"
    images.mkdir()
    for which in draw_hospital_frames(HOSPITAL, 0, 0, FRAMES):
        frame = simulate_hospital_frame(HOSPITAL, 0, which)
        write_image(images / f"h{which.patient}_{which.index}.nii.gz", frame.pixels[:, :, None], frame.spacing_mm)
    shutil.copy(REPOSITORY / "sample-data" / "p01_f1.nii.gz", images / "a.nii.gz")
    pixels = read_frame(images / "a.nii.gz").pixels
    write_image(images / "b.nii.gz", pixels[:200, 20:], (0.12, 0.09))
    write_image(images / "c.nii.gz", pixels[50:], (1.0, 1.0))
    fascia = simulate_frame(np.random.default_rng([77001, 32]), kind="no_wall")  # without a lumen above it
    write_image(images / "d.nii.gz", fascia.pixels[:, :, None], fascia.spacing_mm)
    _run(exported.path, images, tmp_path / "masks")
    assert _assert_the_masks_are_those_of_the_app(images, tmp_path / "masks", model)
    assert np.asanyarray(nib.load(tmp_path / "masks" / "a_mask.nii.gz").dataobj).sum() > 1000
    assert not np.asanyarray(nib.load(tmp_path / "masks" / "d_mask.nii.gz").dataobj).any()
    assert _of_the_app(images / "d.nii.gz", model, min_piece_mm=0.0).any()


@pytest.mark.timeout(600)
def test_pictures_get_the_masks_of_the_app(exported, model, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    pixels = read_frame(REPOSITORY / "sample-data" / "p01_f1.nii.gz").pixels
    Image.fromarray(pixels[:, :, 0].T.astype(np.uint8)).save(images / "a.png")
    _run(exported.path, images, tmp_path / "masks", "--pattern", "*.png")
    _assert_the_masks_are_those_of_the_app(images, tmp_path / "masks", model)


@pytest.mark.skipif(REAL is None, reason="needs the real frames, which are no part of the project")
@pytest.mark.timeout(600)
def test_real_frames_get_the_masks_of_the_app(exported, model, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for path in REAL.glob("*.nii.gz"):
        shutil.copy(path, images)
    _run(exported.path, images, tmp_path / "masks")
    assert _assert_the_masks_are_those_of_the_app(images, tmp_path / "masks", model)


def test_the_clean_up_of_a_bundle_is_the_file_of_the_app(exported):
    for module in (normalisation, pieces):
        own = Path(module.__file__)
        assert (exported.path / "scripts" / own.name).read_bytes() == own.read_bytes()


@pytest.mark.parametrize("page", ["bundle", "docs"])
def test_the_pages_say_first_where_the_masks_are_not_those_of_the_app(exported, page):
    path = exported.path / "docs" / "README.md" if page == "bundle" else REPOSITORY / "docs" / "export.md"
    text = path.read_text()
    assert text.index("masks may differ from the app's") < text.index("```")


def test_a_clip_and_a_frame_with_holes_are_refused(exported):
    grid = json.loads((exported.path / "configs" / "inference.json").read_text())["preprocessing"]["transforms"][-1]
    arguments = {key: value for key, value in grid.items() if key not in ("_target_", "keys")}
    for shape, hole, words in (((64, 48, 3), 0.0, "one grey frame"), ((64, 48, 1), np.nan, "a finite number")):
        pixels = torch.ones(1, *shape)
        pixels[0, 3, 3] = hole
        image = MetaTensor(pixels, affine=torch.eye(4), meta={"spatial_shape": np.array(shape)})
        with pytest.raises(ValueError, match=words):
            ToWorkingGridd("image", **arguments)({"image": image})


@pytest.mark.timeout(600)
def test_monais_own_verification_passes_on_the_command_line(exported):
    files = ["--meta_file", "configs/metadata.json"]
    metadata = _monai(exported.path, "verify_metadata", *files, "--filepath", "configs/metadata.schema.json")
    assert metadata.returncode == 0, metadata.stderr[-2000:]
    assert "metadata is verified with no error" in metadata.stdout + metadata.stderr
    config = ["--config_file", "configs/inference.json", "--device", "cpu", "--n", "3"]
    shapes = _monai(exported.path, "verify_net_in_out", "network_def", *files, *config)
    assert shapes.returncode == 0, shapes.stderr[-2000:]
    assert "data shape of network is verified with no error" in shapes.stdout + shapes.stderr


@pytest.mark.parametrize("missing", METADATA_RULES["required"])
def test_the_rules_find_what_is_missing(model, tmp_path, missing):
    metadata = bundle_metadata(model)
    del metadata[missing]
    # Without the address of a schema MONAI does not get as far as the rules.
    words = "must provide the `schema`" if missing == "schema" else f"'{missing}' is a required property"
    (tmp_path / "m.json").write_text(json.dumps(metadata))
    (tmp_path / "rules.json").write_text(json.dumps(METADATA_RULES))
    with pytest.raises(ValueError, match=words):
        verify_metadata(
            meta_file=str(tmp_path / "m.json"),
            filepath=str(tmp_path / "rules.json"),
            hash_val=hashlib.sha256((tmp_path / "rules.json").read_bytes()).hexdigest(),
            hash_type="sha256",
        )


def test_the_metadata_say_how_the_input_is_made(exported, model):
    steps = json.loads((exported.path / "configs" / "metadata.json").read_text())["sequal"]
    assert steps["checkpoint"] == model.digest
    assert steps["input"]["spacing_mm"] == [0.12, 0.06]
    assert (steps["input"]["low_percentile"], steps["input"]["high_percentile"]) == (0.5, 99.5)
    assert steps["input"]["stride"] == 32
    assert "transposed" in steps["input"]["axes"]
    assert "0.5" in steps["output"]["mask"]


def test_an_architecture_that_monai_lacks_comes_as_torchscript(tmp_path):
    torch.manual_seed(0)
    network = create_network(Architecture("unetplusplus")).eval()
    model = ExportedModel(
        network, "unetplusplus", Architecture("unetplusplus"), "0123", {}, Settings(), surroundings=None
    )
    exported = export_bundle(model, tmp_path / "bundle")
    traced = torch.jit.load(exported.path / "models" / "model.ts")
    assert exported.difference <= 1e-4
    assert largest_difference(network, traced) <= 1e-4
    assert "torch.jit.load" in json.loads((exported.path / "configs" / "inference.json").read_text())["network_def"]


def test_a_folder_with_something_in_it_is_left_alone(model, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match="new or empty folder"):
        export_bundle(model, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_bundle_that_fails_its_verification_leaves_nothing(model, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_module, "bundle_metadata", lambda _: {"schema": "https://x"})
    with pytest.raises(ExportError, match="MONAI's verification, got"):
        export_bundle(model, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(model, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ExportError, match="to be writable"):
        export_bundle(model, tmp_path / "file" / "bundle")
