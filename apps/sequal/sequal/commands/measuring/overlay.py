"""The picture that `measure` makes of a frame: LI and MA on the image, the thickness above it."""

from pathlib import Path

from matplotlib.figure import Figure

from sequal.anatomy.measurement import ImtMeasurement
from sequal.commands.drawing import draw_boundaries, draw_frame
from sequal.commands.measuring.tables import MeasuredFrame
from sequal.errors import StudyError
from sequal.files.imaging import Frame

__all__ = ["write_overlay"]

_WIDTH_IN, _TALLEST_IN, _TITLE_IN, _DPI = 8.0, 12.0, 0.5, 110


def write_overlay(path: Path, image: str, frame: Frame, measured: MeasuredFrame) -> None:
    """Write the picture of one frame as PNG.

    Args:
        path: file to write.
        image: image id, for the title.
        frame: the image.
        measured: one of its frames.

    Raises:
        StudyError: the file cannot be written.
    """
    width, height, _ = frame.grid
    dx, dy = frame.calibration.spacing_mm or (1.0, 1.0)
    tall = min(_WIDTH_IN * (height * dy) / (width * dx), _TALLEST_IN)
    figure = Figure(figsize=(_WIDTH_IN, tall + _TITLE_IN), dpi=_DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, tall / (tall + _TITLE_IN)))
    draw_frame(axes, frame.pixels[:, :, measured.index], frame.calibration)
    draw_boundaries(axes, measured.boundaries)
    if measured.imt.columns:
        axes.legend(loc="upper right", fontsize=8, framealpha=0.5)
    name = image if frame.grid[2] == 1 else f"{image} frame {measured.index}"
    # No mathematics in a title: a dollar sign in a file name is a dollar sign.
    axes.set_title(f"{name}: {_summary(measured.imt)}", fontsize=9, parse_math=False)
    try:
        figure.savefig(path)
    except OSError as error:
        raise StudyError(f"Expected `{path}` to be writable, got: {error}. Name another --out.") from error


def _summary(imt: ImtMeasurement) -> str:
    flags = f" ({', '.join(imt.flags)})" if imt.flags else ""
    if imt.mean is None or imt.max is None:
        return f"no layer found{flags}"
    return f"IMT mean {imt.mean:.3f} {imt.unit}, max {imt.max:.3f} {imt.unit}, {imt.columns} columns{flags}"
