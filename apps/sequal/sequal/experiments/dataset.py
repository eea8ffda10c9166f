"""The frames of an experiment, copied into its folder once, so that the folder can be taken to another machine."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Self

import nibabel as nib
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from sequal.errors import StudyError
from sequal.experiments.frames import find_sources, shrink
from sequal.experiments.plan import Plan
from sequal.experiments.readers import Readers
from sequal.experiments.sources import SourceFrame, choose_test_patients
from sequal.experiments.volumes import find_volumes
from sequal.files.imaging import read_label
from sequal.labels import BACKGROUND, IGNORE
from sequal.preparation.working_grid import WorkingGrid
from sequal.study.items import Item
from sequal.study.state import atomic_write

__all__ = ["Dataset", "DatasetFrame", "Split", "prepare_dataset"]

Split = Literal["pool", "test"]
#: The pixel of an image without calibration: the readers' errors, given in mm, are scaled to it.
_UNCALIBRATED_MM: Final = 0.06
_THUMBNAIL: Final = (200, 200)
_SPLIT_SEED: Final = 0


@dataclass(frozen=True)
class DatasetFrame:
    """What is known about one frame.

    Attributes:
        id: its id, also its file name.
        patient: whose it is.
        kind: what is special about it.
        layer: whether its truth shows what is segmented.
        spacing_mm: size of a pixel or voxel along each axis; None: nobody knows.
        pixel_mm: the same before a frame was shrunk: the readers draw in that.
    """

    id: str
    patient: str
    kind: str
    layer: bool
    spacing_mm: tuple[float, ...] | None
    pixel_mm: tuple[float, ...]


@dataclass(frozen=True)
class Dataset:
    """The prepared frames.

    Attributes:
        folder: `data` of the experiment.
        frames: by id, of each split, sorted by id; all in the pool where each seed divides them anew (`of_seed`).
        divided: whether `of_seed` did that, so that every file is the pool's.
    """

    folder: Path
    frames: Mapping[Split, Mapping[str, DatasetFrame]]
    divided: bool = False

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the list of frames.

        Raises:
            StudyError: it is missing or cannot be understood.
        """
        path = folder / "dataset.json"
        try:
            listed = json.loads(path.read_bytes())
            splits: tuple[Split, ...] = ("pool", "test")
            return cls(folder, {split: {entry["id"]: _frame(entry) for entry in listed[split]} for split in splits})
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise StudyError(
                f"Expected `{path}` to list the experiment's frames, got: {error}. Delete `{folder}` to make it anew."
            ) from error

    def of_seed(self, seed: int, plan: Plan) -> "Dataset":
        """The frames as a seed divides them, whole patients each; the same for every seed where `splits` is `one`.

        Raises:
            SettingsError: the seed leaves too few frames in the pool.
        """
        if plan.splits == "one":
            return self
        known = self.frames["pool"]
        chosen = choose_test_patients((f.patient for f in known.values()), plan.test_fraction, [_SPLIT_SEED, seed])
        divided: dict[Split, Mapping[str, DatasetFrame]] = {
            "pool": {image: frame for image, frame in known.items() if frame.patient not in chosen},
            "test": {image: frame for image, frame in known.items() if frame.patient in chosen},
        }
        plan.check_pool(len(divided["pool"]))
        return Dataset(self.folder, divided, divided=True)

    def image(self, split: Split, image: str) -> Path:
        """The image file."""
        return self._part(split, "images", image)

    def item(self, split: Split, image: str, label: Path | None = None) -> Item:
        """The frame as a round takes it."""
        return Item(image, self.image(split, image), label, self.frames[split][image].patient)

    def truth(self, split: Split, image: str) -> NDArray[np.uint8]:
        """The true mask uint8, classes and 255 where nobody traced, in the array of its image.

        The last ones that were read are kept in memory.
        """
        return _read_mask(self._part(split, "truth", image))

    def drawn_by(self, readers: Readers, image: str) -> NDArray[np.uint8]:
        """The readers' label of a frame of the pool, uint8 (W, H, 1) in {0, 1, 255}.

        They draw in the frame as it was before it was shrunk, and the label is shrunk with it: in the small frame their
        errors would be fractions of a pixel, and rounding would wipe them out.
        """
        path = self._part("pool", "native", image)
        native = (_read_mask(path) if path.exists() else self.truth("pool", image))[:, :, 0]
        dx, dy = self.frames["pool"][image].pixel_mm[:2]
        label = readers.label(image, native, (dx, dy))
        small = self.truth("pool", image).shape
        grid = WorkingGrid((native.shape[0], native.shape[1]), (small[0], small[1]))
        return grid.label_to_working(label)[:, :, None]

    def _part(self, split: Split, part: str, image: str) -> Path:
        return self.folder / ("pool" if self.divided else split) / part / f"{image}.nii.gz"


