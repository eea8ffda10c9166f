"""The model for programs other than this app: a MONAI Bundle, ONNX, TorchScript."""

from sequal.files.exporting.agreement import LARGEST_DIFFERENCE, largest_difference
from sequal.files.exporting.bundle import export_bundle
from sequal.files.exporting.metadata import bundle_metadata
from sequal.files.exporting.model import ExportedModel
from sequal.files.exporting.onnx_file import export_onnx
from sequal.files.exporting.torchscript_file import export_torchscript
from sequal.files.exporting.written import Exported

__all__ = [
    "LARGEST_DIFFERENCE",
    "Exported",
    "ExportedModel",
    "bundle_metadata",
    "export_bundle",
    "export_onnx",
    "export_torchscript",
    "largest_difference",
]
