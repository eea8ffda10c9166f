"""The card of starting weights: data, settings, time, versions and figures, beside the checkpoint."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sequal.errors import StudyError
from sequal.learning.training.phantom_evaluation import PhantomMetrics
from sequal.settings import Settings
from sequal.study.state import file_digest

__all__ = ["METRICS", "write_card"]

#: Figures of `PhantomMetrics` that the card shows, in this order.
METRICS: Final = ("frames", "dice_mean", "dice_median", "empty", "imt_bias_mm", "imt_mae_mm", "no_wall", "false_wall")
_PACKAGES: Final = ("torch", "monai", "numpy", "scipy")
_SETTINGS: Final = (
    "network",
    "seed",
    "iterations_per_epoch",
    "batch_labelled",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "dice_weight",
    "ema_alpha",
    "working_spacing_mm",
)
_JUDGED: Final = """\
## Figures
On simulated frames that were not trained on (seed {test_seed}), segmented and measured at their own resolution. The
scanners named by a letter are fixed ones, which training does not draw. `empty`: part
of the frames with a wall and no mask.
`false_wall`: part of the frames without a wall that got a mask of over 1 mm². Bias: predicted minus true thickness.

{figures}

Simulated frames are easier than real ones: these figures say that the training worked, not how good the model is on
patients.

## File
`{name}`, digest {digest}, {megabytes:.1f} MB. Versions: {versions}.
"""
_PAIR: Final = """\
# Starting weights: {name}

Two networks of different architecture for `method=cross`, each trained on simulated ultrasound alone: no patient's
image was used. A study starts from them until its first round is published. A research tool, not a medical device.

Joined by `cli.py pretrain --join` from {sources}: what each of them shows. The mean of both is shown and judged.

{judged}"""
_TEXT: Final = """\
# Starting weights: {name}

Student and teacher, trained on simulated ultrasound alone: no patient's image was used. A study starts from them
until its first round is published. A research tool, not a medical device.

## Data
{frames} frames of the B-mode simulator (`apps/sequal/sequal/anatomy/phantom`), seed {seed}: anatomy, scanner and
display drawn at random for each. Every pixel is annotated.{start}{averaged}

## Training
{settings}

{time}

{judged}"""


def write_card(
    checkpoint: Path,
    settings: Settings,
    metrics: Mapping[str, PhantomMetrics],
    *,
    frames: int,
    start: str | None = None,
    averaged_with: Sequence[str] = (),
    test_seed: int,
    seconds: Mapping[str, float],
) -> Path:
    """Write the card beside a checkpoint.

    Args:
        checkpoint: the file that it describes.
        settings: of its training.
        metrics: figures by scanner.
        frames: simulated frames that it was trained on.
        start: digest of the weights that the training went on from; None: random weights.
        averaged_with: digests of the weights that the trained ones were averaged with.
        test_seed: of the frames that judged it.
        seconds: time by what it was spent on.

    Returns:
        The card, the checkpoint's path with the suffix `.md`.

    Raises:
        StudyError: it cannot be written.
    """
    record = settings.record()
    spent = ", ".join(f"{what} {value:.0f} s" for what, value in seconds.items())
    day = time.strftime("%Y-%m-%d", time.gmtime())
    text = _TEXT.format(
        name=checkpoint.name,
        frames=frames,
        start="" if start is None else f" The training went on from weights of digest {start}.",
        averaged=f"\nThe result was averaged with weights of digest {' and '.join(averaged_with)}."
        if averaged_with
        else "",
        seed=settings.seed,
        settings=_table(("setting", "value"), [(f"`{key}`", record[key]) for key in _SETTINGS]),
        time=f"Time: {spent}, on {os.cpu_count()} cores ({platform.machine()}), {day}.",
        judged=_judged(checkpoint, metrics, test_seed),
    )
    return _write(checkpoint, text)


def write_pair_card(
    checkpoint: Path, sources: Sequence[tuple[str, str]], metrics: Mapping[str, PhantomMetrics], *, test_seed: int
) -> Path:
    """Write the card of two networks that were joined.

    Args:
        checkpoint: the file that it describes.
        sources: name and digest of the two checkpoints.
        metrics: figures by scanner.
        test_seed: of the frames that judged it.

    Returns:
        The card, the checkpoint's path with the suffix `.md`.

    Raises:
        StudyError: it cannot be written.
    """
    named = " and ".join(f"`{name}` ({digest})" for name, digest in sources)
    judged = _judged(checkpoint, metrics, test_seed)
    return _write(checkpoint, _PAIR.format(name=checkpoint.name, sources=named, judged=judged))


def _judged(checkpoint: Path, metrics: Mapping[str, PhantomMetrics], test_seed: int) -> str:
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    return _JUDGED.format(
        name=checkpoint.name,
        test_seed=test_seed,
        figures=_table(("scanner", *METRICS), [(name, *_figures(found)) for name, found in metrics.items()]),
        digest=file_digest(checkpoint),
        megabytes=checkpoint.stat().st_size / 1e6,
        versions=", ".join(versions),
    )


def _write(checkpoint: Path, text: str) -> Path:
    card = checkpoint.with_suffix(".md")
    try:
        card.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(f"Expected `{card}` to be writable, got: {error}. Name another --out.") from error
    return card


def _figures(metrics: PhantomMetrics) -> list[str]:
    values = [getattr(metrics, name) for name in METRICS]
    return [str(value) if isinstance(value, int) else f"{value:.3f}" for value in values]


def _table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
