"""Walls as thick as people have them, for training frames: what a network draws where the intima is not seen."""

from dataclasses import replace
from typing import Final

import numpy as np

from sequal.anatomy.phantom.anatomy import Anatomy

__all__ = ["adult_wall"]

#: Median and spread (of the logarithm) of the mean thickness of a common carotid wall in adults, mm (after the
#: reference values of Engelen et al., Eur. Heart J. 34, 2368-2380, 2013: medians 0.5 to 0.8 mm from 20 to 75 years).
_MEDIAN_MM: Final = 0.64
_LOG_SD: Final = 0.26


def adult_wall(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """The anatomy with the mean thickness of an ordinary wall drawn anew from what adults have.

    `draw_anatomy` draws it uniformly, so that every thickness is tested alike. Where the lumen-intima boundary cannot
    be seen, a network draws the mean of what it was trained on, and that of a uniform draw is thicker than most walls.
    Thickened walls, plaque and everything else stay as they are.
    """
    target = float(np.clip(_MEDIAN_MM * np.exp(rng.normal(0.0, _LOG_SD)), 0.35, 1.2))
    if anatomy.kind in ("plaque", "thickened"):
        return anatomy
    thickness = anatomy.ma_mm - anatomy.li_mm
    return replace(anatomy, li_mm=anatomy.ma_mm - thickness * (target / float(thickness.mean())))
