"""One simulated volume: a body in a scanner, with its exact truth."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sequal.anatomy.phantom.volumes.bodies import Body
from sequal.anatomy.phantom.volumes.scanner import VOLUME_SCANNERS, VolumeScannerName
from sequal.anatomy.phantom.volumes.shapes import Field

__all__ = ["PhantomVolume", "simulate_volume"]

_FINE_MM, _COARSE_MM = 2.5, 9.0
_CONTRAST: Final = 0.05


@dataclass(frozen=True, eq=False)
class PhantomVolume:
    """A volume and what it shows.

    Attributes:
        voxels: int16 (W, H, D), Hounsfield units of a CT, arbitrary units of MR.
        truth: uint8 (W, H, D), the label of the structure that holds the middle of each voxel.
        affine: float64 (4, 4), voxel to RAS millimetres.
    """

    voxels: NDArray[np.int16]
    truth: NDArray[np.uint8]
    affine: NDArray[np.float64]


def simulate_volume(
    rng: np.random.Generator, body: Body, scanner: VolumeScannerName, shape: tuple[int, int, int] = (64, 64, 48)
) -> PhantomVolume:
    """Look at a body with a scanner.

    A voxel that a surface cuts shows both sides by their parts of it (partial volume).

    Args:
        rng: draws the field of view, texture, contrast, bias field and noise; the body stays as it is.
        body: what is in the scanner.
        scanner: `ct` or `mr`.
        shape: of the array, at least 8 voxels along each axis.

    Returns:
        The volume. The same generator, body and shape give the same volume.
    """
    machine = VOLUME_SCANNERS[scanner]
    affine = machine.draw_affine(rng, shape, body.extent_mm)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    indices = np.indices(shape).astype(np.float32)
    columns, origin = affine[:3, :3].astype(np.float32), affine[:3, 3].astype(np.float32)
    warped = body.warp(np.tensordot(columns, indices, axes=1) + origin.reshape(3, 1, 1, 1))
    texture = _texture(rng, shape, spacing_mm)
    clean = np.full(shape, machine.tissues["air"].mean, dtype=np.float32)
    truth = np.zeros(shape, dtype=np.uint8)
    for structure in body.structures:
        field = structure.shape.field(warped)
        brightness = machine.tissues[structure.tissue]
        mean = brightness.mean * (1 + rng.normal(0.0, _CONTRAST))
        shifted = np.roll(texture, rng.integers(0, shape), axis=(0, 1, 2))
        clean += _part_inside(field) * (mean + brightness.texture * shifted - clean)
        truth[field < 0] = structure.label
    half = (np.array(shape, dtype=np.float32) - 1) / 2
    places = indices / half.reshape(3, 1, 1, 1) - np.float32(1)
    return PhantomVolume(machine.degrade(rng, clean, places), truth, affine)


def _part_inside(field: Field) -> Field:
    """How much of each voxel lies inside: of a surface that is flat within it, and square to an axis, exactly.

    >>> row = np.float32([-1.0, -0.25, 0.5, 1.25]).reshape(4, 1, 1)  # the surface a quarter of a spacing behind voxel 1
    >>> _part_inside(np.tile(row / 0.75, (1, 2, 2)))[:, 0, 0].astype(float).round(3).tolist()
    [1.0, 0.833, 0.0, 0.0]
    """
    steps = np.gradient(field)
    across = np.maximum(np.abs(steps).sum(axis=0), 1e-6)
    part: Field = np.clip(0.5 - field / across, 0, 1)
    return part


def _texture(rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: NDArray[np.float64]) -> Field:
    """Grains and blotches; mean 0, standard deviation 1."""
    total = np.zeros(shape, dtype=np.float32)
    for size_mm in (_FINE_MM, _COARSE_MM):
        noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), size_mm / 2 / spacing_mm, mode="wrap")
        total += noise / noise.std()
    return total / total.std()
