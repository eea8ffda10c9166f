"""The simulated readers of an experiment: what they draw in an image depends on the seed and the image alone."""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import fuse_readers
from sequal.anatomy.phantom import SimulatedExpert, draw_reader
from sequal.experiments.plan import Plan

__all__ = ["Readers"]

#: Jitter of a reader who draws as the truth is drawn, without a bias of his own (`noise = careful`).
_CAREFUL_MM = 0.03


class Readers:
    """The readers of one seed.

    Args:
        plan: `readers`, `fusion`, `noise` and `traced` are used.
        seed: of their habits and errors.
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        self._plan, self._seed = plan, seed
        self._readers = [self._reader(index) for index in range(plan.readers)]

    def label(self, image: str, mask: NDArray[np.uint8], pixel_mm: tuple[float, float]) -> NDArray[np.uint8]:
        """The label that a study would get for an image.

        Args:
            image: its id.
            mask: the truth, uint8 (W, H) in {0, 1}.
            pixel_mm: (dx, dy) that the readers' errors are scaled to.

        Returns:
            uint8 (W, H) in {0, 1, 255}; with several readers fused, or, with `fusion = none`, of one of them.
        """
        if self._plan.fusion == "none":
            chosen = int(self._rng(image, len(self._readers)).integers(len(self._readers)))
            return self._readers[chosen].annotate_mask(mask, pixel_mm, self._rng(image, chosen))
        labels = [
            reader.annotate_mask(mask, pixel_mm, self._rng(image, index)) for index, reader in enumerate(self._readers)
        ]
        return labels[0] if len(labels) == 1 else fuse_readers(labels, self._plan.fusion)

    def _reader(self, index: int) -> SimulatedExpert:
        name = f"R{index + 1}"
        if self._plan.noise == "none":
            return SimulatedExpert(name, jitter_mm=0.0, coarse_probability=0.0, traced=self._plan.traced)
        if self._plan.noise == "careful":
            return SimulatedExpert(name, jitter_mm=_CAREFUL_MM, coarse_probability=0.0, traced=self._plan.traced)
        return replace(draw_reader(np.random.default_rng([self._seed, index]), name), traced=self._plan.traced)

    def _rng(self, image: str, index: int) -> np.random.Generator:
        digest = hashlib.sha256(image.encode()).digest()
        return np.random.default_rng([self._seed, index, *np.frombuffer(digest[:8], dtype=np.uint32).tolist()])
