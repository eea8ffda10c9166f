"""A small study made on the spot: speckle with a bright wavy band, small so that the suite is fast."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

WIDTH, HEIGHT = 160, 128
SPACING_MM = 0.08
THICKNESS_PX = 9
FRAMES = tuple(f"p{patient:02d}_{side}" for patient in range(1, 7) for side in ("left", "right"))
#: Of two patients, so that one of them can be frozen for validation.
LABELLED = ("p01_left", "p01_right", "p02_left", "p03_left")
UNLABELLED = tuple(name for name in FRAMES if name not in LABELLED)

#: Rotated and shifted: a result that only copies the spacing would not pass for one on the image's grid.
AFFINE = np.array(
    [
        [-SPACING_MM, 0.0, 0.0, 12.5],
        [0.0, 0.0, 1.0, -3.25],
        [0.0, -SPACING_MM, 0.0, 40.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
#: Of a picture in the plane of the first two axes; that of `AFFINE` stands on its edge.
LYING = np.diag([-SPACING_MM, -SPACING_MM, 1.0, 1.0])


def frame(seed: int, width: int = WIDTH, height: int = HEIGHT) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One frame and its true label, both uint8 (W, H)."""
    rng = np.random.default_rng(seed)
    x, y = np.arange(width)[:, None], np.arange(height)[None, :]
    middle = height * (0.5 + 0.08 * np.sin(2 * np.pi * (x / width + rng.random()))) + rng.uniform(-8, 8)
    band = np.abs(y - middle) <= THICKNESS_PX / 2
    speckle = gaussian_filter(rng.rayleigh(1.0, (width, height)), 0.7)
    pixels = 60 * speckle * np.where(y > middle, 0.8, 0.3) + 140 * band
    return np.clip(pixels, 0, 255).astype(np.uint8), band.astype(np.uint8)


def save_nifti(path: Path, array: NDArray[Any], affine: NDArray[np.float64] = AFFINE) -> Path:
    """Write a NIfTI file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def label_of(name: str) -> NDArray[np.uint8]:
    """The true label of a frame of the study, uint8 (W, H)."""
    return frame(FRAMES.index(name))[1]


def make_study(folder: Path, labelled: tuple[str, ...] = LABELLED) -> Path:
    """Write the twelve frames of the study, `patients.csv`, and labels of some."""
    for seed, name in enumerate(FRAMES):
        pixels, label = frame(seed)
        save_nifti(folder / f"{name}.nii.gz", pixels[:, :, None])
        if name in labelled:
            save_nifti(folder / "labels" / "final" / f"{name}.nii.gz", label[:, :, None])
    rows = [f"{name},{name[:3]}" for name in FRAMES]
    (folder / "patients.csv").write_text("\n".join(["image,patient", *rows]) + "\n")
    return folder
