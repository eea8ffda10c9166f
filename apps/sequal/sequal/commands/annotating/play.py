"""A simulated annotator at work: next sample, auto-segment, submit, train, again."""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.model import Model
from sequal.commands.annotating.client import AnnotationClient, Sample
from sequal.commands.annotating.evaluation import NOTHING_SEEN, Evaluation, TestImage, dice_of, evaluate
from sequal.commands.annotating.plane import Plane
from sequal.commands.annotating.truth import Expert, Truth, choose_test_images
from sequal.errors import ImageError, StudyError
from sequal.files.imaging import Frame, read_frame, says_no_layer
from sequal.files.imaging.writing import write_on_frame
from sequal.labels import BACKGROUND, IGNORE

__all__ = ["Answer", "Play", "PlayOptions", "PlayedRound", "play"]

logger = logging.getLogger(__name__)

#: Answered images that are kept for the picture.
_PICTURED = 12

#: Called with what is done now, how much of it, and of how much.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PlayOptions:
    """How the annotator works.

    Attributes:
        strategy: query strategy; None: the server's own.
        rounds: trainings.
        per_round: labels before each.
        test_images: images that are kept for judging; see `choose_test_images`.
        seed: chooses them.
        training: settings that go with every training.
    """

    strategy: str | None = None
    rounds: int = 2
    per_round: int = 4
    test_images: int = 8
    seed: int = 0
    training: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Answer:
    """One image that was asked for and labelled.

    Attributes:
        image: its id.
        score: what the server ranked it by; None when no score was used.
        reason: in the server's words.
        auto_dice: Dice of the server's own segmentation and the truth, before anything was corrected; None where the
            server had no model yet.
        pixels: float32 (W, H), the first frame or a slice of the volume; None when it is not kept for the picture.
        label: uint8 (W, H), what was submitted; None likewise.
    """

    image: str
    score: float | None
    reason: str
    auto_dice: float | None
    pixels: NDArray[np.float32] | None = field(repr=False, default=None)
    label: NDArray[np.uint8] | None = field(repr=False, default=None)


@dataclass(frozen=True, eq=False)
class PlayedRound:
    """One round.

    Attributes:
        round: its number, as the server counts.
        labels: images with a label when it trained.
        answers: what was labelled for it.
        stats: train stats of the server at its end.
        evaluation: on the test images, of the model in service after it.
        seconds: of the whole round, labelling and evaluation included.
    """

    round: int
    labels: int
    answers: list[Answer]
    stats: Mapping[str, Any]
    evaluation: Evaluation
    seconds: float


@dataclass(frozen=True, eq=False)
class Play:
    """All rounds.

    Attributes:
        model: of the server.
        labels_before: images with a label at the start.
        before: evaluation at the start; of nothing where the server had no model yet.
        test: the test images.
        rounds: in order; fewer than asked for when no image is left.
    """

    model: Model
    labels_before: int
    before: Evaluation
    test: list[TestImage]
    rounds: list[PlayedRound]


def play(
    client: AnnotationClient,
    model: Model,
    options: PlayOptions,
    truth: Truth,
    expert: Expert,
    patients: Mapping[str, str],
    *,
    on_round: Callable[[int, PlayedRound], None] = lambda *_: None,
    progress: Progress = lambda *_: None,
) -> Play:
    """Play an annotator against a running server.

    Args:
        client: of the server.
        model: that it trains.
        options: how the annotator works.
        truth: what the annotator sees in each image.
        expert: how it is drawn.
        patients: patient by image id; an image that is not named is its own patient.
        on_round: called after each round with its place in the play, from 1.
        progress: of what takes time.

    Raises:
        ServerError: the server does not answer, refuses, or fails to train.
        StudyError: an image has no truth, or nothing is left to label at the start.
    """
    info = client.info()
    labelled = client.labelled()
    pool = sorted(image for image, has_label in labelled.items() if not has_label)
    if not pool:
        raise StudyError("Expected the study to have unlabelled images, got none. Add images, or remove labels.")
    truth.check_covers(pool)
    strategy = options.strategy or next(iter(info["strategies"]))
    player = _Player(client, model, strategy, options, truth, expert, progress)
    player.choose_test(pool, sorted(labelled.keys() - set(pool)), {image: image for image in labelled} | dict(patients))
    before = NOTHING_SEEN
    if model.name in info["models"]:  # else its first round makes it
        progress("Scoring the pool", 0, 1)
        client.score("pld")
        before = player.evaluate("Segmenting the test images")
    rounds: list[PlayedRound] = []
    for number in range(1, options.rounds + 1):
        played = player.round(number)
        if played is None:
            logger.warning("No image is left to label: the play ends after %d rounds.", len(rounds))
            break
        rounds.append(played)
        on_round(number, played)
    return Play(model, len(labelled) - len(pool), before, player.test, rounds)


