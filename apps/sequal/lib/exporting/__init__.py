"""The model for programs other than this app: a MONAI Bundle, ONNX, TorchScript."""

from lib.exporting.agreement import LARGEST_DIFFERENCE, largest_difference
from lib.exporting.bundle import export_bundle
from lib.exporting.metadata import bundle_metadata
from lib.exporting.model import ExportedModel
from lib.exporting.onnx_file import export_onnx
from lib.exporting.torchscript_file import export_torchscript
from lib.exporting.written import Exported

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
