"""The rules of the MONAI Bundle specification for `metadata.json`, as a JSON schema of our own.

MONAI's `verify_metadata` downloads MONAI's schema, and takes a file that is there already instead. A bundle carries
these rules so that it can be verified without a network. They are written after the specification
(docs.monai.io, "MONAI Bundle Specification"), stricter where this app knows more, and are not MONAI's file.
"""

from typing import Any, Final

__all__ = ["METADATA_RULES"]

_TEXT: Final = {"type": "string", "minLength": 1}
_VERSION: Final = {"type": "string", "pattern": r"^\d+\.\d+"}
_VERSIONS: Final = {"type": "object", "additionalProperties": _VERSION}
_TENSOR: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"enum": ["image", "series", "tuples", "probabilities"]},
        "format": _TEXT,
        "modality": _TEXT,
        "num_channels": {"type": "integer", "minimum": 1},
        "spatial_shape": {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1, "maxItems": 3},
        "dtype": _TEXT,
        "value_range": {"type": "array", "items": {"type": "number"}, "maxItems": 2},
        "is_patch_data": {"type": "boolean"},
        "channel_def": {"type": "object", "minProperties": 1},
    },
    "required": [
        "type",
        "format",
        "num_channels",
        "spatial_shape",
        "dtype",
        "value_range",
        "is_patch_data",
        "channel_def",
    ],
}


def _tensors(name: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": _TENSOR, "required": [name]}


METADATA_RULES: Final[dict[str, Any]] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "schema": {"type": "string", "pattern": "^https://"},
        "version": _VERSION,
        "changelog": {"type": "object"},
        "monai_version": _VERSION,
        "pytorch_version": _VERSION,
        "numpy_version": _VERSION,
        "required_packages_version": _VERSIONS,
        "task": _TEXT,
        "description": _TEXT,
        "authors": _TEXT,
        "copyright": _TEXT,
        "network_data_format": {
            "type": "object",
            "properties": {"inputs": _tensors("image"), "outputs": _tensors("pred")},
            "required": ["inputs", "outputs"],
        },
    },
    "required": [
        "schema",
        "version",
        "changelog",
        "monai_version",
        "pytorch_version",
        "numpy_version",
        "required_packages_version",
        "task",
        "description",
        "authors",
        "copyright",
        "network_data_format",
    ],
}
