"""Simulated frames on the working grid, and patches of them, every pixel annotated."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sequal.anatomy.phantom import Kind, PhantomFrame, simulate_frame
from sequal.anatomy.phantom.hospital import HospitalFrame, draw_hospital, simulate_hospital_frame
from sequal.files.imaging import Calibration
from sequal.preparation.augmentation import IMAGE, LABEL, patch_geometry
from sequal.preparation.normalisation import normalise_intensity
from sequal.preparation.working_grid import WorkingGrid
from sequal.settings import Settings

__all__ = ["PatchCutter", "PhantomSample", "phantom_sample", "poor_sample"]


@dataclass(frozen=True)
class PhantomSample:
    """A simulated frame on the working grid.

    Attributes:
        image: uint8 (W, H), the normalised frame times 255.
        label: uint8 (W, H) in {0, 1}.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]


def phantom_sample(seed: int, index: int, settings: Settings, kind: Kind | None = None) -> PhantomSample:
    """Frame number `index` of the training set that `seed` defines; of a drawn kind when none is given."""
    return _sample(simulate_frame(np.random.default_rng([seed, index]), kind=kind), settings)


def poor_sample(seed: int, index: int, settings: Settings) -> PhantomSample:
    """Frame number `index` of a set of frames of drawn hospitals, a hospital each; see `draw_hospital`."""
    hospital = draw_hospital(np.random.default_rng([seed, index]))
    return _sample(simulate_hospital_frame(hospital, seed, HospitalFrame(index, "drawn", 0)), settings)


def _sample(frame: PhantomFrame, settings: Settings) -> PhantomSample:
    width, height = frame.pixels.shape
    calibration = Calibration(frame.spacing_mm, "phantom")
    grid = WorkingGrid.of((width, height), calibration, settings.working_spacing_mm, settings.max_working_pixels)
    image = grid.image_to_working(normalise_intensity(frame.pixels.astype(np.float32)))[0]
    return PhantomSample(
        (image * 255.0).round().clamp(0, 255).to(torch.uint8).numpy(), grid.label_to_working(frame.mask)
    )


class PatchCutter:
    """Cuts a patch of a sample with a random geometry; two of three lie on the layer where there is one.

    Args:
        patch: (W, H) in working pixels.
        seed: of the geometry.
        scale: see `patch_geometry`.
    """

    def __init__(self, patch: tuple[int, int], seed: int, scale: float = 0.2) -> None:
        self._on_layer, self._anywhere = (
            patch_geometry(patch, on_structure=on_layer, scale=scale).set_random_state(seed=int(s))
            for on_layer, s in zip((True, False), np.random.SeedSequence(seed).generate_state(2), strict=True)
        )

    def __call__(self, sample: PhantomSample) -> tuple[torch.Tensor, torch.Tensor]:
        """Image float32 (1, W, H) in 0..1 and label uint8 (1, W, H), 255 beside the frame."""
        geometry = self._on_layer if sample.label.any() else self._anywhere
        cut = geometry(
            {IMAGE: torch.from_numpy(sample.image)[None] / 255.0, LABEL: torch.from_numpy(sample.label)[None]}
        )
        cut = cut[0] if isinstance(cut, list) else cut
        return cut[IMAGE], cut[LABEL].to(torch.uint8)
