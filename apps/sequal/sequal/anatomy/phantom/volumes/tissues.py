"""How bright the tissues are, by kind of scanner."""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["CT_TISSUES", "MR_TISSUES", "Brightness", "Tissue"]

Tissue = Literal[
    "air",
    "fat",
    "muscle",
    "bone",
    "lung",
    "blood",
    "myocardium",
    "liver",
    "spleen",
    "vessel",
    "kidney",
    "stomach",
]


@dataclass(frozen=True)
class Brightness:
    """Of one tissue.

    Attributes:
        mean: in the units of the scanner.
        texture: standard deviation of the texture.
    """

    mean: float
    texture: float


#: Hounsfield units after contrast medium.
CT_TISSUES: Final[dict[Tissue, Brightness]] = {
    "air": Brightness(-1000.0, 0.0),
    "fat": Brightness(-95.0, 14.0),
    "muscle": Brightness(52.0, 12.0),
    "bone": Brightness(380.0, 120.0),
    "lung": Brightness(-830.0, 70.0),
    "blood": Brightness(240.0, 14.0),
    "myocardium": Brightness(105.0, 14.0),
    "liver": Brightness(108.0, 16.0),
    "spleen": Brightness(128.0, 13.0),
    "vessel": Brightness(176.0, 12.0),
    "kidney": Brightness(170.0, 26.0),
    "stomach": Brightness(30.0, 34.0),
}

#: Parts of the full signal.
MR_TISSUES: Final[dict[Tissue, Brightness]] = {
    "air": Brightness(0.0, 0.0),
    "fat": Brightness(0.82, 0.06),
    "muscle": Brightness(0.30, 0.04),
    "bone": Brightness(0.24, 0.07),
    "lung": Brightness(0.06, 0.03),
    "blood": Brightness(0.68, 0.06),
    "myocardium": Brightness(0.38, 0.05),
    "liver": Brightness(0.46, 0.05),
    "spleen": Brightness(0.35, 0.04),
    "vessel": Brightness(0.68, 0.05),
    "kidney": Brightness(0.55, 0.07),
    "stomach": Brightness(0.26, 0.10),
}
