"""Random patches and random intensities: the geometry is drawn once for image and label, intensities per view."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from monai.data import get_track_meta, set_track_meta
from monai.transforms import (
    Compose,
    RandAdjustContrastd,
    RandAffined,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandSpatialCropd,
    SpatialPadd,
)
from torch import Tensor

from sequal.labels import BACKGROUND, IGNORE

__all__ = [
    "IMAGE",
    "LABEL",
    "intensity_view",
    "patch_geometry",
    "volume_geometry",
    "volume_intensity",
    "without_metadata",
]

IMAGE, LABEL = "image", "label"
_KEYS = (IMAGE, LABEL)


def patch_geometry(
    patch: tuple[int, int], *, on_structure: bool, scale: float = 0.2, rotate_rad: float = 0.12
) -> Compose:
    """Cut one patch and flip, scale and turn it at random.

    Works on `{"image": (1, W, H), "label": (1, W, H)}`; a frame smaller than the patch is padded, its label with
    IGNORE.

    Args:
        patch: (W, H) of the patch in working pixels.
        on_structure: two patches out of three are centred on a pixel of a label (there must be one).
        scale: largest change of size, as a fraction, per axis.
        rotate_rad: largest rotation in radians of the working grid.
    """
    return _geometry(patch, on_structure, True, prob=0.7, rotate_range=rotate_rad, scale_range=(scale, scale))


def intensity_view(*, strong: bool = False) -> Compose:
    """Perturb the grey values of `{"image": (1, W, H) in 0..1}`: gain, gamma, blur and noise.

    Args:
        strong: wider ranges, for starting weights that must fit scanners nobody has seen.
    """
    gain, gamma, blur = (0.4, (0.5, 2.0), 1.6) if strong else (0.25, (0.7, 1.5), 1.0)
    return Compose(
        [
            RandScaleIntensityd(IMAGE, factors=gain, prob=0.8),
            RandAdjustContrastd(IMAGE, prob=0.6, gamma=gamma),
            RandGaussianSmoothd(IMAGE, prob=0.2, sigma_x=(0.3, blur), sigma_y=(0.3, blur)),
            RandGaussianNoised(IMAGE, prob=0.6, std=0.06),
        ]
    )


def volume_geometry(patch: tuple[int, ...], *, on_structure: bool, mirror: bool = True) -> Compose:
    """Cut one patch of a volume and flip, scale and turn it at random.

    Works on `{"image": (1, X, Y, Z), "label": (1, X, Y, Z)}`; a smaller volume is padded, its label with IGNORE.

    Args:
        patch: in voxels of the working grid.
        on_structure: two patches out of three are centred on a voxel of a label (there must be one).
        mirror: every second patch is flipped from left to right.
    """
    # Turning a volume takes as long as a step of a small network.
    return _geometry(patch, on_structure, mirror, prob=0.3, rotate_range=(0.15,) * 3, scale_range=(0.1,) * 3)


def volume_intensity() -> Compose:
    """Perturb the grey values of `{"image": (1, X, Y, Z) in 0..1}`: gain, gamma, blur and noise."""
    return Compose(
        [
            RandScaleIntensityd(IMAGE, factors=0.15, prob=0.5),
            RandAdjustContrastd(IMAGE, prob=0.4, gamma=(0.75, 1.4)),
            RandGaussianSmoothd(IMAGE, prob=0.1, sigma_x=(0.3, 0.8), sigma_y=(0.3, 0.8), sigma_z=(0.3, 0.8)),
            RandGaussianNoised(IMAGE, prob=0.4, std=0.04),
        ]
    )


def _geometry(
    patch: tuple[int, ...],
    on_structure: bool,
    mirror: bool,
    **affine: Any,  # noqa: ANN401 - of `RandAffined`
) -> Compose:
    crop = (
        _LabelCrop(_KEYS, label_key=LABEL, spatial_size=patch, pos=2, neg=1, num_samples=1)
        if on_structure
        else RandSpatialCropd(_KEYS, roi_size=patch, random_size=False)
    )
    return Compose(
        [
            SpatialPadd(IMAGE, patch, mode="edge"),
            SpatialPadd(LABEL, patch, mode="constant", value=IGNORE),
            crop,
            RandFlipd(_KEYS, prob=0.5 if mirror else 0.0, spatial_axis=0),
            RandAffined(_KEYS, mode=("bilinear", "nearest"), padding_mode="border", **affine),
        ]
    )


@contextmanager
def without_metadata() -> Iterator[None]:
    """MONAI's transforms on plain tensors meanwhile: the same values in a third of the time for a small patch."""
    tracked = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(tracked)


class _LabelCrop(RandCropByPosNegLabeld):
    """MONAI's crop takes any value above 0 as foreground; here IGNORE is none."""

    def randomize(self, label: Tensor, *args: object, **kwargs: object) -> None:
        """Draw the centre from labelled pixels."""
        super().randomize(((label != BACKGROUND) & (label != IGNORE)).to(label.dtype), *args, **kwargs)
