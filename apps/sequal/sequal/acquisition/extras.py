"""What a strategy needs beside the scores that every scoring gives, computed only when it is wanted."""

from typing import Final, Literal

from sequal.errors import SettingsError

__all__ = [
    "BALD",
    "EXTRAS",
    "FEATURES",
    "FEATURE_KINDS",
    "SQA",
    "FeatureKind",
    "extras_for",
    "how_to_get",
    "parse_extras",
]

#: Score of several stochastic passes of the teacher.
BALD: Final = "bald"
#: Score of the error branch, which costs as much as a part of a network.
SQA: Final = "sqa"
#: Vectors of every image, labelled ones included.
FEATURES: Final = "features"
EXTRAS: Final = frozenset({BALD, FEATURES, SQA})

FeatureKind = Literal["bottleneck", "gradient"]
FEATURE_KINDS: Final[tuple[FeatureKind, ...]] = ("bottleneck", "gradient")

_NEEDED: Final[dict[str, frozenset[str]]] = {
    BALD: frozenset({BALD}),
    SQA: frozenset({SQA}),
    "coreset": frozenset({FEATURES}),
    "badge": frozenset({FEATURES}),
    "pld_diverse": frozenset({FEATURES}),
}


def extras_for(strategy: str) -> frozenset[str]:
    """The extras that a strategy ranks by; the empty set for one that needs none.

    >>> sorted(extras_for("coreset")), sorted(extras_for("pld"))
    (['features'], [])
    """
    return _NEEDED.get(strategy, frozenset())


def parse_extras(text: str) -> frozenset[str]:
    """The extras that a request names.

    Args:
        text: names with commas between them; empty for none.

    Raises:
        SettingsError: a name is unknown.

    >>> sorted(parse_extras("bald, features"))
    ['bald', 'features']
    """
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if not names <= EXTRAS:
        raise SettingsError(
            f"Expected `acquisitions` to be names of {', '.join(sorted(EXTRAS))} with commas between, got {text!r}. "
            "Name those that are wanted."
        )
    return names


def how_to_get(strategy: str, extra: str) -> str:
    """What a user does to have an extra computed, for the reason of a cold start."""
    return (
        f'run the scoring `pld` with {{"acquisitions": "{extra}"}} or start the server with --conf strategy {strategy}'
    )
