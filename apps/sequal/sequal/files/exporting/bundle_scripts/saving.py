"""A mask as NIfTI in the shape of its image.

MONAI's own writer makes (W, H) or (W, H, 1, 1) of (W, H, 1); with the first ITK, and so 3D Slicer, loses the
orientation.
"""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform

__all__ = ["SaveMaskd"]

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


class SaveMaskd(MapTransform):
    """Write the mask under each key as `<name of the image>_mask.nii.gz`.

    Args:
        keys: of the masks, uint8 in the shape of the image's file, with its meta data.
        output_dir: folder to write to; it is made.
    """

    def __init__(self, keys: KeysCollection, output_dir: str) -> None:
        super().__init__(keys)
        self.output_dir = Path(output_dir)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write; the data stay as they are."""
        self.output_dir.mkdir(parents=True, exist_ok=True)
        for key in self.key_iterator(data):
            mask = data[key]
            source = Path(mask.meta["filename_or_obj"]).name
            suffix = next((end for end in _SUFFIXES if source.lower().endswith(end)), "")
            target = self.output_dir / f"{source[: len(source) - len(suffix)]}_mask.nii.gz"
            nib.save(nib.Nifti1Image(np.asarray(mask), np.asarray(mask.affine, dtype=np.float64)), target)
        return dict(data)
