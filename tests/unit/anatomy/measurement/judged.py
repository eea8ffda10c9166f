"""Layers that can be judged by hand."""

import numpy as np

from sequal.anatomy.measurement import judge_frame

SPACING = (0.1, 0.05)


def layer(top, bottom, columns=slice(0, 20)):
    """Rows top to bottom - 1 of a frame of 20 x 60."""
    found = np.zeros((20, 60), np.uint8)
    found[columns, top:bottom] = 1
    return found


def judged(mask, truth, spacing_mm=SPACING):
    return judge_frame(mask.astype(np.float32), truth, spacing_mm)
