"""Solid shapes in millimetres, each as a field that is negative inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blend", "Ellipsoid", "Field", "Grown", "Shape", "Tube", "Warp", "draw_warp"]

#: One value by point.
Field = NDArray[np.float32]
Vector = tuple[float, float, float]


class Shape(Protocol):
    """A solid."""

    def field(self, points: Field) -> Field:
        """About the distance in mm to the surface, negative inside, of points (3, …) in mm."""


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid whose axes are those of the body.

    Attributes:
        centre_mm: its centre.
        radii_mm: half the length of each axis.
    """

    centre_mm: Vector
    radii_mm: Vector

    def field(self, points: Field) -> Field:
        """As `Shape.field`.

        >>> Ellipsoid((0.0, 0.0, 0.0), (2.0, 2.0, 2.0)).field(np.float32([[5.0], [0.0], [0.0]])).tolist()
        [3.0]
        """
        radii = _column(self.radii_mm, points.ndim)
        scaled = (points - _column(self.centre_mm, points.ndim)) / radii
        length, slope = (_length(vector) for vector in (scaled, scaled / radii))
        found: Field = length * (length - 1) / np.maximum(slope, 1e-6)
        return found


@dataclass(frozen=True)
class Tube:
    """A tube of changing width along straight pieces.

    Attributes:
        path_mm: the points of its centre line, at least two.
        radii_mm: its radius at each of them.
    """

    path_mm: tuple[Vector, ...]
    radii_mm: tuple[float, ...]

    def field(self, points: Field) -> Field:
        """As `Shape.field`.

        >>> tube = Tube(((0.0, 0.0, 0.0), (4.0, 0.0, 0.0)), (1.0, 3.0))
        >>> tube.field(np.float32([[2.0], [5.0], [0.0]])).tolist()
        [3.0]
        """
        pieces = [
            _piece(points, *ends, *radii)
            for ends, radii in zip(pairwise(self.path_mm), pairwise(self.radii_mm), strict=True)
        ]
        return np.minimum.reduce(pieces)


@dataclass(frozen=True)
class Blend:
    """Several shapes as one, with a smooth seam.

    Attributes:
        parts: the shapes.
        seam_mm: how far from a seam its rounding reaches.
    """

    parts: Sequence[Shape]
    seam_mm: float = 5.0

    def field(self, points: Field) -> Field:
        """As `Shape.field`; polynomial smooth minimum."""
        found = self.parts[0].field(points)
        for part in self.parts[1:]:
            other = part.field(points)
            share = np.clip(0.5 + (other - found) / (2 * self.seam_mm), 0, 1)
            found = other + (found - other) * share - self.seam_mm * share * (1 - share)
        return found


@dataclass(frozen=True)
class Grown:
    """A shape with a layer around it.

    Attributes:
        shape: the shape.
        thickness_mm: of the layer.
    """

    shape: Shape
    thickness_mm: float

    def field(self, points: Field) -> Field:
        """As `Shape.field`."""
        return self.shape.field(points) - np.float32(self.thickness_mm)


@dataclass(frozen=True)
class Warp:
    """Size of a body, and waves that shift its points, so that nothing in it is an exact ellipsoid.

    Attributes:
        size: factor of all lengths.
        shifts_mm: amplitude of each wave (M, 3).
        waves: 2π / wavelength of each, by axis (M, 3), in 1/mm.
        phases: (M,).
    """

    size: float
    shifts_mm: NDArray[np.float32]
    waves: NDArray[np.float32]
    phases: NDArray[np.float32]

    def __call__(self, points: Field) -> Field:
        """Where points (3, …) in mm lie in a body of the usual size without waves."""
        flat = points.reshape(3, -1) / np.float32(self.size)
        shifted: Field = flat + self.shifts_mm.T @ np.sin(self.waves @ flat + self.phases[:, np.newaxis])
        return shifted.reshape(points.shape)


def draw_warp(rng: np.random.Generator, size: float = 1.0, shift_mm: float = 1.6, waves: int = 6) -> Warp:
    """Waves of 35 to 110 mm in random directions."""
    directions = rng.normal(size=(waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = rng.uniform(35.0, 110.0, size=(waves, 1))
    return Warp(
        size,
        rng.normal(0.0, shift_mm, size=(waves, 3)).astype(np.float32),
        (2 * np.pi * directions / lengths).astype(np.float32),
        rng.uniform(0.0, 2 * np.pi, size=waves).astype(np.float32),
    )


def _column(vector: Vector, dimensions: int) -> Field:
    return np.array(vector, dtype=np.float32).reshape(3, *[1] * (dimensions - 1))


def _length(vectors: Field) -> Field:
    length: Field = np.sqrt(np.einsum("i...,i...->...", vectors, vectors))
    return length


def _piece(points: Field, start: Vector, end: Vector, radius: float, end_radius: float) -> Field:
    axis = np.subtract(end, start, dtype=np.float32)
    offsets = points - _column(start, points.ndim)
    along = np.clip(np.tensordot(axis, offsets, axes=1) / np.dot(axis, axis), 0, 1)
    nearest = np.multiply.outer(axis, along)
    found: Field = _length(offsets - nearest) - (radius + (end_radius - radius) * along)
    return found
