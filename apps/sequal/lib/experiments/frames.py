"""Where the frames of an experiment come from: a folder of images and masks, or the simulator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lib.errors import StudyError
from lib.experiments.plan import Plan
from lib.imaging import read_frame, read_label
from lib.imaging.working_grid import WorkingGrid
from lib.phantom import KINDS, SCANNERS, Kind, simulate_frame
from lib.state import MANIFEST_NAME, patient_of
from lib.study_folder import images_by_id

__all__ = ["SourceFrame", "Sources", "find_sources", "shrink"]

#: Frames of an experiment; the training of starting weights seeds with fewer numbers, so the two never meet.
_PHANTOM_SEED: Final = 260311
_POOL, _TEST = 0, 1
#: As in a clinic, most frames of the pool are ordinary and of one make of scanner. A model must not fail on the others
#: either, so the test set holds as many of each kind, and as many of other scanners as of the usual one.
_RARE_KIND: Final = 0.06
_USUAL_SCANNER: Final = "A"
_OTHER_SCANNER: Final = (0.15, 0.5)
_SPLIT_SEED: Final = 0


@dataclass(frozen=True)
class SourceFrame:
    """One frame and its truth.

    Attributes:
        pixels: float32 (W, H).
        mask: uint8 (W, H) in {0, 1}.
        spacing_mm: (dx, dy); None: not calibrated.
        kind: what is special about it, with commas between, empty where nobody knows.
    """

    pixels: NDArray[np.float32]
    mask: NDArray[np.uint8]
    spacing_mm: tuple[float, float] | None
    kind: str = ""


@dataclass(frozen=True)
class Sources:
    """How to get each frame, by id, of the pool and of the test set; and the patient of each."""

    pool: Mapping[str, Callable[[], SourceFrame]]
    test: Mapping[str, Callable[[], SourceFrame]]
    patients: Mapping[str, str]


def find_sources(plan: Plan) -> Sources:
    """List the frames of an experiment without reading them.

    Raises:
        StudyError: a folder is missing or empty, an image has no mask, or the test set would be empty.
        SettingsError: the pool is too small for the rounds.
    """
    if plan.phantom:
        pool, test = (
            {f"{name}-{index:04d}": partial(_phantom, plan.phantom_seed, split, index) for index in range(count)}
            for split, name, count in ((_POOL, "pool", plan.phantom), (_TEST, "test", plan.phantom_test))
        )
        return Sources(pool, test, {image: image for image in (*pool, *test)})
    sources = _folders(plan)
    plan.check_pool(len(sources.pool))
    return sources


def shrink(frame: SourceFrame, size: str) -> SourceFrame:
    """The frame, low-pass filtered and resampled to fit within `size` (`WxH`); a smaller one stays as it is."""
    width, height = frame.pixels.shape
    limits = [int(side) for side in size.split("x")] if size else [width, height]
    factor = min(limits[0] / width, limits[1] / height, 1.0)
    if factor == 1.0:
        return frame
    target = max(1, round(width * factor)), max(1, round(height * factor))
    grid = WorkingGrid((width, height), target)
    spacing = frame.spacing_mm and (frame.spacing_mm[0] * width / target[0], frame.spacing_mm[1] * height / target[1])
    return SourceFrame(
        grid.image_to_working(frame.pixels)[0].numpy(), grid.label_to_working(frame.mask), spacing or None, frame.kind
    )


def _phantom(seed: int, split: int, index: int) -> SourceFrame:
    rng = np.random.default_rng([_PHANTOM_SEED, seed, split, index])
    others = [name for name in SCANNERS if name != _USUAL_SCANNER]
    scanner = str(rng.choice(others)) if rng.random() < _OTHER_SCANNER[split] else _USUAL_SCANNER
    kind = KINDS[index % len(KINDS)] if split == _TEST else _kind(rng)
    phantom = simulate_frame(rng, kind=kind, scanner=SCANNERS[scanner])
    described = f"{kind}, scanner {scanner}"
    return SourceFrame(phantom.pixels.astype(np.float32), phantom.mask, phantom.spacing_mm, described)


def _kind(rng: np.random.Generator) -> Kind:
    usual, *rare = KINDS
    return rare[int(rng.integers(len(rare)))] if rng.random() < _RARE_KIND * len(rare) else usual


def _folders(plan: Plan) -> Sources:
    images, patients = _pairs(plan.images, plan.masks, plan)
    if plan.test_images:
        test, test_patients = _pairs(plan.test_images, plan.test_masks, plan)
        shared = sorted(set(patients.values()) & set(test_patients.values()))
        if shared:
            raise StudyError(
                f"Expected no patient in both pool and test set, got {shared[0]!r} in both "
                f"({len(shared)} such patients). Take them out of one."
            )
        return Sources(images, test, {**patients, **test_patients})
    names = sorted(set(patients.values()))
    count = max(1, round(plan.test_fraction * len(names)))
    chosen = set(np.random.default_rng(_SPLIT_SEED).permutation(names)[:count].tolist())
    pool = {image: read for image, read in images.items() if patients[image] not in chosen}
    return Sources(pool, {image: read for image, read in images.items() if image not in pool}, patients)


def _pairs(
    image_folder: str, mask_folder: str, plan: Plan
) -> tuple[dict[str, Callable[[], SourceFrame]], dict[str, str]]:
    """Reader by image id, and patient by image id."""
    images, masks = images_by_id(Path(image_folder)), images_by_id(Path(mask_folder))
    if not images:
        raise StudyError(f"Expected `{image_folder}` to hold images, got none. Check the path.")
    missing = sorted(images.keys() - masks.keys())
    if missing:
        raise StudyError(
            f"Expected `{mask_folder}` to hold a mask of every image, got none of {missing[0]} "
            f"({len(missing)} without). Give masks the names of their images."
        )
    patients = patient_of(images, Path(image_folder) / MANIFEST_NAME, plan.settings.get("patient_pattern", ""))
    return {image: partial(_read, path, masks[image]) for image, path in images.items()}, patients


def _read(image: Path, mask: Path) -> SourceFrame:
    frame = read_frame(image)
    if frame.grid[2] != 1:
        raise StudyError(
            f"Expected `{image.name}` to be a single frame, got {frame.grid[2]} frames. Save the frames one by one."
        )
    layer = (read_label(mask, frame.grid)[:, :, 0] > 0).astype(np.uint8)
    return SourceFrame(frame.pixels[:, :, 0], layer, frame.calibration.spacing_mm)
