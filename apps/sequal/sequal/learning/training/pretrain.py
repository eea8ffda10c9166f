"""Starting weights: a pair trained on simulated frames alone, before any label exists."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from ignite.engine import Events
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from sequal.anatomy.phantom import Kind
from sequal.anatomy.phantom.patches import PatchCutter, PhantomSample, phantom_sample
from sequal.learning.batch import Batch
from sequal.learning.methods.sequal import MeanTeacherPair, MeanTeacherTrainer
from sequal.learning.networks import Architecture
from sequal.prediction import LoadedPair, checkpoint_payload
from sequal.preparation.augmentation import IMAGE, intensity_view, without_metadata
from sequal.settings import Settings
from sequal.study.state import save_checkpoint

__all__ = ["PATCH", "PhantomStream", "frames_used", "phantom_batches", "pretrain"]

#: (W, H) of a patch in working pixels: 23 mm across and deep, so that lumen and both walls are usually seen.
PATCH = (192, 384)
#: One frame in so many shows no wall for sure, beside those drawn so: what is no wall is as varied as what is one.
_BARE_EVERY: Final = 4
#: Patches that are cut from a frame on average; simulating a frame takes as long as cutting thirty.
_PATCHES_PER_FRAME: Final = 12
#: Frames that a process holds to cut from, so that a batch shows several.
_HELD: Final = 64


def frames_used(steps: int, batch: int) -> int:
    """Frames that so many steps are cut from."""
    return -(-steps * batch // _PATCHES_PER_FRAME)


class PhantomStream(IterableDataset[Batch]):
    """Endless batches of patches of frames that are simulated on the way, every pixel annotated.

    Under a `DataLoader` each of its processes simulates every n-th frame and cuts from those it holds; the same seed
    and number of processes give the same batches.

    Args:
        batch: patches a batch.
        seed: of frames, draw, geometry and intensities.
        settings: the working grid.
    """

    def __init__(self, batch: int, seed: int, settings: Settings) -> None:
        self._batch, self._seed, self._settings = batch, seed, settings

    def __iter__(self) -> Iterator[Batch]:
        """Batches without end."""
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        seeds = [int(s) for s in np.random.SeedSequence([self._seed, worker, workers]).generate_state(3)]
        cut, view = PatchCutter(PATCH, seeds[1], scale=0.3), intensity_view(strong=True).set_random_state(seed=seeds[2])
        rng = np.random.default_rng(seeds[0])
        held: list[PhantomSample] = []
        due, index = float(self._batch), worker
        while True:
            due += self._batch / _PATCHES_PER_FRAME
            while due >= 1.0:
                kind: Kind | None = "no_wall" if index % _BARE_EVERY == 0 else None
                sample = phantom_sample(self._seed, index, self._settings, kind)
                if len(held) < _HELD:
                    held.append(sample)
                else:
                    held[int(rng.integers(_HELD))] = sample
                due, index = due - 1.0, index + workers
            with without_metadata():
                patches = [cut(held[int(i)]) for i in rng.integers(len(held), size=self._batch)]
                image = torch.stack([view({IMAGE: patch})[IMAGE] for patch, _ in patches])
            yield Batch(image, image, torch.stack([label for _, label in patches]))


def phantom_batches(batch: int, seed: int, settings: Settings, workers: int = 0) -> Iterable[Batch]:
    """`PhantomStream` made by so many processes; with 0 in this one."""
    loader: DataLoader[Batch] = DataLoader(PhantomStream(batch, seed, settings), batch_size=None, num_workers=workers)
    return loader


def pretrain(
    batches: Iterable[Batch],
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
        batches: endless, see `phantom_batches`.
        out: checkpoint to write.
        settings: network, optimiser, `epochs` × `iterations_per_epoch` steps, seed of the network.
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
        pair = start.pair if start else MeanTeacherPair(Architecture(settings.network), settings.ema_alpha).to(device)
        trainer = MeanTeacherTrainer(pair, batches, settings, device, cpu_bfloat16=cpu_bfloat16)
        trainer.add_event_handler(
            Events.ITERATION_COMPLETED,
            lambda engine: progress(engine.state.iteration, engine.state.output["loss"]),
        )
        trainer.run()
    pair.average_with([other.pair for other in average_with])
    notes = {"round": 0, "iterations": pair.updates, "settings": settings.record(), **meta}
    return save_checkpoint(out, checkpoint_payload(pair, notes))
