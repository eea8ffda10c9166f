import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

from sequal.errors import ExportError
from sequal.files.exporting import bundle_metadata, export_onnx, onnx_file
from sequal.files.exporting.agreement import LARGEST_DIFFERENCE


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export_onnx(model, tmp_path_factory.mktemp("onnx") / "carotid.onnx")


@pytest.fixture
def session(exported):
    return onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("shape", [(1, 1, 32, 64), (3, 1, 96, 32), (1, 1, 224, 256)])
def test_onnxruntime_computes_what_torch_computes(session, model, shape):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        expected = model.network(x).numpy()
    np.testing.assert_allclose(session.run(["pred"], {"image": x.numpy()})[0], expected, rtol=0, atol=1e-4)


def test_the_difference_that_is_told_was_measured(exported):
    assert 0 <= exported.difference <= LARGEST_DIFFERENCE


def test_the_file_names_its_axes_and_carries_its_metadata(session, exported, model):
    (image,) = session.get_inputs()
    assert (image.name, image.shape) == ("image", ["batch", 1, "32*columns", "32*rows"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["sequal"]) == bundle_metadata(model)
    onnx.checker.check_model(onnx.load(exported.path), full_check=True)
    assert [path.name for path in exported.path.parent.iterdir()] == ["carotid.onnx"]


def test_another_size_is_refused_by_the_runtime(session):
    # A side of 40 is no multiple of 32: the network cannot put its halves together again.
    with pytest.raises((Fail, RuntimeException)):
        session.run(["pred"], {"image": np.zeros((1, 1, 40, 64), np.float32)})


def test_a_file_that_computes_something_else_is_not_written(exported, model, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "_convert", lambda _, file: file.write_bytes(exported.path.read_bytes()))
    monkeypatch.setattr(onnx_file, "_runner", lambda _: lambda x: model.network(x) + 0.001)
    target = tmp_path / "carotid.onnx"
    target.write_bytes(b"the former one")
    with pytest.raises(ExportError, match="ONNX file to agree"):
        export_onnx(model, target)
    assert target.read_bytes() == b"the former one"
    assert [path.name for path in tmp_path.iterdir()] == ["carotid.onnx"]


def test_a_network_that_onnx_cannot_hold_is_named(model, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise torch.onnx.errors.OnnxExporterError("no such operator\nlong story")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ExportError, match="'unet' to be one that ONNX can hold, got: no such operator"):
        export_onnx(model, tmp_path / "carotid.onnx")
    assert list(tmp_path.iterdir()) == []
