"""How a frame lies in the array of its file: turned by a camera's tag, or along other axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["PLAIN", "Layout", "slice_layout"]

_Grid = tuple[int, int, int]
_PLAIN_AXES: Final = (0, 1, 2)
_SWAPPED: Final = (1, 0, 2)
#: EXIF orientation to (axes, x flipped, y flipped): how the frame that a person sees is made of the stored array.
_EXIF: Final[dict[int, tuple[_Grid, bool, bool]]] = {
    2: (_PLAIN_AXES, True, False),
    3: (_PLAIN_AXES, True, True),
    4: (_PLAIN_AXES, False, True),
    5: (_SWAPPED, False, False),
    6: (_SWAPPED, True, False),
    7: (_SWAPPED, True, True),
    8: (_SWAPPED, False, True),
}


@dataclass(frozen=True)
class Layout:
    """Axes are exchanged first, then directions are turned.

    Attributes:
        axes: for columns, rows and frames of the frame, the axis of the file's array.
        flip_x: columns run against the file's.
        flip_y: rows run against the file's.
        flip_frames: frames run against the file's.
    """

    axes: _Grid = _PLAIN_AXES
    flip_x: bool = False
    flip_y: bool = False
    flip_frames: bool = False

    @classmethod
    def of_exif(cls, orientation: int) -> Self:
        """The layout of a photograph; any number that EXIF does not know counts as upright.

        Args:
            orientation: EXIF tag 274, 1 to 8.
        """
        return cls(*_EXIF[orientation]) if orientation in _EXIF else cls()

    @property
    def _flips(self) -> tuple[bool, bool, bool]:
        return self.flip_x, self.flip_y, self.flip_frames

    @property
    def plain(self) -> bool:
        """Whether the file holds the frame as it is."""
        return self == PLAIN

    def file_grid(self, grid: _Grid) -> _Grid:
        """Shape of the file's array from the frame's `(W, H, F)`.

        >>> Layout.of_exif(6).file_grid((307, 241, 1))
        (241, 307, 1)
        """
        lengths = [0, 0, 0]
        for axis, length in zip(self.axes, grid, strict=True):
            lengths[axis] = length
        return lengths[0], lengths[1], lengths[2]

    def to_frame(self, values: NDArray[Any]) -> NDArray[Any]:
        """From the file's array, three axes, to `(W, H, F)`.

        >>> Layout.of_exif(6).to_frame(np.array([[[0], [1], [2]]]))[:, 0, 0].tolist()
        [2, 1, 0]
        """
        return self._turned(values.transpose(self.axes))

    def to_file(self, values: NDArray[Any]) -> NDArray[Any]:
        """From `(W, H, F)` to the file's array, three axes; the way back of `to_frame`."""
        return self._turned(values).transpose(np.argsort(self.axes))

    def frame_affine(self, affine: NDArray[np.float64], grid: _Grid) -> NDArray[np.float64]:
        """Pixel of the frame to space, from pixel of the file to space.

        Args:
            affine: `(4, 4)`, of the file's array.
            grid: `(W, H, F)` of the frame.

        Returns:
            Float64 `(4, 4)`.
        """
        way = np.eye(4)
        way[:3, :3] = 0.0
        for place, (axis, flip) in enumerate(zip(self.axes, self._flips, strict=True)):
            way[axis, place] = -1.0 if flip else 1.0
            way[axis, 3] = grid[place] - 1.0 if flip else 0.0
        return affine @ way

    def _turned(self, values: NDArray[Any]) -> NDArray[Any]:
        turned: NDArray[Any] = values[tuple(slice(None, None, -1 if flip else 1) for flip in self._flips)]
        return turned


PLAIN: Final = Layout()


def slice_layout(shape: Sequence[int]) -> Layout:
    """The layout of a volume of one slice: a slice along the second axis, `(W, 1, H)`, is a frame, not a clip.

    >>> slice_layout((307, 1, 241)).axes, slice_layout((307, 241, 1)).axes, slice_layout((307, 241, 8)).axes
    ((0, 2, 1), (0, 1, 2), (0, 1, 2))
    """
    along_y = len(shape) > 2 and shape[1] == 1 and shape[0] > 1 and shape[2] > 1
    return Layout((0, 2, 1)) if along_y else PLAIN
