import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import verify_metadata

from lib.errors import ExportError
from lib.exporting import ExportedModel, bundle_metadata, export_bundle, largest_difference
from lib.exporting import bundle as bundle_module
from lib.exporting.metadata_rules import METADATA_RULES
from lib.imaging import read_frame
from lib.imaging.working_frames import to_working
from lib.inference import predict_probability
from lib.networks import Architecture, create_network
from lib.settings import Settings
from unit.synthetic_study import write_image

REPOSITORY = Path(__file__).parents[3]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    """The starting weights: their masks show whether every step is there."""
    return ExportedModel.load(REPOSITORY / "apps" / "sequal" / "model" / "pretrained_carotid.pt", Settings())


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export_bundle(model, tmp_path_factory.mktemp("bundles") / "carotid")


def _monai(folder, *arguments):
    """`python -m monai.bundle` as the bundle's page says, without this app on the path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-m", "monai.bundle", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240
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
        "scripts/saving.py",
        "scripts/working_grid.py",
    }
    assert exported.difference <= 1e-4


@pytest.mark.timeout(300)
def test_monai_runs_it_and_finds_the_masks_of_the_app(exported, model, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    shutil.copy(REPOSITORY / "sample-data" / "p01_f1.nii.gz", images / "a.nii.gz")
    pixels = read_frame(images / "a.nii.gz").pixels
    write_image(images / "b.nii.gz", pixels[:200, 20:], (0.12, 0.09))
    write_image(images / "c.nii.gz", pixels[50:], (1.0, 1.0))
    expected = {
        name: predict_probability(model.network, to_working(read_frame(images / f"{name}.nii.gz"), model.settings), CPU)
        for name in "abc"
    }
    places = ["--dataset_dir", str(images), "--output_dir", str(tmp_path / "masks")]
    done = _monai(exported.path, "run", "--config_file", "configs/inference.json", *places)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, probability in expected.items():
        mask = nib.load(tmp_path / "masks" / f"{name}_mask.nii.gz")
        image = nib.load(images / f"{name}.nii.gz")
        assert mask.shape == image.shape
        assert mask.get_data_dtype() == np.uint8
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-6)
        # The app holds working frames in half precision: pixels at the edge of the decision may differ.
        sure = np.abs(probability - 0.5) > 0.005
        assert sure.mean() > 0.99
        np.testing.assert_array_equal(np.asanyarray(mask.dataobj)[sure], (probability > 0.5)[sure])
    assert (expected["a"] > 0.5).sum() > 1000


@pytest.mark.timeout(300)
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
    model = ExportedModel(network, Architecture("unetplusplus"), "0123", {}, Settings())
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
