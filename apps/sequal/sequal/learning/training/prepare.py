"""The first step of a round: from items and settings to everything that it learns with."""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sequal.anatomy.model import Model
from sequal.anatomy.models import model_of
from sequal.errors import CheckpointError, StudyError
from sequal.learning.method import Method
from sequal.learning.methods import METHODS
from sequal.learning.networks import NetworkPair, Weights
from sequal.learning.training.anchor import Anchor, find_anchor
from sequal.learning.training.judging import LabelJudges
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.learning.training.readings import Readings
from sequal.learning.training.round_length import with_steps
from sequal.prediction import LoadedPair, check_fits, choose_device, load_pair
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import Partition, StudyModels, StudyState

__all__ = ["Prepared", "prepare", "round_seed"]

logger = logging.getLogger(__name__)


def round_seed(base: int, number: int) -> int:
    """The seed of a round, a function of the base seed and the round's number.

    >>> round_seed(0, 1) != round_seed(0, 2)
    True
    """
    return int(np.random.SeedSequence([base, number]).generate_state(1)[0])


@dataclass(frozen=True)
class Prepared:
    """A round that can begin to train.

    Attributes:
        number: of the round in the study, from 1.
        seed: of the round.
        state: of the study.
        settings: of the round, with its number of steps.
        device: where the networks compute.
        method: how they learn.
        model: what is segmented.
        labelled: every labelled item, sorted by id.
        unlabelled: the pool, sorted by id.
        train_items: usable labelled items that are learned.
        validation: usable labelled items that only judge.
        pool: items of the pool that can be read.
        frames: images on their working grids.
        labels: labels in use, the expert's and the refined ones.
        readings: labels of further readers.
        surroundings: what the labels say of where the structure lies, see `Model.surroundings`.
        models: the study's models.
        previous: the published one; None before the first.
        in_service: digest of the model in service; None without one.
        anchor: what keeps the networks from forgetting.
        pair: the networks that learn.
        before: their weights at the start.
    """

    number: int
    seed: int
    state: StudyState
    settings: Settings
    device: torch.device
    method: Method
    model: Model
    labelled: Sequence[Item]
    unlabelled: Sequence[Item]
    train_items: list[Item]
    validation: list[Item]
    pool: list[Item]
    frames: WorkingFrames
    labels: LabelsInUse
    readings: Readings
    surroundings: dict[str, float]
    models: StudyModels
    previous: LoadedPair | None
    in_service: str | None
    anchor: Anchor
    pair: NetworkPair
    before: dict[str, Weights]

    @property
    def left_out(self) -> dict[str, str]:
        """Unreadable images and unusable labels, `{id: reason}`."""
        return {**self.frames.unreadable, **self.labels.unusable, **self.readings.unusable}

    def judges(self, *, gate: bool) -> LabelJudges:
        """The labels that judge the round; none without a gate."""
        serving = self.models.in_service()
        known = serving.record.train_ids if serving is not None and serving.record is not None else ()
        learnt_from, held_out = (self.train_items, self.validation) if gate else ([], [])
        return LabelJudges(
            learnt_from,
            held_out,
            known,
            self.frames,
            self.labels,
            self.model,
            self.device,
            seed=self.seed,
            before=None if self.previous is None else self.previous.surroundings,
            after=self.surroundings,
        )


def prepare(
    number: int,
    labelled: Sequence[Item],
    unlabelled: Sequence[Item],
    parts: Partition,
    state: StudyState,
    settings: Settings,
    starting_weights: Path | None,
) -> Prepared:
    """Read frames, labels and networks of a round.

    Args:
        number: of the round.
        labelled: every image with an expert's label.
        unlabelled: the pool.
        parts: which of the labelled are learned, and which only judge.
        state: the study's state.
        settings: as they are asked for.
        starting_weights: checkpoint that a study without a published one starts from.

    Raises:
        StudyError: no usable labelled image.
        CheckpointError: the published checkpoint cannot be used with these settings.
    """
    device, method, model = choose_device(settings.device), METHODS[settings.method], model_of(settings)
    frames = WorkingFrames(settings)
    labels = LabelsInUse(frames, state.refined, settings)
    by_id = {item.id: item for item in labelled}
    train_items = labels.usable([by_id[i] for i in parts.train_ids])
    validation = labels.usable([by_id[i] for i in parts.validation_ids])
    readings = Readings(train_items, settings.reader_tags, frames, labels, model)
    unlabelled = sorted(unlabelled, key=lambda item: item.id)
    pool = frames.readable(unlabelled)
    if not train_items:
        left_out = {**frames.unreadable, **labels.unusable, **readings.unusable}
        raise StudyError(
            f"Expected at least one usable labelled image to train on, got {len(labelled)} labelled of which "
            f"none can be used. Label an image and submit it. {left_out}".rstrip()
        )
    surroundings = model.surroundings(labels.with_images(train_items))
    settings, seed = with_steps(settings, len(train_items)), round_seed(settings.seed, number)
    models = StudyModels(state, starting_weights)
    previous = _load(state.published, settings, device)
    start = _starting_weights(starting_weights, settings, device)
    anchor = find_anchor(start, train_items, frames, labels, model, device)
    pair = _first_pair(previous, start, seed, model, settings, device)
    return Prepared(
        number=number,
        seed=seed,
        state=state,
        settings=settings,
        device=device,
        method=method,
        model=model,
        labelled=sorted(labelled, key=lambda item: item.id),
        unlabelled=unlabelled,
        train_items=train_items,
        validation=validation,
        pool=pool,
        frames=frames,
        labels=labels,
        readings=readings,
        surroundings=surroundings,
        models=models,
        previous=previous,
        in_service=models.digest if previous is None else previous.digest,
        anchor=anchor,
        pair=pair,
        before=pair.weights(),
    )


def _load(path: Path, settings: Settings, device: torch.device) -> LoadedPair | None:
    return load_pair(path, device, settings.ema_alpha) if path.exists() else None


def _starting_weights(path: Path | None, settings: Settings, device: torch.device) -> NetworkPair | None:
    """The starting weights, if they are there and of the networks that the settings ask for."""
    loaded = None if path is None else _load(path, settings, device)
    if path is None or loaded is None:
        return None
    try:
        check_fits(loaded, settings, path.name)
    except CheckpointError as error:
        logger.info("Learning from random weights: %s", error)
        return None
    return loaded.pair


def _first_pair(
    previous: LoadedPair | None,
    start: NetworkPair | None,
    seed: int,
    model: Model,
    settings: Settings,
    device: torch.device,
) -> NetworkPair:
    """What the round goes on from: the published pair, else the starting weights, else random weights."""
    pair = start
    if previous is not None:
        check_fits(previous, settings, "the published checkpoint")
        pair = previous.pair
    if pair is not None:
        return copy.deepcopy(pair)
    of_method = METHODS[settings.method].pair
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        architectures = of_method.architectures_of(settings, model.shape)
        return of_method.create(architectures, settings.ema_alpha).to(device)
