"""Which images a study has, which of them are labelled, and which are to be asked for last: kept, not read again."""

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from sortedcontainers import SortedSet

__all__ = ["PoolIndex"]

#: The tag of a submitted label.
_FINAL: Final = "final"


class PoolIndex:
    """The ids of a study in sorted sets; a change costs the logarithm of their number, a question nothing.

    Whoever changes it, or asks for more than one thing, holds `lock`.

    Attributes:
        lock: one for all; may be taken again by the thread that holds it.
        grown: changes whenever an image may have become one to score: it is new, or lost its label.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.grown = 0
        self._labelled = SortedSet()
        self._unlabelled = SortedSet()
        self._by_tag: dict[str, set[str]] = {}
        self._parted_by: tuple[object, Mapping[str, str], frozenset[str]] | None = None
        self._last = SortedSet()
        self._first = self._unlabelled

    @property
    def labelled(self) -> Sequence[str]:
        """Ids of images with a submitted label, sorted."""
        return self._labelled

    @property
    def unlabelled(self) -> Sequence[str]:
        """Ids of images without one, sorted."""
        return self._unlabelled

    def __contains__(self, image: object) -> bool:
        """Whether the study has an image."""
        return image in self._unlabelled or image in self._labelled

    def __iter__(self) -> Iterator[str]:
        """Every image, the unlabelled ones first."""
        yield from self._unlabelled
        yield from self._labelled

    def __len__(self) -> int:
        """Number of images."""
        return len(self._unlabelled) + len(self._labelled)

    def counts(self) -> dict[str, int]:
        """Number of labels by tag; tags without a label are left out."""
        return {tag: len(images) for tag, images in sorted(self._by_tag.items()) if images}

    def put(self, image: str, tags: Collection[str]) -> None:
        """An image is there, with labels of these tags and no others."""
        with self.lock:
            labelled = _FINAL in tags
            if not labelled and image not in self._unlabelled:
                self.grown += 1
            for tag, images in self._by_tag.items():
                if tag not in tags:
                    images.discard(image)
            for tag in tags:
                self._by_tag.setdefault(str(tag), set()).add(image)
            (self._unlabelled if labelled else self._labelled).discard(image)
            (self._labelled if labelled else self._unlabelled).add(image)
            self._part(image, unlabelled=not labelled)

    def drop(self, image: str) -> None:
        """An image is gone, with its labels."""
        with self.lock:
            for images in (*self._by_tag.values(), self._labelled, self._unlabelled):
                images.discard(image)
            self._part(image, unlabelled=False)

    def fill(self, images: Iterable[tuple[str, Collection[str]]]) -> None:
        """Begin anew with these images and the tags of their labels."""
        known = {image: set(tags) for image, tags in images}
        with self.lock:
            self.grown += 1
            self._labelled = SortedSet(image for image, tags in known.items() if _FINAL in tags)
            self._unlabelled = SortedSet(image for image, tags in known.items() if _FINAL not in tags)
            self._by_tag = {}
            for image, tags in known.items():
                for tag in tags:
                    self._by_tag.setdefault(str(tag), set()).add(image)
            self._parted_by = None

    def parted(
        self, patients: Mapping[str, str], validation: frozenset[str], version: object
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Unlabelled images that are asked for first, and those of validation patients, which come last; both sorted.

        Args:
            patients: patient by image id, for every id.
            validation: patients of the frozen validation.
            version: equal as long as `patients` says the same; the images are gone through again when it or
                `validation` changes.
        """
        with self.lock:
            key = version, validation
            if self._parted_by is None or (self._parted_by[0], self._parted_by[2]) != key:
                self._parted_by = version, patients, validation
                inside = [image for image in self._unlabelled if validation and patients[image] in validation]
                self._last = SortedSet(inside)
                # Without validation images, the usual case of a new study, both are one set.
                self._first = SortedSet(self._unlabelled - self._last) if validation else self._unlabelled
            return self._first, self._last

    def _part(self, image: str, *, unlabelled: bool) -> None:
        if self._parted_by is None or not self._parted_by[2]:
            return
        _, patients, validation = self._parted_by
        self._first.discard(image)
        self._last.discard(image)
        if unlabelled:
            (self._last if patients[image] in validation else self._first).add(image)
