"""The grid on which the networks see a volume, and the way back to the volume's own array."""

import math
from dataclasses import dataclass
from typing import Any, Self

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sequal.errors import ImageError
from sequal.labels import IGNORE

__all__ = ["VolumeGrid", "canonical_order", "canonical_spacing"]

_RAS = np.array([[0, 1], [1, 1], [2, 1]], dtype=float)
#: Outside these a header is wrong: no scanner has voxels like that.
_FINEST_MM, _COARSEST_MM = 0.01, 50.0


def canonical_order(affine: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which axes of an array come nearest to right, anterior and superior, in this order."""
    return np.argsort(nib.orientations.io_orientation(affine)[:, 0])


def canonical_spacing(affine: NDArray[np.float64], name: str) -> tuple[float, float, float]:
    """Size of a voxel in millimetres along the axes of the array that come nearest to right, anterior and superior.

    Args:
        affine: (4, 4), voxel to RAS millimetres.
        name: of the file, for the message.

    Raises:
        ImageError: it is not credible.
    """
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(sizes).all() and (sizes >= _FINEST_MM).all() and (sizes <= _COARSEST_MM).all()):
        raise ImageError(
            f"Expected voxels of {name} between {_FINEST_MM} and {_COARSEST_MM:g} mm, got "
            f"{', '.join(f'{size:g}' for size in sizes)}. Correct the spacing in the file's header."
        )
    right, front, up = sizes[canonical_order(affine)].tolist()
    return right, front, up


@dataclass(frozen=True)
class VolumeGrid:
    """The relation between the array of a volume and the grid of the networks.

    The working grid runs to the right, to the front and upwards (RAS) as nearly as the array does, whatever way the
    file is stored, and has one size of voxel in a study.

    Attributes:
        native: shape of the array in its file.
        working: shape after orientation and resampling, before padding.
        window: what a network takes at once.
        stride: every side that a network takes is a multiple of it.
        orientation: of the array, as nibabel writes it.
    """

    native: tuple[int, ...]
    working: tuple[int, ...]
    window: tuple[int, ...]
    stride: int
    orientation: tuple[tuple[float, float], ...]

    @classmethod
    def of(
        cls,
        native: tuple[int, int, int],
        affine: NDArray[np.float64],
        spacing_mm: tuple[float, ...],
        window: tuple[int, ...],
        stride: int,
        name: str = "the volume",
    ) -> Self:
        """The grid for one volume.

        Args:
            native: shape of its array.
            affine: (4, 4), voxel to RAS millimetres.
            spacing_mm: voxel of the working grid.
            window: what a network takes at once.
            stride: of the networks.
            name: of the file, for the message.

        Raises:
            ImageError: its voxels are not credible.
        """
        found = canonical_spacing(affine, name)
        orientation = nib.orientations.io_orientation(affine)
        sides = zip((native[axis] for axis in canonical_order(affine)), found, spacing_mm, strict=True)
        working = tuple(max(1, round(side * size / wanted)) for side, size, wanted in sides)
        return cls(native, working, window, stride, tuple((float(a), float(b)) for a, b in orientation))

    def image_to_working(self, image: NDArray[np.float32]) -> Tensor:
        """Resample (*native) to float32 (1, *working), averaged where it shrinks."""
        return _resize(torch.from_numpy(self._oriented(image))[None, None], self.working)[0]

    def label_to_working(self, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resample a label (*native): each voxel takes its most covered class."""
        oriented = torch.from_numpy(self._oriented(label))
        best = torch.full(self.working, -1.0)
        found = torch.full(self.working, IGNORE, dtype=torch.uint8)
        for number in np.unique(label):  # one class at a time: all at once would take as much memory as there are
            share = _resize((oriented == int(number)).float()[None, None], self.working)[0, 0]
            nearer = share > best
            best = torch.where(nearer, share, best)
            found[nearer] = int(number)
        return found.numpy()

    def pad(self, x: Tensor) -> Tensor:
        """Pad (B, C, *working) at the far ends to multiples of the stride, repeating the border."""
        sides = [math.ceil(side / self.stride) * self.stride - side for side in self.working]
        return F.pad(x, [value for side in reversed(sides) for value in (0, side)], mode="replicate")

    def crop(self, x: Tensor) -> Tensor:
        """Undo `pad`."""
        width, height, depth = self.working
        return x[..., :width, :height, :depth]

    def to_native(self, probability: Tensor) -> NDArray[np.float32]:
        """Resample probabilities (B, *working) to float32 (B, *native), within 0..1."""
        order = np.argsort(np.array(self.orientation)[:, 0])
        oriented = tuple(self.native[axis] for axis in order)
        back = nib.orientations.ornt_transform(_RAS, np.array(self.orientation))
        resized = [_resize(one[None, None].float(), oriented)[0, 0].clamp(0.0, 1.0) for one in probability]
        arrays = (nib.orientations.apply_orientation(one.cpu().numpy(), back) for one in resized)
        return np.stack([np.ascontiguousarray(array) for array in arrays])

    def _oriented(self, array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(nib.orientations.apply_orientation(array, np.array(self.orientation)))


def _resize(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resample (1, 1, *spatial): the mean of what a voxel covers along sides that shrink, linear along the others."""
    smaller = tuple(min(old, new) for old, new in zip(x.shape[2:], size, strict=True))
    if smaller != tuple(x.shape[2:]):
        x = F.interpolate(x, size=smaller, mode="area")
    if size != smaller:
        x = F.interpolate(x, size=size, mode="trilinear", align_corners=False)
    return x
