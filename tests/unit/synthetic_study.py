"""A tiny study: a bright band on noise, partly traced by an expert."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import StudyState

SIZE = (96, 64)
SPACING_MM = 0.06


def settings(**changes):
    """The cheapest settings that still do everything."""
    values = {
        "network": "unet",
        "device": "cpu",
        "patch": 64,
        "epochs": 2,
        "iterations_per_epoch": 2,
        "batch_labelled": 2,
        "batch_unlabelled": 1,
    }
    return Settings().from_conf({**values, **changes})


def band(rng, size=SIZE, frames=1, top=30, thickness=8):
    """Pixels float32 (W, H, F) and the true mask uint8 (W, H, F)."""
    pixels = rng.normal(60.0, 12.0, (*size, frames))
    mask = np.zeros((*size, frames), np.uint8)
    mask[:, top : top + thickness] = 1
    pixels[mask == 1] += 120.0
    return pixels.clip(0, 255).astype(np.float32), mask


def write_image(path, pixels, spacing_mm=(SPACING_MM, SPACING_MM)):
    nib.save(nib.Nifti1Image(pixels.astype(np.uint8), np.diag([*spacing_mm, 1.0, 1.0])), path)
    return path


def write_label(path, label):
    nib.save(nib.Nifti1Image(label.astype(np.uint8), np.eye(4)), path)
    return path


@dataclass
class Study:
    folder: Path
    labelled: list[Item]
    unlabelled: list[Item]
    state: StudyState

    @property
    def pool_ids(self):
        return [item.id for item in self.unlabelled]


def make_study(folder, *, labelled=3, unlabelled=3, size=SIZE, frames=1, settings=settings(), top=20):  # noqa: B008
    """Images of as many patients, `labelled` of them traced over columns 10 to 80 only."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    items = []
    for index in range(labelled + unlabelled):
        pixels, mask = band(rng, size, frames, top=top + 3 * index)
        image = write_image(folder / f"im{index}.nii.gz", pixels)
        label = None
        if index < labelled:
            mask[:10] = 0
            mask[80:] = 0
            label = write_label(folder / f"im{index}-label.nii.gz", mask)
        items.append(Item(f"im{index}", image, label, patient=f"p{index}"))
    state = StudyState.open(folder / "state", settings)
    return Study(folder, items[:labelled], items[labelled:], state)
