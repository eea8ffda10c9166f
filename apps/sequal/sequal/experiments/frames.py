"""Where the frames of an experiment come from: a folder of images and masks, or the simulator."""

import csv
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np

from sequal.anatomy.phantom import KINDS, SCANNERS, Kind, simulate_frame
from sequal.errors import StudyError
from sequal.experiments.plan import Plan
from sequal.experiments.sources import Reads, SourceFrame, Sources, divided, files_with_masks, patients_of
from sequal.files.imaging import ALLOWED_CLASSES, read_frame, read_label
from sequal.labels import INTIMA_MEDIA
from sequal.preparation.working_grid import WorkingGrid

__all__ = ["KINDS_NAME", "find_sources", "shrink"]

#: Frames of an experiment; the training of starting weights seeds with fewer numbers, so the two never meet.
_PHANTOM_SEED: Final = 260311
_POOL, _TEST = 0, 1
#: As in a clinic, most frames of the pool are ordinary and of one make of scanner. A model must not fail on the others
#: either, so the test set holds as many of each kind, and as many of other scanners as of the usual one.
_RARE_KIND: Final = 0.06
_USUAL_SCANNER: Final = "A"
_OTHER_SCANNER: Final = (0.15, 0.5)
#: A table `image,kind` beside the images says what is special about each, for the report; it may be missing.
KINDS_NAME: Final = "kinds.csv"


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
    return divided(plan, partial(_pairs, plan))


def shrink(frame: SourceFrame, size: str) -> SourceFrame:
    """The frame, low-pass filtered and resampled to fit within `size` (`WxH`); a smaller one stays as it is."""
    if not size:
        return frame
    width, height = frame.pixels.shape
    limits = [int(side) for side in size.split("x")]
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


def _pairs(plan: Plan, image_folder: str, mask_folder: str) -> tuple[Reads, Mapping[str, str]]:
    """Reader by image id, and patient by image id."""
    images, masks = files_with_masks(image_folder, mask_folder)
    patients = patients_of(images, Path(image_folder), plan)
    pairs = tuple((path, masks[image]) for image, path in images.items())
    kinds = _kinds(Path(image_folder) / KINDS_NAME)
    reads: Reads = {
        image: partial(_read, pair, pairs, kinds.get(image, "")) for image, pair in zip(images, pairs, strict=True)
    }
    return reads, patients


def _kinds(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if any(not row.get("image") or row.get("kind") is None for row in rows):
        raise StudyError(f"Expected `{path}` to have the columns image and kind in every row. Mend or delete it.")
    return {row["image"]: row["kind"] for row in rows}


def _read(pair: tuple[Path, Path], folder: tuple[tuple[Path, Path], ...], kind: str) -> SourceFrame:
    image, mask = pair
    frame = read_frame(image)
    if frame.grid[2] != 1:
        raise StudyError(
            f"Expected `{image.name}` to be a single frame, got {frame.grid[2]} frames. Save the frames one by one."
        )
    values = read_label(mask, frame.grid, layout=frame.layout)[:, :, 0]
    layer = values if _holds_classes(folder) else (values > 0).astype(np.uint8) * np.uint8(INTIMA_MEDIA)
    return SourceFrame(frame.pixels[:, :, 0], layer, frame.calibration.spacing_mm, kind)


@cache
def _holds_classes(pairs: tuple[tuple[Path, Path], ...]) -> bool:
    """Whether a folder holds labels as this app writes them: 1 is the layer, and 255 stands where nobody traced.

    One mask that shows the layer tells: it has 1 and nothing else but 0 and 255. Without such a mask every value but 0
    is the layer, also 255, as drawing programs save black and white.
    """
    for image, mask in pairs:
        frame = read_frame(image)
        values = set(np.unique(read_label(mask, frame.grid, layout=frame.layout)).tolist())
        if INTIMA_MEDIA in values and values <= ALLOWED_CLASSES:
            return True
    return False
