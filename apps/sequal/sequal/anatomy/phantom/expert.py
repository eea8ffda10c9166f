"""A simulated expert: turns the truth into labels that are sparse, noisy and biased as a reader's are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.phantom.anatomy import smooth_curve
from sequal.labels import BACKGROUND, IGNORE, INTIMA_MEDIA

__all__ = ["SimulatedExpert", "draw_reader"]

Label = NDArray[np.uint8]
Curve = NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedExpert:
    """One reader and the errors he makes; depths grow downwards.

    Attributes:
        reader: name.
        bias_li_mm: added to every LI (negative: traced too high, the layer too thick).
        bias_ma_mm: added to every MA.
        jitter_mm: standard deviation of the smooth error of each boundary along the wall.
        jitter_length_mm: its correlation length.
        coarse_probability: chance that a whole label is drawn too thick or too thin.
        coarse_mm: by how much then, at each boundary.
        traced: smallest and largest part of the visible columns that is traced.
    """

    reader: str = "R1"
    bias_li_mm: float = 0.0
    bias_ma_mm: float = 0.0
    jitter_mm: float = 0.05
    jitter_length_mm: float = 1.5
    coarse_probability: float = 0.3
    coarse_mm: float = 0.12
    traced: tuple[float, float] = (0.4, 0.9)

    def annotate(
        self, li: Curve, ma: Curve, spacing_mm: tuple[float, float], height: int, rng: np.random.Generator
    ) -> Label:
        """Label a frame whose boundaries are known.

        Args:
            li: float64 (W,), pixels, NaN where there is no wall.
            ma: float64 (W,), pixels.
            spacing_mm: (dx, dy).
            height: H of the frame.
            rng: of this label's errors.

        Returns:
            uint8 (W, H): columns that were not traced are 255 throughout, the others 0 and 1. A frame without a wall
            gives an empty label, which says so.
        """
        shift_li, shift_ma = self._shifts(len(li), spacing_mm, rng)
        upper, lower = li + shift_li, ma + shift_ma
        lower = np.maximum(lower, upper + 1.0)  # nobody draws a layer without a pixel
        y = np.arange(height)[None, :]
        label = ((y >= upper[:, None]) & (y < lower[:, None])).astype(np.uint8) * np.uint8(INTIMA_MEDIA)
        return self._sparse(label, rng)

    def annotate_mask(
        self, mask: NDArray[np.integer[Any]], spacing_mm: tuple[float, float], rng: np.random.Generator
    ) -> Label:
        """Label a frame of which only a mask is known; every run of a column gets the same errors.

        Args:
            mask: (W, H), 1 inside the layer, 255 where nobody knows; several layers may lie above each other.
            spacing_mm: (dx, dy); for an image without calibration the pixel that the errors shall be scaled to.
            rng: of this label's errors.

        Returns:
            As `annotate`; what is 255 in `mask` stays 255.
        """
        inside = np.asarray(mask) == INTIMA_MEDIA
        if not inside.any():
            return np.where(np.asarray(mask) == IGNORE, np.uint8(IGNORE), np.uint8(BACKGROUND))
        width, height = inside.shape
        shift_li, shift_ma = self._shifts(width, spacing_mm, rng)
        edges = np.diff(inside.astype(np.int8), axis=1, prepend=0, append=0)
        (x, start), (_, end) = np.nonzero(edges == 1), np.nonzero(edges == -1)
        upper = np.clip(np.ceil(start + shift_li[x] - 0.5).astype(int), 0, height - 1)
        lower = np.clip(np.ceil(end + shift_ma[x] - 0.5).astype(int), upper + 1, height)
        steps = np.zeros((width, height + 1), dtype=np.int16)
        np.add.at(steps, (x, upper), 1)
        np.add.at(steps, (x, lower), -1)
        drawn = np.cumsum(steps[:, :height], axis=1) > 0
        label = self._sparse(drawn.astype(np.uint8) * np.uint8(INTIMA_MEDIA), rng)
        label[np.asarray(mask) == IGNORE] = IGNORE
        return label

    def _shifts(self, columns: int, spacing_mm: tuple[float, float], rng: np.random.Generator) -> tuple[Curve, Curve]:
        coarse = 0.0
        if rng.random() < self.coarse_probability:
            coarse = float(rng.choice([-1.0, 1.0])) * self.coarse_mm
        length = max(self.jitter_length_mm / spacing_mm[0], 1.0)
        li, ma = (
            (bias + sign * coarse + smooth_curve(rng, columns, length, self.jitter_mm)) / spacing_mm[1]
            for bias, sign in ((self.bias_li_mm, -1.0), (self.bias_ma_mm, 1.0))
        )
        return li, ma

    def _sparse(self, label: Label, rng: np.random.Generator) -> Label:
        drawn = np.flatnonzero((label == INTIMA_MEDIA).any(axis=1))
        if not drawn.size:
            return label
        out = np.full_like(label, IGNORE)
        wanted = max(1, round(float(rng.uniform(*self.traced)) * drawn.size))
        start = int(rng.integers(drawn.size - wanted + 1))
        columns = drawn[start : start + wanted]
        out[columns] = label[columns]
        return out


def draw_reader(rng: np.random.Generator, reader: str = "R1") -> SimulatedExpert:
    """A reader with his own bias (SD 0.05 mm a boundary, as readers of carotid scans differ) and care."""
    return SimulatedExpert(
        reader=reader,
        bias_li_mm=float(rng.normal(0.0, 0.05)),
        bias_ma_mm=float(rng.normal(0.0, 0.05)),
        jitter_mm=float(rng.uniform(0.03, 0.08)),
    )
