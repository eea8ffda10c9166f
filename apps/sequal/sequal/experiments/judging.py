"""The figures of a set of judged images."""

from typing import Any, Final

import numpy as np

from sequal.experiments.overlap import mean_or_none

__all__ = ["mean_figures"]

#: Averaged over the images that show what is segmented; distances and thickness are in the image's unit.
_OVERLAP: Final = ("dice", "iou")
_LENGTHS: Final = ("hd95", "asd", "imt_bias", "imt_error")
_VOLUMES: Final = ("volume_bias", "volume_error")
#: Averaged over those of these that have not failed: the distance to a wrong wall would hide all others.
_BOUNDARIES: Final = ("li_bias", "li_error", "ma_bias", "ma_error")


def mean_figures(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a set of frames.

    Args:
        records: of `Model.judge`, all of one model.

    Returns:
        Means over the frames that show the layer and have the value; None without any, and for lengths in mixed units.
        `unit`; `good`, the part of these frames whose Dice is over 0.8; how many frames there are (`frames`), failed
        (`failures`), have a layer and no mask (`empty`), no layer (`without_layer`), no layer but a mask
        (`false_masks`). Against an empty truth a Dice is 0 or 1, a matter of one speck: it would say little of
        segmentation and move the mean.
    """
    shown = [record for record in records if record["layer"]]
    bare = [record for record in records if not record["layer"]]
    found = [record for record in shown if not record["failed"]]
    units = sorted({record["unit"] for record in shown})
    means = {name: _mean(shown, name) for name in (*_OVERLAP, *_LENGTHS, *_VOLUMES)}
    means |= {name: _mean(found, name) for name in _BOUNDARIES}
    if len(units) > 1:  # millimetres and pixels have no common mean
        means |= dict.fromkeys((*_LENGTHS, *_BOUNDARIES))
    return {
        **means,
        "unit": units[0] if len(units) == 1 else "mixed",
        "frames": len(records),
        "good": float(np.mean([record["dice"] > 0.8 for record in shown])) if shown else None,
        "failures": sum(record["failed"] for record in records),
        "empty": sum(record["empty"] for record in shown),
        "without_layer": len(bare),
        "false_masks": sum(not record["empty"] for record in bare),
    }


def _mean(records: list[dict[str, Any]], name: str) -> float | None:
    """Thickness and boundaries are figures of a layer, millilitres of structures in volumes: a model has either."""
    return mean_or_none([record[name] for record in records if record.get(name) is not None])
