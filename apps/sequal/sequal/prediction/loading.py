"""A checkpoint as networks that are ready to predict and to score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sequal.acquisition import Seen
from sequal.anatomy.models import MODELS, model_of
from sequal.errors import CheckpointError
from sequal.learning.methods import METHODS
from sequal.learning.networks import Architecture, NetworkPair, build, snapshot
from sequal.learning.quality.branched import Branched
from sequal.learning.quality.error_branch import ErrorBranch
from sequal.prediction.confidence import Confidence
from sequal.prediction.passes import Looked, look
from sequal.preparation.working_frame import Grid
from sequal.settings import Settings
from sequal.study.state import Checkpoint, Member, load_checkpoint
from sequal.study.state.checkpoints import FORMAT

__all__ = ["LoadedPair", "check_fits", "check_serves", "checkpoint_payload", "load_pair"]


@dataclass(frozen=True)
class LoadedPair:
    """Networks of one checkpoint, in evaluation mode.

    Attributes:
        pair: the networks of the method.
        reference: the network whose pseudo-label PLD takes: of the pair, unless the round stored another one.
        other: the network that PLD compares with it: of the pair, unless the round stored another one.
        model: name of what they segment.
        digest: digest of the checkpoint file, the key of its scores in the ledger.
        meta: what the round noted (round, iterations, settings, metrics).
        confidence: what labels found about its masks.
        branched: what is shown together with its error branch; None: the checkpoint has none.
    """

    pair: NetworkPair
    reference: nn.Module
    other: nn.Module
    model: str
    digest: str
    meta: dict[str, Any]
    confidence: Confidence = Confidence()  # noqa: RUF009 - frozen
    branched: Branched | None = None

    @property
    def shown(self) -> nn.Module:
        """The network whose prediction annotators see."""
        return self.pair.shown

    @property
    def surroundings(self) -> Mapping[str, float] | None:
        """What the labels that taught it say of the surroundings, see `Model.clean`; None of starting weights."""
        return self.meta.get("surroundings", {}) if self.meta.get("round", 0) else None

    @property
    def networks(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        """What is shown, and the two that PLD compares; some may be the same."""
        return self.shown, self.reference, self.other

    def look(
        self,
        pixels: Tensor,
        grid: Grid,
        device: torch.device,
        further: Sequence[nn.Module] = (),
        *,
        with_errors: bool = True,
    ) -> Looked:
        """Let all networks, and `further` ones, see images in one pass over the data; see `passes.look`.

        `with_errors`: the error branch as well, where there is one.
        """
        return look((*self.networks, *further), pixels, grid, device, self.branched if with_errors else None)

    def seen(self, looked: Looked, settings: Settings) -> Seen:
        """What scores may look at.

        Args:
            looked: what `look` found.
            settings: `pld_form` and `working_spacing_mm` are used.
        """
        log_p = looked.log_p
        return Seen(
            log_p[self.reference],
            log_p[self.other],
            log_p[self.shown],
            pld_form=settings.pld_form,
            thin_px=settings.thin_layer_px,
            symmetric=self.pair.symmetric,
            wrong=looked.wrong,
        )


def load_pair(path: Path, device: torch.device, alpha_max: float = 0.99) -> LoadedPair:
    """Load a checkpoint.

    Args:
        path: file written by a round or by `pretrain`.
        device: where the networks go.
        alpha_max: of the teacher's moving average, if the pair is to be trained on.

    Raises:
        CheckpointError: unreadable, holds more than plain tensors, is of a method that this app does not have, or does
            not fit its own architectures.
    """
    checkpoint = load_checkpoint(path)
    method = METHODS.get(checkpoint.method)
    if method is None or checkpoint.members.keys() != set(method.pair.member_names):
        raise CheckpointError(
            f"Expected {path.name} to be of the method {' or '.join(METHODS)}, got {checkpoint.method!r} with the "
            f"networks {', '.join(checkpoint.members)}. Use a checkpoint that this version of the app wrote."
        )
    try:
        architectures = {name: _architecture(member) for name, member in checkpoint.members.items()}
        pair = method.pair.create(architectures, alpha_max)
        weights = {name: member.weights for name, member in checkpoint.members.items()}
        pair.load_weights(weights, int(checkpoint.meta.get("iterations", 0)))
        if checkpoint.branch is not None:
            pair.branch = ErrorBranch.from_record(checkpoint.branch.architecture)
            pair.branch.load_state_dict(checkpoint.branch.weights)
        reference, other = pair.compared
        if checkpoint.query_pair is not None:
            reference, other = (_network(checkpoint.query_pair[name]) for name in ("reference", "other"))
    except (RuntimeError, ValueError, TypeError) as error:
        # torch names every tensor that does not fit: the first is enough.
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])[:200]
        raise CheckpointError(
            f"Expected the weights in {path.name} to fit the architecture {' and '.join(checkpoint.networks)!r}, "
            f"got: {reason} Use a checkpoint that this version of the app wrote."
        ) from error
    for network in (pair, reference, other):
        network.to(device).eval()
    confidence = Confidence.from_meta(checkpoint.meta)
    branched = Branched.shown(pair)
    return LoadedPair(
        pair, reference, other, checkpoint.model, checkpoint.digest, checkpoint.meta, confidence, branched
    )


def checkpoint_payload(pair: NetworkPair, meta: Mapping[str, Any], model: str = Settings.models) -> dict[str, Any]:
    """What `save_checkpoint` writes of a pair for a model, with notes."""
    architectures = pair.architectures
    members = {
        name: {"architecture": architectures[name].record(), "weights": weights}
        for name, weights in pair.weights().items()
    }
    payload = {"format": FORMAT, "model": model, "method": pair.method, "members": members, "meta": dict(meta)}
    if pair.branch is not None:
        payload["branch"] = {"architecture": pair.branch.record(), "weights": snapshot(pair.branch)}
    return payload


def check_serves(checkpoint: Checkpoint | LoadedPair, settings: Settings, name: str) -> None:
    """Make sure that a checkpoint segments what the settings name, as it learned: of another method it still serves.

    Args:
        checkpoint: loaded or only read.
        settings: of the study.
        name: of the file, for the message.

    Raises:
        CheckpointError: it is of another model or of other labels, whose masks would get wrong names, or has learned
            volumes of another voxel, of which its masks would be poor.
    """
    record = checkpoint.meta.get("settings")
    noted = record if isinstance(record, Mapping) else {"labels": settings.labels}
    found = {"models": checkpoint.model, "labels": noted.get("labels", "")}
    if MODELS[settings.model].spatial_dims == 3 and settings.volume_spacing_mm is not None:
        found["volume_spacing"] = noted.get("volume_spacing", settings.volume_spacing)
    for key, came in found.items():
        if getattr(settings, key) != came:
            raise _other(name, key, getattr(settings, key), came)


def check_fits(checkpoint: Checkpoint | LoadedPair, settings: Settings, name: str) -> None:
    """Make sure that a checkpoint is of the model, the labels, the method and the networks that the settings name.

    Args:
        checkpoint: loaded or only read.
        settings: of the study.
        name: of the file, for the message.

    Raises:
        CheckpointError: it is of others; the message says of which.
    """
    if isinstance(checkpoint, LoadedPair):
        method, found = checkpoint.pair.method, checkpoint.pair.architectures
    else:
        method = checkpoint.method
        found = {member: _architecture(kept) for member, kept in checkpoint.members.items()}
    check_serves(checkpoint, settings, name)
    if settings.method != method:
        raise _other(name, "method", settings.method, method)
    asked = METHODS[method].pair.architectures_of(settings, model_of(settings).shape)
    if found != asked:
        raise CheckpointError(
            f"Expected {name} to hold {_listed(asked)}, got {_listed(found)}. Keep `network` and `second_network` as "
            "they were, or use another --conf state."
        )


def _other(name: str, key: str, wanted: str, came: str) -> CheckpointError:
    return CheckpointError(
        f"Expected {name} to be of the {key} {wanted!r}, got {came!r}. Set `{key}` to {came}, or use another "
        "--conf state."
    )


def _listed(networks: Mapping[str, Architecture]) -> str:
    return " and ".join(dict.fromkeys(architecture.name for architecture in networks.values()))


def _architecture(member: Member) -> Architecture:
    return Architecture.from_record(member.architecture)


def _network(member: Member) -> nn.Module:
    network = build(_architecture(member))
    network.load_state_dict(member.weights)
    return network.requires_grad_(False)
