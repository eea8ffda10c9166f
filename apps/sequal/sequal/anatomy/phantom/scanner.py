"""An ultrasound scanner: what its probe resolves and how it turns echoes into grey values."""

from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["SCANNERS", "SOUND_SPEED_MM_PER_US", "Scanner", "draw_scanner"]

SOUND_SPEED_MM_PER_US: Final = 1.54


@dataclass(frozen=True)
class Scanner:
    """Settings of probe and display.

    Attributes:
        spacing_mm: isotropic pixel, mm.
        width_mm: of the scan area.
        depth_mm: of the scan area.
        frequency_mhz: centre frequency.
        cycles: length of the pulse, in cycles.
        beam_mm: lateral resolution (FWHM) at the focus.
        focus_mm: depth of the focus.
        dynamic_range_db: of the log compression.
        gain_db: brightness; 0 puts the bright tissue near white.
        tgc_db: depth gain error, dB from the top to the bottom.
        gamma: of the display curve.
        noise_db: electronic noise relative to the bright tissue.
        looks: independent looks that are averaged (spatial compounding).
        smoothing_px: blur of the finished grey values (speckle reduction), sigma in pixels.
    """

    spacing_mm: float
    width_mm: float
    depth_mm: float
    frequency_mhz: float
    cycles: float
    beam_mm: float
    focus_mm: float
    dynamic_range_db: float
    gain_db: float
    tgc_db: float
    gamma: float
    noise_db: float
    looks: int
    smoothing_px: float

    @property
    def shape(self) -> tuple[int, int]:
        """(W, H) of the scan area in pixels."""
        return round(self.width_mm / self.spacing_mm), round(self.depth_mm / self.spacing_mm)

    @property
    def axial_sigma_mm(self) -> float:
        """Standard deviation of the pulse envelope along the depth, mm (FWHM = cycles · λ / 2)."""
        return self.cycles * SOUND_SPEED_MM_PER_US / self.frequency_mhz / 2.0 / 2.355

    def lateral_sigma_mm(self, depth_mm: float) -> float:
        """Standard deviation of the beam across, mm: narrowest at the focus."""
        return self.beam_mm / 2.355 * float(np.hypot(1.0, (depth_mm - self.focus_mm) / 18.0))


#: Scanners from 0.04 to 0.1 mm a pixel that differ as makes do; experiments keep some of them out of training.
SCANNERS: Final[dict[str, Scanner]] = {
    "A": Scanner(0.06, 38.0, 34.0, 9.0, 1.6, 0.35, 18.0, 55.0, 0.0, 0.0, 1.0, -55.0, 2, 0.5),
    "B": Scanner(0.08, 40.0, 40.0, 7.0, 1.8, 0.50, 22.0, 48.0, 2.0, -4.0, 1.2, -50.0, 1, 0.4),
    "C": Scanner(0.05, 32.0, 30.0, 11.0, 1.5, 0.28, 16.0, 60.0, -2.0, 3.0, 0.9, -58.0, 3, 0.6),
    "D": Scanner(0.10, 42.0, 45.0, 5.5, 1.8, 0.65, 25.0, 42.0, 0.0, -6.0, 1.4, -46.0, 1, 0.0),
    "E": Scanner(0.04, 28.0, 26.0, 12.5, 1.4, 0.22, 14.0, 58.0, 0.0, 2.0, 1.1, -60.0, 2, 0.7),
}


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """A scanner from wide ranges, so that a network trained on them does not learn one make."""
    zoomed = rng.random() < 0.2
    return Scanner(
        spacing_mm=float(rng.uniform(0.045, 0.095)),
        width_mm=float(rng.uniform(18.0, 28.0) if zoomed else rng.uniform(28.0, 45.0)),
        depth_mm=float(rng.uniform(20.0, 28.0) if zoomed else rng.uniform(26.0, 50.0)),
        frequency_mhz=float(rng.uniform(5.0, 13.0)),
        cycles=float(rng.uniform(1.1, 2.4)),
        beam_mm=float(rng.uniform(0.18, 0.75)),
        focus_mm=float(rng.uniform(10.0, 30.0)),
        dynamic_range_db=float(rng.uniform(28.0, 64.0)),
        gain_db=float(rng.normal(0.0, 4.0)),
        tgc_db=float(rng.normal(0.0, 6.0)),
        gamma=float(np.exp(rng.uniform(np.log(0.75), np.log(1.8)))),
        noise_db=float(rng.uniform(-70.0, -44.0)),
        looks=int(rng.integers(1, 5)),
        smoothing_px=float(rng.choice([0.0, rng.uniform(0.3, 1.1)])),
    )
