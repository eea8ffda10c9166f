"""What a program that has only the exported file must know: in the form of a MONAI Bundle's metadata."""

from importlib.metadata import version
from typing import Any, Final

from sequal.anatomy.models.carotid import labelled_lumen, shortest_layer_mm
from sequal.files.exporting.model import ExportedModel
from sequal.files.imaging import MAX_SPACING_MM, MIN_SPACING_MM
from sequal.labels import LABEL_NAMES
from sequal.learning.networks import NETWORK_STRIDE
from sequal.preparation.normalisation import HIGH_PERCENTILE, LOW_PERCENTILE
from sequal.preparation.working_grid import LATERAL_FACTOR

__all__ = ["INPUT_NAME", "OUTPUT_NAME", "bundle_metadata", "working_grid_arguments"]

INPUT_NAME: Final = "image"
OUTPUT_NAME: Final = "pred"
#: MONAI's own; nothing is fetched from there unless `verify_metadata` is called with a file that does not exist.
_SCHEMA: Final = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
#: Of this form of bundle; a model is known by its digest.
_VERSION: Final = "0.1.0"


def bundle_metadata(model: ExportedModel) -> dict[str, Any]:
    """Everything about the model, JSON-ready; the content of a bundle's `metadata.json`.

    It also travels inside the ONNX and the TorchScript file. The key `sequal` holds what MONAI's keys have no place
    for: the way from an image to the input and from the output to a mask.
    """
    shape = [f"{NETWORK_STRIDE}*n", f"{NETWORK_STRIDE}*n"]
    classes = {"0": "background", **{str(value): name for name, value in LABEL_NAMES.items()}}
    return {
        "schema": _SCHEMA,
        "version": _VERSION,
        "changelog": {_VERSION: f"checkpoint {model.digest}, round {model.meta.get('round', 0)}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": {name: version(name) for name in ("nibabel", "scipy", "pytorch-ignite", "fire")},
        "name": "carotid intima-media",
        "task": "Segmentation of the far-wall intima-media layer of the common carotid artery in B-mode ultrasound",
        "description": "The network of a SEQUAL study: trained by active learning from sparse, noisy labels.",
        "authors": "whoever trained the checkpoint, with SEQUAL for MONAI Label",
        "copyright": "The weights belong to whoever trained them; the program that made them is Apache-2.0.",
        "intended_use": "Research. Not a medical device.",
        "data_type": "nibabel",
        "image_classes": "one grey channel, scaled to 0..1 as `sequal.input` says",
        "label_classes": "0 background, 1 intima-media, 255 not annotated",
        "pred_classes": "2 channels of logits: background, intima-media",
        "network_data_format": {
            "inputs": {
                INPUT_NAME: {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "US",
                    "num_channels": 1,
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": False,
                    "channel_def": {"0": "image"},
                }
            },
            "outputs": {
                OUTPUT_NAME: {
                    "type": "image",
                    "format": "labels",
                    "num_channels": len(classes),
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": False,
                    "channel_def": classes,
                }
            },
        },
        "sequal": {"checkpoint": model.digest, "network": model.name, **_steps(model)},
    }


def working_grid_arguments(model: ExportedModel) -> dict[str, Any]:
    """Arguments of the two transforms of a bundle that lead to the working grid and back."""
    depth = model.settings.working_spacing_mm
    return {
        "spacing_mm": [depth * LATERAL_FACTOR, depth],
        "credible_mm": [MIN_SPACING_MM, MAX_SPACING_MM],
        "max_pixels": model.settings.max_working_pixels,
        "stride": NETWORK_STRIDE,
    }


def _steps(model: ExportedModel) -> dict[str, Any]:
    grid = working_grid_arguments(model)
    lateral, axial = grid["spacing_mm"]
    return {
        "input": {
            "axes": "(batch, channel, W, H): W lateral, to the right; H depth, downwards. A picture of rows and "
            "columns is transposed first",
            "channels": "1, grey; colour as ITU-R BT.601 luma",
            "normalisation": f"each frame by itself, before resampling: its {LOW_PERCENTILE} % percentile to 0, its "
            f"{HIGH_PERCENTILE} % percentile to 1, clipped",
            "low_percentile": LOW_PERCENTILE,
            "high_percentile": HIGH_PERCENTILE,
            "spacing_mm": [lateral, axial],
            "resampling": "bilinear, half-pixel centres (align_corners false), low-pass filtered where it shrinks",
            "not_calibrated": f"an image whose pixels are not {MIN_SPACING_MM} to {MAX_SPACING_MM} mm is taken as if "
            f"they were {axial} mm high and wide",
            "largest_pixels": grid["max_pixels"],
            "padding": f"at the far ends of both axes to multiples of {NETWORK_STRIDE}, repeating the border",
            "stride": NETWORK_STRIDE,
        },
        "output": {
            "values": "logits; softmax over the channel axis gives probabilities",
            "to_image": "cut the padding off, resample the probability of channel 1 to the image as above",
            "mask": "probability above 0.5, without pieces that cannot be a wall",
            "clean_up": {
                "min_piece_mm": model.settings.min_piece_mm,
                "rules": "left out, in this order: pieces with less than 2 mm of the scan above them and mostly scan "
                "in the 2 mm below; pieces laterally shorter than min_piece_mm or a quarter of the longest; of pieces "
                "above each other all but the one with the greatest sum of probabilities, or the deeper one where its "
                "sum is at least 0.6 of that; the layer where d is at least 0.16, d times u is over 0.03, and u is "
                "over 1.5 times labelled_lumen; and the layer where the columns of its mask are under shortest_mm, and "
                "under 0.4 of those of mask and scan. d is 1 - 2 S(p over the mask) / (S(p) + pixels of the mask), "
                "divided by columns of the mask / columns of mask and scan, in which 30 % of the pixels differ from "
                "the first one by 0.008 of the range. u is the standard deviation of the grey values 0.3 to 3.5 mm "
                "above the layer over their mean in the 0.6 mm below it, less the 0.5th percentile of the frame. "
                "labelled_lumen null: neither of the last two; min_piece_mm 0: none of it",
                "labelled_lumen": labelled_lumen(model.surroundings),
                "shortest_mm": shortest_layer_mm(model.surroundings),
            },
        },
    }
