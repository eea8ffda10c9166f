"""Frames that show no far wall, and frames with one that a rule against false masks might cost."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.phantom import (
    HOSPITAL,
    Hospital,
    draw_anatomy,
    draw_artefacts,
    draw_display,
    draw_hospital_frames,
    draw_scanner,
    simulate_frame,
    simulate_hospital_frame,
)
from sequal.anatomy.phantom.cross_section import draw_cross_sections
from sequal.experiments.sources import choose_test_patients
from sequal.files.imaging import Frame, read_frame, read_label
from sequal.learning.training.phantom_evaluation import as_frame
from sequal.study.folder import images_by_id
from sequal.study.items import Item
from sequal.study.state import MANIFEST_NAME, patient_of

#: How many are simulated.
_TRANSVERSE, _NO_ARTERY, _HAZY, _NARROW = 120, 60, 60, 60
#: Height of a narrow lumen, mm: less than the rule looks at.
_NARROW_MM: Final = (2.5, 3.5)
#: Part of the sessions that give no label.
_JUDGING: Final = 0.4
_SEED: Final = 515_151


class Case(NamedTuple):
    """A frame by its name; its truth is uint8 (W, H, 1) with 255 where nobody traced, None: it shows no wall."""

    name: str
    frame: Frame
    truth: NDArray[np.uint8] | None


Cases = Callable[[], Iterator[Case]]


@dataclass(frozen=True)
class Carotids:
    """Real frames with their labels and sessions, by id."""

    images: Mapping[str, Path]
    truths: Mapping[str, Path]
    sessions: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Those of `study/` and `truth/`."""
        images = images_by_id(folder / "study")
        sessions = patient_of(images, folder / "study" / MANIFEST_NAME)
        return cls(images, images_by_id(folder / "truth"), sessions)

    def split(self, seed: int) -> tuple[list[str], list[str]]:
        """Ids in the order in which they are labelled, and those of the sessions that judge."""
        chosen = choose_test_patients(self.sessions.values(), _JUDGING, [_SEED, seed])
        pool = [image for image in sorted(self.images) if self.sessions[image] not in chosen]
        order = np.random.default_rng([_SEED, seed]).permutation(len(pool))
        return [pool[i] for i in order], sorted(self.images.keys() - set(pool))

    def item(self, image: str, *, labelled: bool) -> Item:
        """A frame as a round takes it."""
        return Item(image, self.images[image], self.truths[image] if labelled else None, self.sessions[image])

    def cases(self) -> Iterator[Case]:
        """All of them."""
        for image, path in sorted(self.images.items()):
            frame = read_frame(path)
            yield Case(image, frame, read_label(self.truths[image], frame.pixels.shape, layout=frame.layout))


def sets(carotids: Carotids, muscle: Path, seed: int) -> dict[str, Cases]:
    """Sets of frames by name: four without a far wall, then three with one.

    Args:
        carotids: real frames with a wall.
        muscle: folder with `images/`.
        seed: of the simulated frames.
    """
    return {
        "muscle": lambda: _muscle(muscle),
        f"transverse {seed}": lambda: _transverse(seed),
        f"no artery {seed}": lambda: _hospital(seed, _NO_ARTERY, replace(HOSPITAL, no_wall=1.0, second_vessel=0.0)),
        f"another vessel {seed}": lambda: _hospital(
            seed, _NO_ARTERY, replace(HOSPITAL, no_wall=1.0, second_vessel=1.0)
        ),
        "real": carotids.cases,
        f"hazy {seed}": lambda: _hospital(seed, _HAZY, replace(HOSPITAL, no_wall=0.0, haze=1.0)),
        f"narrow {seed}": lambda: _narrow(seed),
    }


def _muscle(folder: Path) -> Iterator[Case]:
    for image, path in images_by_id(folder / "images").items():
        yield Case(image, read_frame(path), None)


def _transverse(seed: int) -> Iterator[Case]:
    """Vessels cut across, on machines of every kind."""
    for number in range(_TRANSVERSE):
        rng = np.random.default_rng([_SEED, seed, number])
        scanner, display = draw_scanner(rng), draw_display(rng)
        size = scanner.width_mm, scanner.depth_mm
        artefacts = replace(draw_artefacts(rng, *size, "no_wall"), jugular=None, muscles=())
        phantom = simulate_frame(
            rng,
            scanner=scanner,
            anatomy=draw_anatomy(rng, "no_wall", *size),
            display=display,
            artefacts=replace(artefacts, cross_sections=draw_cross_sections(rng, *size)),
        )
        yield Case(str(number), as_frame(phantom), None)


def _narrow(seed: int) -> Iterator[Case]:
    """Arteries whose near wall comes close to the far one."""
    for number in range(_NARROW):
        rng = np.random.default_rng([_SEED, seed, number])
        scanner, display = draw_scanner(rng), draw_display(rng)
        size = scanner.width_mm, scanner.depth_mm
        anatomy = draw_anatomy(rng, "ordinary", *size)
        near = np.maximum(anatomy.near_mm, anatomy.li_mm - rng.uniform(*_NARROW_MM))
        phantom = simulate_frame(rng, scanner=scanner, anatomy=replace(anatomy, near_mm=near), display=display)
        yield Case(str(number), as_frame(phantom), phantom.mask[:, :, None])


def _hospital(seed: int, count: int, hospital: Hospital) -> Iterator[Case]:
    """Frames of machines that no weights were trained for."""
    for which in draw_hospital_frames(hospital, seed, 0, count):
        phantom = simulate_hospital_frame(hospital, seed, which)
        truth = phantom.mask[:, :, None] if phantom.mask.any() else None
        yield Case(f"{which.patient}-{which.index}", as_frame(phantom), truth)
