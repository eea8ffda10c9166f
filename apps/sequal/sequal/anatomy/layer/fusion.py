"""Fusion of a label of a layer: a column that the expert left out is filled where the layer continues his."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label as connected_components

from sequal.anatomy.layer.supervision import apply_supervision
from sequal.labels import INTIMA_MEDIA
from sequal.learning.refinement import FusionResult

__all__ = ["continue_layer"]

#: A column that the expert left out may be filled this many times as thick as his thickest one.
_THICKER: Final = 1.5


def continue_layer(result: FusionResult, current: NDArray[np.uint8], expert: NDArray[np.uint8]) -> FusionResult:
    """What remains of a fusion (`fuse`) under `supervision = columns`; a deviation from S1.

    A column that the expert left out is filled only where the layer continues what he drew, connected with it and not
    much thicker; a column that ends without foreground stays unknown, for the reason that `apply_supervision` gives:
    otherwise a missed piece of wall would be learnt as background.

    Args:
        result: of `fuse`, uint8 (W, H) in {0, 1, 255}.
        current: uint8 (W, H), ỹ, supervision already applied.
        expert: uint8 (W, H), y, supervision already applied.
    """
    if not result.accepted:
        return result
    fused = apply_supervision(_continued(result.label, current, expert == INTIMA_MEDIA), "columns")
    return replace(result, label=fused, pixels_changed=int(np.count_nonzero(fused != current)))


def _continued(fused: NDArray[np.uint8], current: NDArray[np.uint8], drawn: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The update without what it does, in columns that the expert left out, beside the layer that continues his.

    It continues when it is connected with what he drew (eight neighbours) and not much thicker than where he drew it
    thickest.
    """
    pieces, _ = connected_components(fused == INTIMA_MEDIA, structure=np.ones((3, 3), dtype=np.uint8))
    continued = np.isin(pieces, np.setdiff1d(pieces[drawn], 0))
    thin = np.count_nonzero(continued, axis=1) <= _THICKER * np.count_nonzero(drawn, axis=1).max()
    left_out = ~drawn.any(axis=1)
    refused = left_out & ~(continued.any(axis=1) & thin)
    stray = left_out[:, None] & (fused == INTIMA_MEDIA) & ~continued
    return np.where(refused[:, None] | stray, current, fused)
