"""Two-stream batches: a labelled part with the current labels, an unlabelled part, two intensity views of both."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from monai.transforms import Compose
from numpy.typing import NDArray
from torch import Tensor

from sequal.anatomy.models import model_of
from sequal.errors import StudyError
from sequal.labels import BACKGROUND, IGNORE
from sequal.learning.batch import Batch
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.learning.training.readings import Readings
from sequal.preparation.augmentation import IMAGE, LABEL, without_metadata
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item

__all__ = ["TwoStreamBatches"]


class TwoStreamBatches:
    """An endless iterator of batches; the same seed and items give the same batches.

    Labelled images are drawn in shuffled order without repetition until all were seen; unlabelled ones
    uniformly. Labelled patches are centred on a label two times out of three.

    Args:
        labelled: items with a label, readable.
        unlabelled: items without; may be empty (then, and with `batch_unlabelled = 0`, batches are labelled only).
        frames: source of the images.
        labels: source of the current labels ỹ.
        settings: batch sizes and patch side.
        seed: of the item draw, the geometry and both intensity perturbations.
        rehearsal: endless patches of simulated frames with their labels, of which `settings.rehearsal` come into every
            batch; None: none do.
        readings: labels of further readers of the same images; None: there are none.
    """

    def __init__(
        self,
        labelled: Sequence[Item],
        unlabelled: Sequence[Item],
        frames: WorkingFrames,
        labels: LabelsInUse,
        settings: Settings,
        seed: int,
        rehearsal: Iterable[tuple[Tensor, Tensor]] | None = None,
        readings: Readings | None = None,
    ) -> None:
        if not labelled:
            raise StudyError("Expected at least one labelled image that can be read, got none. Label an image first.")
        self._labelled, self._unlabelled = list(labelled), list(unlabelled)
        self._frames, self._labels, self._readings = frames, labels, readings
        self._sizes = (settings.batch_labelled, settings.batch_unlabelled)
        seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(5)]
        self._rng = np.random.default_rng(seeds[0])
        model = model_of(settings)
        self._on_structure, self._anywhere = (
            model.geometry(on_structure=on).set_random_state(seed=s) for on, s in ((True, seeds[1]), (False, seeds[2]))
        )
        self._views = [model.intensity().set_random_state(seed=s) for s in seeds[3:]]
        self._queue: list[Item] = []
        self._simulated = 0 if rehearsal is None else settings.rehearsal
        self._rehearsal = iter(rehearsal or ())

    def __iter__(self) -> Iterator[Batch]:
        """Batches without end."""
        while True:
            with without_metadata():
                batch = self._batch()
            yield batch

    def _batch(self) -> Batch:
        patches = [self._labelled_patch() for _ in range(self._sizes[0])]
        if self._unlabelled:
            patches += [p for p in (self._unlabelled_patch() for _ in range(self._sizes[1])) if p is not None]
        patches += islice(self._rehearsal, self._simulated)
        images, labels = zip(*patches, strict=True)
        first, other = (torch.stack([view({IMAGE: image})[IMAGE] for image in images]) for view in self._views)
        return Batch(first.float(), other.float(), torch.stack(labels), self._simulated)

    def _labelled_patch(self) -> tuple[Tensor, Tensor]:
        if not self._queue:
            self._queue = [self._labelled[i] for i in self._rng.permutation(len(self._labelled))]
        item = self._queue.pop()
        label = self._labels.working(item)
        if self._readings is not None:
            label = self._readings.drawn(item, label, self._rng)
        drawn = np.flatnonzero(((label != BACKGROUND) & (label != IGNORE)).reshape(len(label), -1).any(axis=1))
        f = int(self._rng.choice(drawn)) if drawn.size else int(self._rng.integers(label.shape[0]))
        frame = self._frames.get(item)
        if frame is None:  # read before, lost since: a study folder may change under us
            raise StudyError(
                f"Expected the labelled image {item.id} to stay readable, got a damaged one. Restore {item.image.name}."
            )
        return self._cut(self._on_structure if drawn.size else self._anywhere, frame.pixels[f], label[f])

    def _unlabelled_patch(self) -> tuple[Tensor, Tensor] | None:
        frame = self._frames.get(self._unlabelled[int(self._rng.integers(len(self._unlabelled)))])
        if frame is None:
            return None
        pixels = frame.pixels[int(self._rng.integers(frame.frames))]
        return self._cut(self._anywhere, pixels, np.full(tuple(pixels.shape[1:]), IGNORE, dtype=np.uint8))

    @staticmethod
    def _cut(geometry: Compose, pixels: Tensor, label: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        cut = geometry({IMAGE: pixels.float(), LABEL: torch.from_numpy(label)[None]})
        cut = cut[0] if isinstance(cut, list) else cut
        return cut[IMAGE], cut[LABEL].to(torch.uint8)
