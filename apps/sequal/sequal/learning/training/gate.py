"""The gate between a trained pair and the annotators: what is worse beyond chance is held back."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, ttest_1samp

__all__ = ["LabelFigures", "Verdict", "chance", "decide"]

#: Under this Dice a network marks something else than the expert.
_ANOTHER_PLACE: Final = 0.3
#: A label is worse off when its Dice falls by more than this; two readings of one frame differ as much.
_WORSE: Final = 0.1
#: Part of its labels that a good round leaves worse off, or does not take up.
_EXPECTED: Final = 0.05
#: A number of objections that fewer good rounds than this would show is no chance.
_ALPHA: Final = 0.025
#: When this part of the labels is taken up, the others stand against them.
_MOST: Final = 0.5
_MOMENTS: Final[tuple[Literal["early", "after"], ...]] = ("early", "after")
#: Labels that a reason names.
_NAMED: Final = 5
#: A fall of the mean Dice that nobody would notice.
_SLIGHT: Final = 0.01


@dataclass(frozen=True)
class LabelFigures:
    """One label as a judge: Dice with what the expert drew, on the pixels that he annotated.

    Attributes:
        image: its image.
        patient: labels of one patient count as one judge.
        before: of the teacher in service, when the round began.
        early: of the student after the first steps of the round; None of a label that the round does not learn from.
        after: of the round's teacher.
        new: the model in service has not learnt from it.
    """

    image: str
    patient: str
    before: float
    early: float | None
    after: float
    new: bool

    @property
    def worse(self) -> bool:
        """The round made it worse."""
        return self.after < self.before - _WORSE

    def taken_up(self, moment: Literal["early", "after"]) -> bool:
        """A network marks the expert's place: the one in service, or the round's own at a moment."""
        return max(self.before, getattr(self, moment) or 0.0) >= _ANOTHER_PLACE


@dataclass(frozen=True)
class Verdict:
    """What the labels said about a round.

    Attributes:
        publish: whether its pair may be published.
        reason: why, or why not.
        frames: labels that judged.
        patients: of so many patients.
        before: mean Dice of the model in service over the patients; None without any.
        after: mean Dice of the round's teacher.
        worse: images whose label the round made worse.
        doubted: images whose label contradicts the model in service and most other labels; look at these first.
    """

    publish: bool
    reason: str
    frames: int = 0
    patients: int = 0
    before: float | None = None
    after: float | None = None
    worse: tuple[str, ...] = ()
    doubted: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def decide(figures: Sequence[LabelFigures], *, finite: bool, in_service: bool) -> Verdict:
    """Whether a round's pair may be published: it is held back only when it is worse beyond chance.

    Every label of the round judges, and patients have one voice each. A label objects when the round made it worse, or
    when it is doubted: neither the model in service nor the first steps of the round mark its place, while they do so
    for most labels. Networks take up first what is consistent, the early-learning phenomenon on which S1's trigger
    rests (Liu et al., NeurIPS 2020), and contradictions only later, by heart. So a correct label on a frame on which
    the model in service fails does not object, and neither do labels that all show another structure: then the task
    is another one, and the expert is right. A round that takes up hardly anything early is judged by its end.

    Some labels of a good round object all the same. The round is held back when so many do, among all labels or among
    the new ones, as fewer than one good round in 40 would show, when the mean Dice over the patients fell beyond its
    own error, or when the round made every label worse and lost the place of all: that is no chance of a single
    patient either.

    Args:
        figures: of every label that judges.
        finite: every weight of the pair is a finite number.
        in_service: there is a model that annotators would lose.
    """
    if not finite:
        return Verdict(False, "training diverged (weights are not finite): use a lower learning_rate")
    if not figures:
        return Verdict(True, "no label could judge the round")
    doubted = _doubted(figures)
    before, after = (_by_patient(figures, [getattr(label, name) for label in figures]) for name in ("before", "after"))
    counted = f"{len(figures)} labels of {len(before)} patients"
    reason = f"Dice {before.mean():.3f} before and {after.mean():.3f} after, on {counted}"
    objection = _objection(figures, doubted, after - before) if in_service else ""
    return Verdict(
        publish=not objection,
        reason=f"{objection}: {reason}" if objection else reason,
        frames=len(figures),
        patients=len(before),
        before=float(before.mean()),
        after=float(after.mean()),
        worse=tuple(sorted(label.image for label in figures if label.worse)),
        doubted=tuple(sorted(doubted)),
    )


def chance(objecting: float, judges: int) -> float:
    """Part of good rounds in which so many judges object, or more.

    Args:
        objecting: how many object; a patient of whose labels only some do counts in part.
        judges: how many there are.

    >>> round(chance(2, 5), 4), round(chance(2, 10), 4), chance(0, 5)
    (0.0226, 0.0861, 1.0)
    """
    return float(binom.sf(math.floor(objecting + 1e-9) - 1, judges, _EXPECTED))


def _doubted(figures: Sequence[LabelFigures]) -> set[str]:
    """Images whose label stands against most others; nothing does where most labels are not taken up.

    Held-out labels cannot be taken up, so they neither are doubted nor make others look so.
    """
    learnt = [label for label in figures if label.early is not None]
    for moment in _MOMENTS:
        taken = [label.taken_up(moment) for label in learnt]
        if learnt and _by_patient(learnt, taken).mean() >= _MOST:
            return {label.image for label in learnt if not label.taken_up(moment)}
    return set()


def _objection(figures: Sequence[LabelFigures], doubted: set[str], change: NDArray[np.float64]) -> str:
    """What speaks against a round beyond chance; empty: nothing."""
    for kind, labels in (("labels", figures), ("new labels", [label for label in figures if label.new])):
        objecting = [label.worse or label.image in doubted for label in labels]
        voices = _by_patient(labels, objecting)
        if voices.size and chance(float(voices.sum()), voices.size) <= _ALPHA:
            look = f" (look at {', '.join(sorted(doubted)[:_NAMED])})" if doubted else ""
            return f"{sum(objecting)} of {len(labels)} {kind} contradict the others or became worse{look}"
    if all(label.worse and label.before >= _ANOTHER_PLACE > label.after for label in figures):
        return "the new model does not find again what it learned from, and the model in service found it"
    if change.size > 1 and change.mean() < -_SLIGHT:
        same = bool(np.ptp(change) < 1e-12)
        if same or ttest_1samp(change, -_SLIGHT, alternative="less").pvalue <= _ALPHA:
            return "the new model agrees less with the labels than the model in service"
    return ""


def _by_patient(figures: Sequence[LabelFigures], values: Sequence[float]) -> NDArray[np.float64]:
    """The mean of a value over the labels of each patient, by name of the patient."""
    gathered: dict[str, list[float]] = {}
    for label, value in zip(figures, values, strict=True):
        gathered.setdefault(label.patient, []).append(float(value))
    return np.array([np.mean(gathered[patient]) for patient in sorted(gathered)], dtype=np.float64)
