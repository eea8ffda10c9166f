"""The network as one ONNX file."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequal.errors import ExportError
from sequal.files.exporting.agreement import check_agreement, example_input
from sequal.files.exporting.metadata import INPUT_NAME, OUTPUT_NAME, bundle_metadata
from sequal.files.exporting.model import ExportedModel
from sequal.files.exporting.reason import reason
from sequal.files.exporting.written import Exported, staged
from sequal.learning.networks import NETWORK_STRIDE

__all__ = ["export_onnx"]

#: Read by onnxruntime from 1.14 on.
_OPSET: Final = 18
_LARGEST_BATCH: Final = 1024
#: 8192 pixels: more than any frame, small enough for 32-bit counts.
_LARGEST_STRIDES: Final = 256


def export_onnx(model: ExportedModel, target: Path) -> Exported:
    """Write the network as ONNX, any batch and any size in multiples of 32, and check it in onnxruntime.

    The input is `image`, the output `pred`; the metadata stand in the file under `sequal`, as JSON.

    Args:
        model: the network.
        target: the file; one that is there is replaced when all went well.

    Raises:
        ExportError: it cannot be written, the network cannot be told in ONNX, or onnxruntime computes something
            else.
    """
    with staged(target) as file:
        _convert(model, file)
        _note(file, json.dumps(bundle_metadata(model)))
        difference = check_agreement(model.network, _runner(file), "ONNX file")
    return Exported(target, difference)


def _convert(model: ExportedModel, file: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    columns = torch.export.Dim("columns", min=1, max=_LARGEST_STRIDES)
    rows = torch.export.Dim("rows", min=1, max=_LARGEST_STRIDES)
    try:
        with _quiet():
            torch.onnx.export(
                model.network,
                (example_input(),),
                file,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=({0: batch, 2: NETWORK_STRIDE * columns, 3: NETWORK_STRIDE * rows},),
                opset_version=_OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise ExportError(
            f"Expected the network {model.name!r} to be one that ONNX can hold, got: "
            f"{reason(error)}. Export in another format."
        ) from error


def _note(file: Path, metadata: str) -> None:
    import onnx

    graph = onnx.load(file)
    onnx.helper.set_model_props(graph, {"sequal": metadata})
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, file)


def _runner(file: Path) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        outputs: list[NDArray[np.float32]] = session.run([OUTPUT_NAME], {INPUT_NAME: x.numpy()})
        return torch.from_numpy(outputs[0])

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's progress and its notes to programmers."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
