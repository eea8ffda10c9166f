"""Fusion of every labelled image with the teacher's prediction, inside a round."""

import time
from dataclasses import asdict, dataclass

import numpy as np
import torch

from sequal.anatomy.model import Model
from sequal.learning.networks import NetworkPair
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.prediction import predict
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import Provenance, RefinedStore

__all__ = ["RefinementReport", "refine_labels"]


@dataclass(frozen=True)
class RefinementReport:
    """What fusion did in a round.

    Attributes:
        epoch: when it happened; None when it did not.
        images: labelled images whose label changed.
        rejected: images whose update was refused: too little foreground left, or too little agreement with the expert.
        pixels_changed: over all images.
    """

    epoch: int | None = None
    images: int = 0
    rejected: int = 0
    pixels_changed: int = 0

    def as_dict(self) -> dict[str, int | None]:
        """For JSON."""
        return asdict(self)


def refine_labels(
    items: list[Item],
    pair: NetworkPair,
    frames: WorkingFrames,
    labels: LabelsInUse,
    store: RefinedStore,
    settings: Settings,
    *,
    epoch: int,
    round_number: int,
    checkpoint_digest: str,
    model: Model,
    device: torch.device,
) -> RefinementReport:
    """Fuse each item's ỹ with the teacher (S1, step 5), use it from now on, and stage it for publication.

    The expert's files are not touched; staged labels become the study's refined labels only when the round is
    published.
    """
    changed = rejected = pixels = 0
    for item in items:
        frame = frames.get(item)
        if frame is None:
            continue
        if labels.no_layer(item):
            continue  # the expert says of the whole image that there is nothing to find
        current, expert = labels.current(item), labels.expert(item)
        result = model.fuse(current, expert, predict(pair.shown, frame, model, device))
        fused = result.label
        rejected += not result.accepted
        different = result.pixels_changed
        if not different:
            continue
        changed, pixels = changed + 1, pixels + different
        labels.replace(item, fused)
        store.put(
            item.id,
            fused,
            Provenance(
                label_digest=labels.digest(item),
                round=round_number,
                checkpoint_digest=checkpoint_digest,
                fusion_lambda=settings.fusion_lambda,
                fraction_changed=float(np.mean(fused != expert)),
                created_at=time.time(),
            ),
        )
    return RefinementReport(epoch=epoch, images=changed, rejected=rejected, pixels_changed=pixels)
