"""From the probability of the layer to the mask that the app shows: without pieces that cannot be a wall.

This file travels with every exported bundle. The rules themselves stand in `pieces.py`, the app's own file.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from .pieces import clean_layer
from .working_grid import pixel_size_mm

__all__ = ["CleanMaskd"]


class CleanMaskd(MapTransform):
    """Leave out pieces of the layer that cannot be a wall, and decide.

    Args:
        keys: of the probabilities, float32 in the shape of the image's file.
        frame_key: of the image as it was read, before normalisation.
        min_piece_mm: shortest piece; 0: every piece stays, as in the app.
        labelled_lumen: an uneven lumen above the layer in the labels that taught the model, see `drop_without_lumen`;
            None: a layer needs no lumen above it, and may be short.
        shortest_mm: a layer that is shorter is the wall of a vessel that is cut across, see `drop_cut_across`.
        pixel_mm: size of a pixel of an image that is not calibrated.
        credible_mm: smallest and largest pixel of an image that counts as calibrated.
    """

    def __init__(
        self,
        keys: KeysCollection,
        frame_key: str,
        min_piece_mm: float,
        labelled_lumen: float | None,
        shortest_mm: float,
        pixel_mm: float,
        credible_mm: tuple[float, float],
    ) -> None:
        super().__init__(keys)
        self.frame_key = frame_key
        self.min_piece_mm = min_piece_mm
        self.labelled_lumen = labelled_lumen
        self.shortest_mm = shortest_mm
        self.pixel_mm = pixel_mm
        self.credible_mm = (credible_mm[0], credible_mm[1])

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the probabilities under each key by a uint8 mask, 1 for the layer."""
        result = dict(data)
        frame = result[self.frame_key]
        pixel_mm = pixel_size_mm(frame.affine, self.credible_mm) or (self.pixel_mm, self.pixel_mm)
        for key in self.key_iterator(result):
            probability = result[key]
            shape = tuple(probability.shape)
            layer = np.ascontiguousarray(probability.numpy().reshape(shape[:2]), dtype=np.float32)
            pixels = np.ascontiguousarray(frame.numpy().reshape(shape[:2]), dtype=np.float32)
            layer = clean_layer(layer, pixels, pixel_mm, self.min_piece_mm, self.labelled_lumen, self.shortest_mm)
            mask = torch.from_numpy((layer > 0.5).astype(np.uint8).reshape(shape))
            result[key] = MetaTensor(mask, meta=probability.meta)
        return result
