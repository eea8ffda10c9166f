"""Two scanners of volumes: how they lay their voxels, and what they do to the picture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sequal.anatomy.phantom.volumes.shapes import Field
from sequal.anatomy.phantom.volumes.tissues import CT_TISSUES, MR_TISSUES, Brightness, Tissue

__all__ = ["VOLUME_SCANNERS", "VolumeScanner", "VolumeScannerName"]

VolumeScannerName = Literal["ct", "mr"]

_POINT_SPREAD_VOXELS: Final = 0.45
_DIRECTIONS: Final = {
    "R": (1.0, 0.0, 0.0),
    "L": (-1.0, 0.0, 0.0),
    "A": (0.0, 1.0, 0.0),
    "P": (0.0, -1.0, 0.0),
    "S": (0.0, 0.0, 1.0),
    "I": (0.0, 0.0, -1.0),
}


@dataclass(frozen=True)
class VolumeScanner:
    """One scanner.

    Attributes:
        tissues: how bright it shows them.
        orientation: where the three axes of its arrays point to: Left, Right, Posterior, Anterior, Inferior, Superior.
        zoom: extent of its field of view, in that of the body part.
        tilt_degrees: standard deviation of the angle by which its axes miss those of the body.
        degrade: bias field and noise; the last argument is the place of each voxel (3, …), −1..1 in the field of view.
    """

    tissues: dict[Tissue, Brightness]
    orientation: tuple[str, str, str]
    zoom: float
    tilt_degrees: float
    degrade: Callable[[np.random.Generator, Field, Field], NDArray[np.int16]]

    def draw_affine(
        self, rng: np.random.Generator, shape: tuple[int, int, int], extent_mm: float
    ) -> NDArray[np.float64]:
        """Voxel to RAS millimetres (4, 4); the middle of the array lies near the origin.

        Args:
            rng: draws the zoom, the tilt and the place of the patient.
            shape: of the array.
            extent_mm: what the array has to show along each axis.
        """
        axes = np.stack([_DIRECTIONS[letter] for letter in self.orientation], axis=1)
        spacing_mm = extent_mm * self.zoom * float(rng.uniform(0.94, 1.06)) / np.array(shape)
        turn = _rotation(np.deg2rad(rng.normal(0.0, self.tilt_degrees, size=3)))
        affine = np.eye(4)
        affine[:3, :3] = turn @ axes @ np.diag(spacing_mm)
        affine[:3, 3] = rng.normal(0.0, 4.0, size=3) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
        return affine


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = angles
    around_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    around_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    around_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return around_x @ around_y @ around_z


def _ct(rng: np.random.Generator, clean: Field, places: Field) -> NDArray[np.int16]:
    """Correlated noise, more of it in the middle of the body; Hounsfield units."""
    noise = gaussian_filter(rng.standard_normal(clean.shape, dtype=np.float32), 0.6)
    level = rng.uniform(18.0, 34.0) * (1.2 - 0.4 * (places**2).mean(axis=0))
    blurred = gaussian_filter(clean, _POINT_SPREAD_VOXELS)
    return np.clip(np.rint(blurred + noise / noise.std() * level), -1024, 3071).astype(np.int16)


def _mr(rng: np.random.Generator, clean: Field, places: Field) -> NDArray[np.int16]:
    """A coil's bias field, Rician noise, and a gain of its own for each volume."""
    linear, bent = rng.normal(0.0, 0.16, size=3), rng.normal(0.0, 0.14, size=(3, 3))
    bias = np.exp(np.einsum("i,i...->...", linear, places) + np.einsum("ij,i...,j...->...", bent, places, places))
    level = rng.uniform(0.025, 0.05)
    real, imaginary = (level * rng.standard_normal(clean.shape, dtype=np.float32) for _ in range(2))
    magnitude = np.hypot(gaussian_filter(clean, _POINT_SPREAD_VOXELS) * bias + real, imaginary)
    return np.rint(rng.uniform(300.0, 900.0) * magnitude).astype(np.int16)


#: Axial slices of a CT; sagittal slices of an MR scanner, a little askew.
VOLUME_SCANNERS: Final[dict[VolumeScannerName, VolumeScanner]] = {
    "ct": VolumeScanner(CT_TISSUES, ("L", "P", "S"), 1.06, 0.0, _ct),
    "mr": VolumeScanner(MR_TISSUES, ("P", "I", "R"), 0.94, 4.0, _mr),
}
