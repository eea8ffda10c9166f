"""The picture of a play: what was asked for, the model before and after, and the learning curve."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sequal.commands.annotating.evaluation import TestImage
from sequal.commands.annotating.plane import Plane
from sequal.commands.annotating.play import Answer, Play
from sequal.commands.drawing import draw_frame, draw_outline
from sequal.errors import StudyError
from sequal.files.imaging import NOT_CALIBRATED
from sequal.labels import BACKGROUND, IGNORE

__all__ = ["write_picture"]

_TRUTH_COLOUR: Final = "#35d0ff"
_MODEL_COLOUR: Final = "#ffd400"
_ASKED_PER_ROW: Final = 4
_COMPARED: Final = 3
#: Rows of pixels shown above and below what is segmented where before and after are compared.
_MARGIN_PX: Final = 80
_WIDTH_IN, _DPI = 13.0, 120

Axes = Any  # matplotlib comes without types


def write_picture(path: Path, result: Play) -> None:
    """Draw a play as PNG.

    Args:
        path: file to write.
        result: the play, with at least one round.

    Raises:
        StudyError: the file cannot be written.
    """
    asked = [answer for played in result.rounds for answer in played.answers if answer.pixels is not None]
    rows = -(-len(asked) // _ASKED_PER_ROW)
    figure = Figure(figsize=(_WIDTH_IN, 2.6 * rows + 4.6), dpi=_DPI, layout="constrained")
    top, bottom = np.ravel(figure.subfigures(2, 1, squeeze=False, height_ratios=[2.6 * rows, 4.6]))
    left, right = np.ravel(bottom.subfigures(1, 2, squeeze=False, width_ratios=[2.2, 1.0]))
    _draw_asked(top, asked, rows)
    _draw_comparison(left, result)
    _draw_curve(right, result)
    try:
        figure.savefig(path)
    except OSError as error:
        raise StudyError(f"Expected `{path}` to be writable, got: {error}. Name another --out.") from error


def _draw_asked(figure: Axes, asked: list[Answer], rows: int) -> None:
    figure.suptitle("Images asked for, in this order, with the label that was submitted", fontsize=11)
    axes = np.ravel(figure.subplots(rows, _ASKED_PER_ROW, squeeze=False))
    for number, (one, answer) in enumerate(zip(axes, asked, strict=False), 1):
        if answer.pixels is None or answer.label is None:
            continue
        draw_frame(one, answer.pixels, NOT_CALIBRATED)
        draw_outline(one, answer.label, _TRUTH_COLOUR)
        score = "no score" if answer.score is None else f"score {answer.score:.4g}"
        seen = "no model yet" if answer.auto_dice is None else f"auto Dice {answer.auto_dice:.2f}"
        title = f"{number}. {answer.image}: {score}, {seen}"
        one.set_title(title, fontsize=7, parse_math=False)
    for one in axes[len(asked) :]:
        one.set_axis_off()


def _draw_comparison(figure: Axes, result: Play) -> None:
    figure.suptitle("Test images, never labelled: truth (blue), model (yellow)", fontsize=11)
    if not result.test:
        return
    # Spread over the sorted ids, so that not all are of one patient.
    spread = np.linspace(0, len(result.test) - 1, min(_COMPARED, len(result.test)))
    compared = [result.test[round(place)] for place in spread]
    axes = figure.subplots(2, len(compared), squeeze=False)
    evaluations = [("before", result.before), ("after", result.rounds[-1].evaluation)]
    if result.before.dice is None:  # there was no model
        evaluations[0] = ("after one round", result.rounds[0].evaluation)
    for row, (when, evaluation) in enumerate(evaluations):
        for column, image in enumerate(compared):
            one = axes[row, column]
            _draw_test_image(one, image, evaluation.masks[image.id], Plane.of(result.model, image.frame, image.mask))
            dice = evaluation.dice_by_image[image.id]
            one.set_title(f"{image.id} {when}: Dice {dice:.2f}", fontsize=8, parse_math=False)


def _draw_test_image(axes: Axes, image: TestImage, mask: NDArray[np.uint8], plane: Plane) -> None:
    truth = plane.cut(image.mask)
    draw_frame(axes, plane.cut(image.frame.pixels), plane.calibration)
    draw_outline(axes, plane.cut(mask), _MODEL_COLOUR)
    draw_outline(axes, truth, _TRUTH_COLOUR)
    rows = np.flatnonzero(((truth != BACKGROUND) & (truth != IGNORE)).any(axis=0))
    if rows.size:
        axes.set_ylim(min(rows[-1] + _MARGIN_PX, truth.shape[1] - 1), max(rows[0] - _MARGIN_PX, 0))


def _draw_curve(figure: Axes, result: Play) -> None:
    figure.suptitle("Learning curve", fontsize=11)
    axes = figure.subplots()
    labels = [result.labels_before, *(played.labels for played in result.rounds)]
    test = [result.before.dice, *(played.evaluation.dice for played in result.rounds)]
    validation = [played.stats.get("best_metric") for played in result.rounds]
    for name, x, y in (("test images", labels, test), ("labels", labels[1:], validation)):
        values = [np.nan if value is None else float(value) for value in y]
        axes.plot(x, values, marker="o", label=name)
    axes.set_xlabel("labelled images")
    axes.set_ylabel("Dice")
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")  # a learning curve is high there
