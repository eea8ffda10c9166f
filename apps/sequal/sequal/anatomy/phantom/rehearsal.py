"""Simulated frames in the batches of a round, so that a network keeps what it learnt from many scanners."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from sequal.anatomy.layer.convention import Convention
from sequal.anatomy.phantom.patches import PatchCutter, PhantomSample, phantom_sample
from sequal.settings import Settings
from sequal.study.state import atomic_write, read_derived

__all__ = ["Rehearsal", "rehearsal_frames"]

#: Frames of a study's rehearsal; they are simulated once, in a few seconds.
_FRAMES: Final = 24
#: One frame in so many shows no wall for sure, beside those drawn so.
_BARE_EVERY: Final = 5
#: Of the frames; other than those of any training set and of those that judge starting weights.
_SEED: Final = 424_242


def rehearsal_frames(settings: Settings, cache: Path) -> list[PhantomSample]:
    """The simulated frames that rounds rehearse with, from `cache` or simulated and kept there.

    Args:
        settings: the working grid.
        cache: file; one that cannot be read is made anew.
    """
    name = f"spacing-{settings.working_spacing_mm:g}"

    def of_this_grid(stored: Mapping[str, NDArray[np.uint8]]) -> list[PhantomSample]:
        if name not in stored:
            return []
        return [PhantomSample(stored[f"image{i}"], stored[f"label{i}"]) for i in range(_FRAMES)]

    kept = read_derived(cache, of_this_grid, "the frames are simulated again")
    if kept:
        return kept
    frames = [
        phantom_sample(_SEED, index, settings, "no_wall" if index % _BARE_EVERY == 0 else None)
        for index in range(_FRAMES)
    ]
    images = {f"image{i}": frame.image for i, frame in enumerate(frames)}
    labels = {f"label{i}": frame.label for i, frame in enumerate(frames)}
    with atomic_write(cache) as out:
        np.savez_compressed(out, **{name: np.zeros(0)}, **images, **labels)
    return frames


class Rehearsal:
    """An endless draw of patches of simulated frames.

    Args:
        frames: to draw from.
        patch: (W, H) in working pixels.
        seed: of draw and geometry.
        convention: of the study's readers, in which the simulated frames are labelled.
    """

    def __init__(
        self, frames: Sequence[PhantomSample], patch: tuple[int, int], seed: int, convention: Convention
    ) -> None:
        self._frames, self._convention = list(frames), convention
        draw, geometry = (int(s) for s in np.random.SeedSequence(seed).generate_state(2))
        self._rng = np.random.default_rng(draw)
        self._cut = PatchCutter(patch, geometry)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Image float32 (1, W, H) in 0..1 and label uint8 (1, W, H), one patch after the other."""
        while True:
            frame = self._frames[int(self._rng.integers(len(self._frames)))]
            yield self._cut(replace(frame, label=self._convention.draw(frame.label, self._rng)))
