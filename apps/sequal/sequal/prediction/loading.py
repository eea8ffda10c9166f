"""A checkpoint as networks that are ready to predict and to score."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sequal.errors import CheckpointError
from sequal.learning.networks import Architecture, DualNetwork
from sequal.prediction.confidence import Confidence
from sequal.study.state import load_checkpoint

__all__ = ["LoadedPair", "load_pair"]


@dataclass(frozen=True)
class LoadedPair:
    """Networks of one checkpoint, in evaluation mode.

    Attributes:
        pair: student and teacher; the teacher's prediction is the one that is shown.
        reference: the network whose pseudo-label PLD takes: the teacher, unless the round stored another pair.
        other: the network that PLD compares with it: the student, unless the round stored another pair.
        digest: digest of the checkpoint file, the key of its scores in the ledger.
        meta: what the round noted (round, iterations, settings, metrics).
        confidence: what labels found about its masks.
    """

    pair: DualNetwork
    reference: nn.Module
    other: nn.Module
    digest: str
    meta: dict[str, Any]
    confidence: Confidence = Confidence()  # noqa: RUF009 - frozen


def load_pair(path: Path, device: torch.device, alpha_max: float = 0.99) -> LoadedPair:
    """Load a checkpoint.

    Args:
        path: file written by a round or by `pretrain`.
        device: where the networks go.
        alpha_max: of the teacher's moving average, if the pair is to be trained on.

    Raises:
        CheckpointError: unreadable, holds more than plain tensors, or does not fit its own architecture.
    """
    checkpoint = load_checkpoint(path)
    try:
        pair = DualNetwork(Architecture.from_record(checkpoint.architecture), alpha_max)
        pair.load_weights(checkpoint.student, checkpoint.teacher, int(checkpoint.meta.get("iterations", 0)))
        reference, other = pair.teacher, pair.student
        if checkpoint.query_pair is not None:
            reference, other = copy.deepcopy(pair.teacher), copy.deepcopy(pair.teacher)
            reference.load_state_dict(checkpoint.query_pair["reference"])
            other.load_state_dict(checkpoint.query_pair["other"])
    except (RuntimeError, ValueError, TypeError) as error:
        # torch names every tensor that does not fit: the first is enough.
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])[:200]
        raise CheckpointError(
            f"Expected the weights in {path.name} to fit the architecture {checkpoint.architecture['name']!r}, "
            f"got: {reason} Use a checkpoint that this version of the app wrote."
        ) from error
    for network in (pair, reference, other):
        network.to(device).eval()
    confidence = Confidence.from_meta(checkpoint.meta)
    return LoadedPair(pair, reference, other, checkpoint.digest, checkpoint.meta, confidence)
