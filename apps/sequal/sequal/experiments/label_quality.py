"""How good the labels are that a round learnt from: the expert's, and what refinement made of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sequal.anatomy.model import Model
from sequal.experiments.dataset import Dataset
from sequal.experiments.overlap import dice, mean_or_none
from sequal.files.imaging import read_label
from sequal.labels import BACKGROUND, IGNORE
from sequal.study.items import Item
from sequal.study.state import RefinedStore, file_digest

__all__ = ["label_quality"]


def label_quality(dataset: Dataset, labelled: Sequence[Item], refined: RefinedStore, model: Model) -> dict[str, Any]:
    """Mean Dice of labels with the truth, over labelled images that show what is segmented.

    Returns:
        `images` and `expert`: the experts' labels on the pixels that they annotated. Over the images that have a
        refined label only, `refined_images` of them: `before` and `after`, the expert's and the refined label on the
        pixels that the expert annotated; `refined`, the refined label on all pixels that it annotates;
        `before_whole` and `after_whole`, both on the whole frame, where not annotated counts as not drawn. Where the
        truth itself is not traced (255), nothing counts.
        None for a mean of nothing.
    """
    expert: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in ("before", "after", "refined", "before_whole", "after_whole")}
    for item in labelled:
        truth = dataset.truth("pool", item.id)
        if item.label is None or not ((truth != BACKGROUND) & (truth != IGNORE)).any():
            continue
        drawn = read_label(item.label, truth.shape, labels=model.labels)
        drawn[truth == IGNORE] = IGNORE  # nobody knows what is right there
        expert.append(dice(drawn, truth, on=drawn))
        stored = refined.get(item.id, file_digest(item.label))
        if stored is None:
            continue
        label = np.where(truth == IGNORE, np.uint8(IGNORE), stored)
        found["before"].append(expert[-1])
        found["after"].append(dice(label, truth, on=drawn))
        found["refined"].append(dice(label, truth, on=label))
        found["before_whole"].append(dice(drawn, truth))
        found["after_whole"].append(dice(label, truth))
    return {
        "images": len(expert),
        "expert": mean_or_none(expert),
        "refined_images": len(found["before"]),
        **{name: mean_or_none(values) for name, values in found.items()},
    }
