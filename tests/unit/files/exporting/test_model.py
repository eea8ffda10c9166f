import pytest
import torch

from sequal.errors import CheckpointError, SettingsError
from sequal.files.exporting import ExportedModel
from sequal.learning.networks import Architecture, DualNetwork
from sequal.settings import Settings
from sequal.study.state import load_checkpoint, save_checkpoint
from unit.commands.studies import random_checkpoint


def test_the_teacher_is_exported(tmp_path):
    path = random_checkpoint(tmp_path / "c.pt")
    checkpoint = load_checkpoint(path)
    found = ExportedModel.load(path, Settings()).network.state_dict()
    for name, weights in checkpoint.teacher.items():
        torch.testing.assert_close(found[name], weights, rtol=0, atol=0)
    assert any(not torch.equal(found[name], weights) for name, weights in checkpoint.student.items())


def test_a_working_grid_that_was_not_trained_is_refused(tmp_path):
    weights = DualNetwork(Architecture("unet")).weights()
    meta = {"settings": {"working_spacing_mm": 0.05}}
    payload = {"format": 1, "architecture": {"name": "unet", "kwargs": {}}, **weights, "meta": meta}
    save_checkpoint(tmp_path / "c.pt", payload)
    with pytest.raises(SettingsError, match=r"--conf working_spacing_mm=0\.05"):
        ExportedModel.load(tmp_path / "c.pt", Settings())
    assert ExportedModel.load(tmp_path / "c.pt", Settings(working_spacing_mm=0.05)).meta == meta


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / "c.pt").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"damaged|pickled"):
        ExportedModel.load(tmp_path / "c.pt", Settings())