class _Player:
    """The annotator between two requests: what was offered, and what is kept for the test."""

    def __init__(
        self,
        client: AnnotationClient,
        model: Model,
        strategy: str,
        options: PlayOptions,
        truth: Truth,
        expert: Expert,
        progress: Progress,
    ) -> None:
        self._client, self._model, self._strategy, self._options = client, model, strategy, options
        self._truth, self._expert, self._progress = truth, expert, progress
        self._offered: set[str] = set()
        self._held_out: set[str] = set()
        self._pictured = 0
        self._ready = False
        self.test: list[TestImage] = []

    def choose_test(self, pool: list[str], labelled: list[str], patients: Mapping[str, str]) -> None:
        """Choose and fetch the test images; those that are unreadable, or that nobody traced, are left out."""
        options = self._options
        rng = np.random.default_rng(options.seed)
        to_label = options.rounds * options.per_round
        chosen = choose_test_images(pool, labelled, patients, options.test_images, to_label, rng)
        self._held_out = set(chosen)
        for number, image in enumerate(chosen, 1):
            frame = self._fetch(image)
            mask = None if frame is None else self._truth.mask(image, frame, self._model)
            if frame is not None and mask is not None and (mask != IGNORE).any():
                self.test.append(TestImage(image, frame, mask))
            self._progress("Fetching the test images", number, len(chosen))

    def round(self, number: int) -> PlayedRound | None:
        """Label, train and evaluate; None when nothing was left to label."""
        start = time.monotonic()
        answers = self._label(number)
        if not answers:
            return None
        labels = sum(self._client.labelled().values())
        stats = self._client.train(
            self._model.name, lambda stats: self._show_training(number, stats), self._options.training
        )
        evaluation = self.evaluate(f"Round {number}: segmenting the test images")
        seconds = round(time.monotonic() - start, 1)
        return PlayedRound(int(stats.get("round", number)), labels, answers, stats, evaluation, seconds)

    def evaluate(self, what: str) -> Evaluation:
        """The model in service on the test images."""
        self._ready = True
        return evaluate(self._client, self._model, self.test, lambda done: self._progress(what, done, len(self.test)))

    def _show_training(self, number: int, stats: Mapping[str, Any]) -> None:
        self._progress(f"Round {number}: training", int(stats.get("epoch", 0)), int(stats.get("total_epochs", 1)))

    def _label(self, number: int) -> list[Answer]:
        answers: list[Answer] = []
        while len(answers) < self._options.per_round:
            self._progress(f"Round {number}: labelling", len(answers), self._options.per_round)
            sample = self._next()
            if sample is None:
                break
            answer = self._answer(sample)
            if answer is not None:
                answers.append(answer)
        return answers

    def _next(self) -> Sample | None:
        """The next image that is not kept for the test; asking again is how an annotator skips one."""
        while (sample := self._client.next_sample(self._strategy)) is not None:
            if sample.id in self._offered:
                return None  # nothing free is left: the server has begun to offer the skipped ones again
            self._offered.add(sample.id)
            if sample.id not in self._held_out:
                return sample
        return None

    def _answer(self, sample: Sample) -> Answer | None:
        """Look at the server's segmentation, then submit what the expert draws; None for an image to skip."""
        frame = self._fetch(sample.id)
        if frame is None:
            return None
        mask = self._truth.mask(sample.id, frame, self._model)
        label = self._expert(mask, frame)
        if not ((label != BACKGROUND) & (label != IGNORE)).any() and not says_no_layer(label):
            logger.warning("Skipping image %s: its truth is not known", sample.id)
            return None
        auto_dice = None
        if self._ready:
            seen = self._model.drawn_on(self._client.infer(self._model.name, sample.id).file, frame)
            auto_dice = dice_of(self._model, seen, mask)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "label.nii.gz"
            write_on_frame(file, label, frame)
            self._client.submit(sample.id, file)
        self._pictured += 1
        if self._pictured > _PICTURED:
            return Answer(sample.id, sample.score, sample.reason, auto_dice)
        seen_through = Plane.of(self._model, frame, mask)
        kept = seen_through.cut(frame.pixels), seen_through.cut(label)
        return Answer(sample.id, sample.score, sample.reason, auto_dice, *kept)

    def _fetch(self, image: str) -> Frame | None:
        try:
            return read_frame(self._client.download_image(image))
        except ImageError as error:
            logger.warning("Skipping image %s: %s", image, error)
            return None
