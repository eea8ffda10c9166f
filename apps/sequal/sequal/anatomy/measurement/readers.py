"""Several readers of the same images: how each pair agrees, and how each reader departs from the others."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy import stats

from sequal.anatomy.measurement.agreement import Agreement, Interval, bland_altman
from sequal.anatomy.measurement.comparison import Compared

__all__ = ["Departure", "PairAgreement", "Reading", "departures", "pair_agreement"]

Unit = Literal["mm", "px", "ml"]
#: Words for a mean over 0 and one under 0, by what departs and in which unit.
_WORDS: Final = {"size": ("thicker", "thinner"), "volume": ("larger", "smaller"), "place": ("deeper", "higher")}


@dataclass(frozen=True)
class Reading:
    """One image as two readers drew it, for one structure.

    Attributes:
        image: its id.
        first: a reader.
        second: the other one.
        compared: their labels.
    """

    image: str
    first: str
    second: str
    compared: Compared


@dataclass(frozen=True)
class PairAgreement:
    """How two readers agree on one structure.

    Attributes:
        first: a reader.
        second: the other one.
        label: name of the structure.
        images: that both labelled.
        dice: mean over them.
        unit: of the sizes; where some images are calibrated, only these are measured.
        size: Bland-Altman analysis of thickness or volume, first minus second; None for fewer than two images.
        difference: mean of first minus second; None where nothing could be measured.
        li: mean over the images of how much deeper the first has LI; None for what is no layer.
        ma: the same of MA.
    """

    first: str
    second: str
    label: str
    images: int
    dice: float
    unit: Unit
    size: Agreement | None
    difference: float | None
    li: float | None
    ma: float | None


@dataclass(frozen=True)
class Departure:
    """How one reader departs from the mean of all readers of the same images, for one structure.

    Attributes:
        reader: his name.
        label: name of the structure.
        images: over which the means were taken.
        unit: of the figures.
        size: how much thicker or larger he draws; None where nothing could be measured.
        size_interval: 95 % interval of it (Student's t); None for fewer than two images.
        li: how much deeper he has LI; None for what is no layer.
        li_interval: of it.
        ma: the same of MA.
        ma_interval: of it.
        words: what of it is beyond chance, as people say it.
    """

    reader: str
    label: str
    images: int
    unit: Unit
    size: float | None
    size_interval: Interval | None
    li: float | None
    li_interval: Interval | None
    ma: float | None
    ma_interval: Interval | None
    words: str


def pair_agreement(readings: Iterable[Reading]) -> list[PairAgreement]:
    """One entry for each pair of readers and each structure, in the order in which they are first met."""
    groups: dict[tuple[str, str, str], list[Reading]] = {}
    for reading in readings:
        groups.setdefault((reading.first, reading.second, reading.compared.label), []).append(reading)
    return [_pair(*key, group) for key, group in groups.items()]


def departures(readings: Sequence[Reading]) -> list[Departure]:
    """One entry for each reader and each structure.

    On each image the readers of that image are compared with their own mean: among k readers, the one whose differences
    from the others are d departs by Σd / k.

    Args:
        readings: every pair of readers of every image.
    """
    found: dict[tuple[str, str], None] = {}
    for reading in readings:
        for reader in (reading.first, reading.second):
            found.setdefault((reader, reading.compared.label))
    order = list(dict.fromkeys(reader for reader, _ in found))
    return [_departure(reader, label, readings) for reader, label in sorted(found, key=lambda k: order.index(k[0]))]


def _pair(first: str, second: str, label: str, group: Sequence[Reading]) -> PairAgreement:
    compared = [reading.compared for reading in group]
    unit = _unit(compared)
    sizes = [(c.first, c.second) for c in compared if c.unit == unit and c.first is not None and c.second is not None]
    ours, theirs = [size[0] for size in sizes], [size[1] for size in sizes]
    li, ma = (
        [value for c in compared if c.unit == unit and (value := getattr(c, n)) is not None] for n in ("li", "ma")
    )
    return PairAgreement(
        first=first,
        second=second,
        label=label,
        images=len(group),
        dice=math.fsum(c.dice for c in compared) / len(compared),
        unit=unit,
        size=bland_altman(ours, theirs) if len(sizes) > 1 else None,
        difference=float(np.subtract(ours, theirs).mean()) if sizes else None,
        li=_mean(li),
        ma=_mean(ma),
    )


def _departure(reader: str, label: str, readings: Sequence[Reading]) -> Departure:
    own = [r for r in readings if r.compared.label == label and reader in (r.first, r.second)]
    unit = _unit([reading.compared for reading in own])
    by_image: dict[str, list[tuple[float, Compared]]] = {}
    for reading in own:
        if reading.compared.unit == unit and reading.compared.first is not None:
            sign = 1.0 if reading.first == reader else -1.0
            by_image.setdefault(reading.image, []).append((sign, reading.compared))
    pairs = list(by_image.values())
    size = [sum(s * ((c.first or 0.0) - (c.second or 0.0)) for s, c in pair) / (len(pair) + 1) for pair in pairs]
    places = [
        [sum(s * getattr(c, name) for s, c in pair) / (len(pair) + 1) for pair in pairs if pair[0][1].li is not None]
        for name in ("li", "ma")
    ]
    (li, ma), middle = places, [(upper + lower) / 2.0 for upper, lower in zip(*places, strict=True)]
    said = [_beyond_chance(size, unit, "volume" if unit == "ml" else "size"), _beyond_chance(middle, unit, "place")]
    return Departure(
        reader=reader,
        label=label,
        images=len(pairs),
        unit=unit,
        size=_mean(size),
        size_interval=_interval(size),
        li=_mean(li),
        li_interval=_interval(li),
        ma=_mean(ma),
        ma_interval=_interval(ma),
        words=", ".join(filter(None, said)) or ("as the others" if len(pairs) > 1 else "too few images to say"),
    )


def _beyond_chance(values: Sequence[float], unit: Unit, what: str) -> str:
    """The mean in words, where its interval does not hold zero."""
    interval, mean = _interval(values), _mean(values)
    if interval is None or mean is None or interval[0] <= 0.0 <= interval[1]:
        return ""
    return f"{_WORDS[what][mean < 0]} by {abs(mean):.3g} {unit}"


def _interval(values: Sequence[float]) -> Interval | None:
    if len(values) < 2:
        return None
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    mean = float(np.mean(values))
    return mean - half, mean + half


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _unit(compared: Sequence[Compared]) -> Unit:
    """Millimetres where there are any: they are never mixed with pixels."""
    units = [c.unit for c in compared if c.first is not None]
    return "mm" if "mm" in units else units[0] if units else compared[0].unit
