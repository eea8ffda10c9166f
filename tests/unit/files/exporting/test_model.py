import pytest
import torch

from sequal.errors import CheckpointError, SettingsError
from sequal.files.exporting import ExportedModel
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture
from sequal.prediction import checkpoint_payload
from sequal.settings import Settings
from sequal.study.state import load_checkpoint, save_checkpoint
from unit.commands.studies import random_checkpoint


def test_the_teacher_is_exported(tmp_path):
    path = random_checkpoint(tmp_path / "c.pt")
    checkpoint = load_checkpoint(path)
    found = ExportedModel.load(path, Settings()).network.state_dict()
    for name, weights in checkpoint.members["teacher"].weights.items():
        torch.testing.assert_close(found[name], weights, rtol=0, atol=0)
    assert any(not torch.equal(found[name], weights) for name, weights in checkpoint.members["student"].weights.items())


def test_a_working_grid_that_was_not_trained_is_refused(tmp_path):
    meta = {"settings": {"working_spacing_mm": 0.05}}
    save_checkpoint(tmp_path / "c.pt", checkpoint_payload(MeanTeacherPair(Architecture("unet")), meta))
    with pytest.raises(SettingsError, match=r"--conf working_spacing_mm=0\.05"):
        ExportedModel.load(tmp_path / "c.pt", Settings())
    assert ExportedModel.load(tmp_path / "c.pt", Settings(working_spacing_mm=0.05)).meta == meta


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / "c.pt").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"damaged|pickled"):
        ExportedModel.load(tmp_path / "c.pt", Settings())
