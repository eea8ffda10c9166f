"""A folder of a few images for the service."""

from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from lib.web.dicomweb import FolderService, WebRequest

WIDTH, HEIGHT, FRAMES = 21, 13, 3
ROOT = "http://here/sequal/dicom-web"


@dataclass
class Folder:
    """Images by id, labels by image."""

    files: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    salt: str = "of this study"

    def images(self) -> list[str]:
        return sorted(self.files)

    def __contains__(self, image: object) -> bool:
        return image in self.files

    def patient(self, image: str) -> str:
        return self.patients.get(image, image)

    def file(self, image: str) -> str:
        return self.files[image]

    def label_file(self, image: str) -> str:
        return self.labels.get(image, "")


def pixels(frames: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (WIDTH, HEIGHT, frames)).astype(np.uint8)


def label(frames: int = 1) -> np.ndarray:
    """A layer in the middle, lower from frame to frame."""
    values = np.zeros((WIDTH, HEIGHT, frames), np.uint8)
    for index in range(frames):
        values[:, 5 + index : 8 + index, index] = 1
    return values


def save(path: Path, array: np.ndarray, spacing_mm: float = 0.06) -> str:
    nib.save(nib.Nifti1Image(array, np.diag([spacing_mm, spacing_mm, 1.0, 1.0])), path)
    return str(path)


def make_folder(path: Path) -> Folder:
    """A labelled still, a clip, a picture without calibration, and a file that is none."""
    folder = Folder(patients={"still": "p01", "clip": "p01", "picture": "p02"})
    folder.files = {
        "still": save(path / "still.nii.gz", pixels()),
        "clip": save(path / "clip.nii.gz", pixels(FRAMES)),
        "picture": str(path / "picture.png"),
        "damaged": str(path / "damaged.nii.gz"),
    }
    Image.fromarray(pixels()[:, :, 0].T).save(path / "picture.png")
    (path / "damaged.nii.gz").write_bytes(b"no image")
    folder.labels = {"still": save(path / "label.nii.gz", label())}
    return folder


def ask(service: FolderService, path: str, query: str = "", accept: str = ""):
    return service.ask(WebRequest(path, query, accept, ROOT))