def prepare_dataset(folder: Path, plan: Plan, progress: Callable[[int, int], None] = lambda *_: None) -> Dataset:
    """Copy, shrink or simulate the frames of an experiment, unless that was done before.

    A second process waits for the first. A stopped preparation goes on where it was.

    Args:
        folder: `data` of the experiment; thumbnails of the pool go beside it.
        plan: of the experiment.
        progress: called with how many frames are done, and of how many.

    Raises:
        SequalError: a frame or a mask cannot be read, or there are too few.
        StudyError: the folder cannot be written.
    """
    try:
        for made in (folder, folder.with_name("locks")):
            made.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name("locks") / "data.lock"):
            if not (folder / "dataset.json").exists():
                _prepare(folder, plan, progress)
    except OSError as error:
        raise StudyError(f"Expected `{folder}` to be writable, got: {error}. Name another folder.") from error
    return Dataset.open(folder)


def _prepare(folder: Path, plan: Plan, progress: Callable[[int, int], None]) -> None:
    sources = find_sources(plan) if plan.of_a_layer else find_volumes(plan)
    total, done = len(sources.pool) + len(sources.test), 0
    listed: dict[str, list[dict[str, Any]]] = {"pool": [], "test": []}
    for split, reads in (("pool", sources.pool), ("test", sources.test)):
        for part in ("images", "truth", *(("native",) if plan.size and split == "pool" else ())):
            (folder / split / part).mkdir(parents=True, exist_ok=True)
        for image, read in sorted(reads.items()):
            entry = folder / split / f"{image}.json"
            if not entry.exists():
                frame = _store(folder / split, image, sources.patients[image], read(), plan.size)
                if split == "pool" and plan.thumbnails:
                    _thumbnail(folder.with_name("thumbnails"), folder / split, image)
                with atomic_write(entry) as file:
                    file.write(json.dumps(asdict(frame)).encode())
            listed[split].append(json.loads(entry.read_bytes()))
            done += 1
            progress(done, total)
    judging = listed["pool" if plan.splits == "seed" else "test"]
    if not any(entry["layer"] for entry in judging) or not listed["pool"]:
        raise StudyError(
            "Expected a pool, and a test set that shows the layer, got none. Add images, or change --size."
        )
    with atomic_write(folder / "dataset.json") as file:
        file.write(json.dumps(listed, indent=1).encode())


def _store(folder: Path, image: str, patient: str, source: SourceFrame, size: str) -> DatasetFrame:
    frame = shrink(source, size)
    spacing = frame.spacing_mm
    affine = np.diag([*(spacing or (1.0, 1.0)), 1.0, 1.0]) if source.affine is None else source.affine
    pixels = frame.pixels
    if source.affine is None and source.pixels.min() >= 0 and source.pixels.max() <= 255:
        pixels = np.rint(pixels).clip(0, 255).astype(np.uint8)  # a quarter of the size, and no grey value is lost
    arrays: dict[str, NDArray[Any]] = {"images": pixels, "truth": frame.mask}
    if (folder / "native").is_dir():
        arrays["native"] = source.mask  # readers draw in the frame before it was shrunk
    for part, array in arrays.items():
        stored = nib.Nifti1Image(np.atleast_3d(array), affine, dtype=array.dtype)
        stored.header.set_xyzt_units("mm")
        nib.save(stored, folder / part / f"{image}.nii.gz")
    pixel_mm = source.spacing_mm or (_UNCALIBRATED_MM, _UNCALIBRATED_MM)
    layer = bool(((frame.mask != BACKGROUND) & (frame.mask != IGNORE)).any())
    return DatasetFrame(image, patient, frame.kind, layer, spacing, pixel_mm)


@lru_cache(maxsize=1000)
def _read_mask(path: Path) -> NDArray[np.uint8]:
    return read_label(path, nib.load(path).shape)


def _thumbnail(thumbnails: Path, folder: Path, image: str) -> None:
    thumbnails.mkdir(exist_ok=True)
    stored = nib.load(folder / "images" / f"{image}.nii.gz").dataobj
    pixels = np.asarray(stored[:, :, stored.shape[2] // 2], dtype=np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    grey = ((pixels.T - low) / max(high - low, 1.0) * 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.thumbnail(_THUMBNAIL)
    with atomic_write(thumbnails / f"{image}.png") as file:
        picture.save(file, "PNG")


def _frame(entry: Mapping[str, Any]) -> DatasetFrame:
    spacing = entry["spacing_mm"]
    return DatasetFrame(**{**entry, "spacing_mm": spacing and tuple(spacing), "pixel_mm": tuple(entry["pixel_mm"])})
