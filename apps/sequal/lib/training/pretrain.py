"""Starting weights: a pair trained on simulated frames alone, before any label exists."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from ignite.engine import Events
from numpy.typing import NDArray

from lib.imaging import Calibration
from lib.imaging.normalisation import normalise_intensity
from lib.imaging.working_grid import WorkingGrid
from lib.inference import LoadedPair
from lib.networks import Architecture, DualNetwork
from lib.phantom import Kind, PhantomFrame, simulate_frame
from lib.settings import Settings
from lib.state import atomic_write, save_checkpoint
from lib.training.augmentation import IMAGE, LABEL, intensity_view, patch_geometry, without_metadata
from lib.training.batches import Batch
from lib.training.engine import MeanTeacherTrainer

__all__ = ["PATCH", "PhantomBatches", "PhantomSample", "phantom_sample", "pretrain"]

logger = logging.getLogger(__name__)

#: (W, H) of a patch in working pixels: 23 mm across and deep, so that lumen and both walls are usually seen.
PATCH = (192, 384)
#: One frame in so many shows no wall for sure, beside those drawn so: what is no wall is as varied as what is one.
_BARE_EVERY: Final = 8


@dataclass(frozen=True)
class PhantomSample:
    """A simulated frame on the working grid.

    Attributes:
        image: uint8 (W, H), the normalised frame times 255.
        label: uint8 (W, H) in {0, 1}.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]


def phantom_sample(seed: int, index: int, settings: Settings, cache: Path | None = None) -> PhantomSample:
    """Frame number `index` of the training set that `seed` defines, simulated or read from `cache`."""
    file = None if cache is None else cache / f"{seed}-{index:06d}.npz"
    if file is not None and file.exists():
        with np.load(file) as stored:
            return PhantomSample(stored["image"], stored["label"])
    kind: Kind | None = "no_wall" if index % _BARE_EVERY == 0 else None
    sample = _to_working(simulate_frame(np.random.default_rng([seed, index]), kind=kind), settings)
    if file is not None:
        with atomic_write(file) as out:
            np.savez_compressed(out, image=sample.image, label=sample.label)
    return sample


def _to_working(frame: PhantomFrame, settings: Settings) -> PhantomSample:
    width, height = frame.pixels.shape
    calibration = Calibration(frame.spacing_mm, "phantom")
    grid = WorkingGrid.of((width, height), calibration, settings.working_spacing_mm, settings.max_working_pixels)
    image = grid.image_to_working(normalise_intensity(frame.pixels.astype(np.float32)))[0]
    return PhantomSample(
        (image * 255.0).round().clamp(0, 255).to(torch.uint8).numpy(), grid.label_to_working(frame.mask)
    )


class PhantomBatches:
    """Endless batches of patches of simulated frames, every pixel annotated.

    Args:
        samples: the training set.
        batch: patches a batch.
        seed: of draw, geometry and intensities.
    """

    def __init__(self, samples: Sequence[PhantomSample], batch: int, seed: int) -> None:
        self._samples, self._batch = samples, batch
        seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(4)]
        self._rng = np.random.default_rng(seeds[0])
        self._on_layer = patch_geometry(PATCH, on_layer=True, scale=0.3).set_random_state(seed=seeds[1])
        self._anywhere = patch_geometry(PATCH, on_layer=False, scale=0.3).set_random_state(seed=seeds[2])
        self._view = intensity_view(strong=True).set_random_state(seed=seeds[3])

    def __iter__(self) -> Iterator[Batch]:
        """Batches without end, each epoch in a new order."""
        while True:
            order = self._rng.permutation(len(self._samples))
            for start in range(0, len(order) - self._batch + 1, self._batch):
                with without_metadata():
                    batch = self._collate([self._samples[i] for i in order[start : start + self._batch]])
                yield batch

    def _collate(self, samples: Sequence[PhantomSample]) -> Batch:
        images, labels = [], []
        for sample in samples:
            geometry = self._on_layer if sample.label.any() else self._anywhere
            cut = geometry(
                {IMAGE: torch.from_numpy(sample.image)[None] / 255.0, LABEL: torch.from_numpy(sample.label)[None]}
            )
            cut = cut[0] if isinstance(cut, list) else cut
            images.append(self._view({IMAGE: cut[IMAGE]})[IMAGE])
            labels.append(cut[LABEL].to(torch.uint8))
        image = torch.stack(images)
        return Batch(image, image, torch.stack(labels))


def pretrain(
    samples: Sequence[PhantomSample],
    out: Path,
    settings: Settings,
    *,
    meta: Mapping[str, Any],
    device: torch.device,
    start: LoadedPair | None = None,
    average_with: Sequence[LoadedPair] = (),
    cpu_bfloat16: bool = False,
    progress: Callable[[int, float], None] = lambda *_: None,
) -> str:
    """Train a pair on simulated frames and write it as starting weights.

    Args:
        samples: the training set.
        out: checkpoint to write.
        settings: network, optimiser, `epochs` × `iterations_per_epoch` steps of `batch_labelled` patches, seed.
        meta: goes into the checkpoint.
        device: where to train.
        start: a pair of the same network to go on from; None: random weights.
        average_with: pairs of the same network that the trained one is averaged with before it is written.
        cpu_bfloat16: see `MeanTeacherTrainer`.
        progress: called after every step with its number and the loss.

    Returns:
        The digest of the checkpoint.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        pair = start.pair if start else DualNetwork(Architecture(settings.network), settings.ema_alpha).to(device)
        batches = PhantomBatches(samples, settings.batch_labelled, settings.seed)
        trainer = MeanTeacherTrainer(pair, batches, settings, device, cpu_bfloat16=cpu_bfloat16)
        trainer.add_event_handler(
            Events.ITERATION_COMPLETED,
            lambda engine: progress(engine.state.iteration, engine.state.output["loss"]),
        )
        trainer.run()
    pair.average_with([other.pair for other in average_with])
    payload = {
        "format": 1,
        "architecture": {"name": settings.network, "kwargs": {}},
        **pair.weights(),
        "meta": {"round": 0, "iterations": pair.updates, "settings": settings.record(), **meta},
    }
    return save_checkpoint(out, payload)
