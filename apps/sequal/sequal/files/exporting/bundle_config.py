"""The configuration with which a bundle segments a folder of images."""

from typing import Any, Final

from sequal.anatomy.models.carotid import labelled_lumen, shortest_layer_mm
from sequal.files.exporting.metadata import INPUT_NAME, OUTPUT_NAME, working_grid_arguments
from sequal.files.exporting.model import ExportedModel

__all__ = ["SCRIPTS", "WEIGHTS", "WEIGHTS_TRACED", "inference_config"]

#: Folder of the bundle's own transforms, imported under this name.
SCRIPTS: Final = "scripts"
WEIGHTS: Final = "models/model.pt"
WEIGHTS_TRACED: Final = "models/model.ts"
#: Key of the image as it was read, which the clean-up looks at.
_FRAME: Final = "frame"


def inference_config(model: ExportedModel) -> dict[str, Any]:
    """The content of `configs/inference.json`, for `python -m monai.bundle run` in the folder of the bundle.

    An architecture that MONAI does not have as it is comes from the TorchScript file of the bundle.
    """
    grid = working_grid_arguments(model)
    traced = f"$torch.jit.load(@bundle_root + '/{WEIGHTS_TRACED}', map_location='cpu')"
    return {
        "imports": ["$import glob", "$import os", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "pattern": "*.nii.gz",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": model.definition or traced,
        "network": "$@network_def.to(@device)",
        "data": f"$[{{'{INPUT_NAME}': path}} for path in sorted(glob.glob(os.path.join(@dataset_dir, @pattern)))]",
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(grid)},
        "dataset": {"_target_": "Dataset", "data": "@data", "transform": "@preprocessing"},
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": 0,
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing(grid, model)},
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": f"$@bundle_root + '/{WEIGHTS}'",
                "load_dict": {"model": "@network"},
                "map_location": "@device",
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }


def _preprocessing(grid: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"_target_": "LoadImaged", "keys": INPUT_NAME, "image_only": True, "ensure_channel_first": True},
        {"_target_": "CopyItemsd", "keys": INPUT_NAME, "names": _FRAME},
        {"_target_": f"{SCRIPTS}.ToWorkingGridd", "keys": INPUT_NAME, **grid},
    ]


def _postprocessing(grid: dict[str, Any], model: ExportedModel) -> list[dict[str, Any]]:
    cleaning = {
        "frame_key": _FRAME,
        "min_piece_mm": model.settings.min_piece_mm,
        "labelled_lumen": labelled_lumen(model.surroundings),
        "shortest_mm": shortest_layer_mm(model.surroundings),
        "pixel_mm": grid["spacing_mm"][1],
        "credible_mm": grid["credible_mm"],
    }
    return [
        {"_target_": f"{SCRIPTS}.FromWorkingGridd", "keys": OUTPUT_NAME, "image_key": INPUT_NAME, **grid},
        {"_target_": f"{SCRIPTS}.CleanMaskd", "keys": OUTPUT_NAME, **cleaning},
        {"_target_": f"{SCRIPTS}.SaveMaskd", "keys": OUTPUT_NAME, "output_dir": "@output_dir"},
    ]
