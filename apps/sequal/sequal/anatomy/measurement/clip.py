"""One thickness for a clip, from the measurements of its frames."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sequal.anatomy.measurement.imt import ImtMeasurement

__all__ = ["combine_frames", "thickness_params"]


def combine_frames(frames: Sequence[ImtMeasurement]) -> ImtMeasurement:
    """Summarise a clip: a single frame is handed through.

    Mean, standard deviation, polyline mean and length are averages over the frames that show the layer, the maximum
    and the number of columns are those of all frames together; the flags of any frame are kept, `no_layer` only
    when no frame shows it.

    Args:
        frames: at least one, all of one image.
    """
    seen = [m for m in frames if m.columns]
    if len(frames) == 1 or not seen:
        return frames[0]
    flags = dict.fromkeys(flag for m in seen for flag in m.flags)
    # Millimetres and pixels make no mean: a frame whose wall lies outside the calibrated region is left to its flag.
    seen = [m for m in seen if m.calibration.calibrated] or seen
    if seen[0].calibration.calibrated:
        flags.pop("not_calibrated", None)

    def average(name: str) -> float | None:
        values = [getattr(m, name) for m in seen if getattr(m, name) is not None]
        return float(np.mean(values)) if values else None

    return ImtMeasurement(
        mean=average("mean"),
        max=max(m.max for m in seen if m.max is not None),
        sd=average("sd"),
        polyline_mean=average("polyline_mean"),
        length=average("length"),
        columns=sum(m.columns for m in seen),
        calibration=seen[0].calibration,
        flags=tuple(flags),
    )


def thickness_params(frames: Sequence[ImtMeasurement]) -> dict[str, Any]:
    """The thickness of an image as JSON: `imt`, and of a clip also `imt_frames`, one by one.

    Args:
        frames: at least one, all of one image.
    """
    params: dict[str, Any] = {"imt": combine_frames(frames).as_params()}
    return params | ({"imt_frames": [imt.as_params() for imt in frames]} if len(frames) > 1 else {})
