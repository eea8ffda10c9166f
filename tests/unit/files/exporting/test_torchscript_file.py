import json

import pytest
import torch

from sequal.errors import ExportError
from sequal.files.exporting import bundle_metadata, export_torchscript, torchscript_file
from sequal.files.exporting.torchscript_file import METADATA_FILE


def test_it_computes_what_the_network_computes_and_says_what_it_wants(model, tmp_path):
    exported = export_torchscript(model, tmp_path / "carotid.ts")
    extra = {METADATA_FILE: ""}
    loaded = torch.jit.load(exported.path, _extra_files=extra)
    x = torch.rand(2, 1, 160, 32, generator=torch.Generator().manual_seed(6))
    with torch.inference_mode():
        torch.testing.assert_close(loaded(x), model.network(x), rtol=0, atol=1e-4)
    assert exported.difference <= 1e-4
    assert json.loads(extra[METADATA_FILE]) == bundle_metadata(model)


def test_a_file_that_is_there_is_replaced(model, tmp_path):
    (tmp_path / "carotid.ts").write_bytes(b"the former one")
    export_torchscript(model, tmp_path / "carotid.ts")
    assert torch.jit.load(tmp_path / "carotid.ts") is not None


def test_a_file_that_computes_something_else_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(torchscript_file.torch.jit, "load", lambda *_, **__: lambda x: model.network(x) * torch.nan)
    with pytest.raises(ExportError, match="TorchScript file to agree"):
        export_torchscript(model, tmp_path / "carotid.ts")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_cannot_be_traced_is_named(model, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no trace\nlong story")

    monkeypatch.setattr(torchscript_file.torch.jit, "trace", fail)
    with pytest.raises(ExportError, match="'unet' to be one that can be traced, got: no trace"):
        export_torchscript(model, tmp_path / "carotid.ts")
