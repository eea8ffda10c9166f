"""The frozen validation split: patients set aside once, so that rounds can be compared with each other."""

import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from sequal.errors import StudyError
from sequal.study.state.atomic import create_once

__all__ = ["Partition", "Split", "freeze_split", "retire_split"]


@dataclass(frozen=True)
class Partition:
    """Labelled images of a round by their use, each sorted.

    Attributes:
        train_ids: trained on.
        validation_ids: the frozen validation images that still have a label.
        excluded_ids: images of validation patients that are not validation images: neither use would be fair.
    """

    train_ids: tuple[str, ...]
    validation_ids: tuple[str, ...]
    excluded_ids: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """The validation images and patients of a study; both empty while there is no validation."""

    images: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()

    def partition(self, labelled: Iterable[str], patients: Mapping[str, str]) -> Partition:
        """Divide labelled images into training and validation.

        An image of a validation patient that was labelled after the freeze is used for neither: in training
        it would show the network the very artery that it is judged on, and in validation it would make this
        round's figure incomparable with the published one's.

        Args:
            labelled: ids of all images with an expert's label.
            patients: patient by image id, for all of them.
        """
        ids = sorted(set(labelled))
        # The patient of a frozen image counts even if the manifest was edited since.
        closed = self.patients | {patients[image] for image in self.images if image in patients}
        train = [image for image in ids if image not in self.images and patients[image] not in closed]
        validation = [image for image in ids if image in self.images]
        excluded = [image for image in ids if image not in self.images and patients[image] in closed]
        return Partition(tuple(train), tuple(validation), tuple(excluded))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a recorded split; an absent file is an empty split.

        Raises:
            StudyError: the file is there but cannot be understood. Choosing anew would let the network be
                judged on images that it was trained on.
        """
        try:
            return cls._parse(path.read_bytes(), path)
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise _unreadable(path, error) from error

    @classmethod
    def _parse(cls, content: bytes, path: Path) -> Self:
        try:
            recorded = json.loads(content)
            images, patients = recorded["images"], recorded["patients"]
            if not all(isinstance(entry, str) for entry in [*images, *patients]):
                raise TypeError("ids are strings")
        except (ValueError, LookupError, TypeError) as error:
            raise _unreadable(path, error) from error
        return cls(frozenset(images), frozenset(patients))


def freeze_split(
    path: Path, labelled: Mapping[str, str], fraction: float, seed: int, trained: Collection[str] = ()
) -> Split:
    """The study's validation split, chosen at the first call that can and recorded for all later ones.

    Args:
        path: `split.json` of the study.
        labelled: patient by id of all images with an expert's label.
        fraction: part of the labelled patients to set aside, in 0..0.5: at least one, rounded, never all.
        seed: chooses the patients.
        trained: patients that a round without a split has trained on; they can no longer be set aside.

    Returns:
        The recorded split, whatever the other arguments. With fraction 0, fewer than two labelled patients or
        none that is still unseen, where nothing was recorded yet, an empty split, which is not recorded.

    Raises:
        StudyError: the recorded split cannot be understood, or a new one cannot be written.
    """
    recorded = Split.load(path)
    patients = sorted(set(labelled.values()))
    unseen = [patient for patient in patients if patient not in set(trained)]
    if recorded.patients or fraction <= 0 or len(patients) < 2 or not unseen:
        return recorded
    count = min(max(1, round(fraction * len(patients))), len(patients) - 1, len(unseen))
    chosen = set(np.random.default_rng(seed).permutation(unseen)[:count].tolist())
    record = {
        "format": 1,
        "patients": sorted(chosen),
        "images": sorted(image for image, patient in labelled.items() if patient in chosen),
        "fraction": fraction,
        "seed": seed,
        "created": time.time(),
    }
    try:
        written = create_once(path, json.dumps(record, indent=1).encode())
    except OSError as error:
        raise StudyError(f"Expected `{path}` to be writable, got: {error}. Check the state folder.") from error
    return Split._parse(written, path)


def retire_split(path: Path) -> None:
    """Set a recorded split aside: every label is learnt from, and those that were frozen as well.

    Raises:
        StudyError: it cannot be renamed.
    """
    try:
        path.replace(path.with_name(f"{path.stem}.retired{path.suffix}"))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StudyError(f"Expected `{path}` to be writable, got: {error}. Check the state folder.") from error


def _unreadable(path: Path, error: Exception) -> StudyError:
    return StudyError(
        f"Expected `{path}` to be the study's recorded split, got: {error}. Restore it from a backup, or "
        "delete it to choose anew (earlier figures are then not comparable)."
    )
