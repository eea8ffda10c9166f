"""What an experiment is: every option that its figures depend on, checked once and written down once."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, Self

from sequal.acquisition import BALD
from sequal.anatomy.models import MODELS, model_of
from sequal.errors import SettingsError, StudyError
from sequal.experiments.playable import PLAYABLE
from sequal.rules import Rule, boolean, choice, integer, number, text
from sequal.settings import NETWORK_NAMES, Settings
from sequal.study.state import atomic_write, create_once

__all__ = ["ALL", "DEFAULT", "FULL", "Cell", "Plan", "Refinement", "option_name"]

Refinement = Literal["on", "off"]

#: The cell that is trained on every label of the pool; it stands where a strategy would.
FULL: Final = "full"
#: In `--labels`: every image of the pool.
ALL: Final = "all"
#: The network that the settings name, by their preset.
AUTO: Final = "auto"
#: The variant that has no settings but those of `--set`.
DEFAULT: Final = "default"
_FORMAT: Final = 1
#: Options that may get more entries once an experiment has begun: their cells touch no other's.
_GROWING: Final = ("seeds", "strategies", "variants")
#: Settings that an option of its own gives, or that an experiment has no use for.
_OWN_OPTION: Final = {
    "seed": "--seeds",
    "network": "--network",
    "device": "--device",
    "strategy": "--strategies",
    "readers": "--readers",
    "state": "no option, because a cell keeps its own",
    "ledger": "no option, because a cell keeps its own",
}
#: Options of the simulated readers of a layer and of frames: in volumes the label is the truth.
_OF_FRAMES: Final = ("phantom", "phantom_test", "phantom_seed", "size", "readers", "fusion", "noise", "traced")


def _option(default: object, rule: Rule) -> Any:  # noqa: ANN401 - as dataclasses.field does
    return field(default=default, metadata={"rule": rule})


def _listed(raw: object) -> list[str]:
    parts = raw.split(",") if isinstance(raw, str) else list(raw) if isinstance(raw, list | tuple) else [raw]
    listed = [str(part).strip() for part in parts]
    if not listed or "" in listed or len(set(listed)) != len(listed):
        raise ValueError(raw)
    return listed


def _names(known: tuple[str, ...]) -> Rule:
    def parse(raw: object) -> tuple[str, ...]:
        listed = _listed(raw)
        if not set(listed) <= set(known):
            raise ValueError(raw)
        return tuple(listed)

    return Rule(f"names out of {', '.join(known)}, separated by commas, each once", parse)


def _seeds() -> Rule:
    one = integer(0, 2**32 - 1)
    return Rule(
        "whole numbers from 0, separated by commas, each once",
        lambda raw: tuple(one.parse(part) for part in _listed(raw)),
    )


def _size() -> Rule:
    def parse(raw: object) -> str:
        if raw == "":
            return ""
        width, height = (int(side) for side in str(raw).lower().split("x"))
        if min(width, height) < 16:
            raise ValueError(raw)
        return f"{width}x{height}"

    return Rule("WxH in pixels, each side at least 16", parse)


def _labels() -> Rule:
    def parse(raw: object) -> tuple[int | str, ...]:
        if raw in ("", (), []):
            return ()
        *counts, last = _listed(raw)
        numbers = [int(part) for part in (counts if last == ALL else [*counts, last])]
        if any(a >= b for a, b in pairwise([-1, *numbers])):
            raise ValueError(raw)
        return (*numbers, ALL) if last == ALL else tuple(numbers)

    return Rule(f"rising whole numbers from 0, separated by commas, perhaps with `{ALL}` at the end", parse)


def _variants() -> Rule:
    def parse(raw: object) -> dict[str, dict[str, str]]:
        if not isinstance(raw, Mapping):
            raise ValueError(raw)
        for name, settings in raw.items():
            if not re.fullmatch(r"[A-Za-z0-9_.]+", name) or name == DEFAULT or not isinstance(settings, Mapping):
                raise ValueError(name)
        return {name: {str(key): str(value) for key, value in settings.items()} for name, settings in raw.items()}

    return Rule(f"a name of letters, digits, `_` and `.`, other than `{DEFAULT}`", parse)


def _traced() -> Rule:
    def parse(raw: object) -> tuple[float, float]:
        low, high = (float(part) for part in (raw if isinstance(raw, list | tuple) else str(raw).split(",")))
        if not 0 < low <= high <= 1:
            raise ValueError(raw)
        return low, high

    return Rule("two numbers LO HI with 0 < LO <= HI <= 1", parse)


@dataclass(frozen=True)
class Cell:
    """One run of the experiment: a strategy (or `full`), refinement on or off, a seed, a variant of the settings."""

    strategy: str
    refinement: Refinement
    seed: int
    variant: str = DEFAULT

    @property
    def name(self) -> str:
        """Name of its folder.

        >>> Cell("pld", "on", 3).name, Cell("pld", "on", 3, "firm").name
        ('pld-on-s3', 'pld-on-s3-firm')
        """
        return f"{self.strategy}-{self.start_name}"

    @property
    def start_name(self) -> str:
        """What it shares with the cells that begin alike: all but the strategy."""
        plain = f"{self.refinement}-s{self.seed}"
        return plain if self.variant == DEFAULT else f"{plain}-{self.variant}"


@dataclass(frozen=True)
class Plan:
    """The options of an experiment, as `docs/experiments.md` explains them."""

    images: str = _option("", text("a folder of images"))
    masks: str = _option("", text("a folder of masks"))
    test_images: str = _option("", text("a folder of images"))
    test_masks: str = _option("", text("a folder of masks"))
    test_list: str = _option("", text("a file with a name a line"))
    test_fraction: float = _option(0.3, number(0, 0.9, open_low=True))
    phantom: int = _option(0, integer(0))
    phantom_test: int = _option(0, integer(0))
    phantom_seed: int = _option(0, integer(0, 2**32 - 1))
    splits: Literal["one", "seed"] = _option("one", choice(("one", "seed")))
    size: str = _option("", _size())
    readers: int = _option(1, integer(1, 9))
    fusion: Literal["majority", "staple", "none"] = _option("majority", choice(("majority", "staple", "none")))
    noise: Literal["default", "careful", "none"] = _option("default", choice(("default", "careful", "none")))
    traced: tuple[float, float] = _option((0.4, 0.9), _traced())
    start: int = _option(8, integer(1))
    budget: int = _option(8, integer(1))
    rounds: int = _option(5, integer(1, 99))
    labels: tuple[int | str, ...] = _option((), _labels())
    strategies: tuple[str, ...] = _option(("random", "entropy", "pld"), _names(tuple(PLAYABLE)))
    refinement: Literal["on", "off", "both"] = _option("on", choice(("on", "off", "both")))
    both_for: tuple[str, ...] = _option(tuple(PLAYABLE), _names(tuple(PLAYABLE)))
    seeds: tuple[int, ...] = _option((0,), _seeds())
    network: str = _option(AUTO, choice((AUTO, *NETWORK_NAMES)))
    gate: Literal["on", "off"] = _option("off", choice(("on", "off")))
    starting_weights: str = _option("none", text("a checkpoint, or none"))
    full: bool = _option(False, boolean())
    thumbnails: bool = _option(True, boolean())
    scores: Literal["all", "needed"] = _option("all", choice(("all", "needed")))
    settings: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict, metadata={"rule": _variants()})

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Self:
        """Check options.

        Args:
            given: raw values by field name; what is not there has its default.

        Raises:
            SettingsError: an option breaks its rule, or two do not go together.
        """
        plan = cls(**{name: _parsed(name, value) for name, value in given.items()})
        plan._check_model(given)
        plan._check_source()
        plan._check_labels(given)
        if plan.readers == 1 and "fusion" in given:
            raise SettingsError("Expected `--fusion` to be given for several readers, got one. Add --readers.")
        if plan.refinement != "both" and "both_for" in given:
            raise SettingsError("Expected `--both-for` with `--refinement both`, got another. Add --refinement both.")
        if plan.phantom:
            plan.check_pool(plan.phantom)
        for cell in plan.cells():
            plan.settings_of(cell)
        return plan

    @classmethod
    def open(cls, path: Path, given: Mapping[str, object]) -> Self:
        """The plan of an experiment: the recorded one, or a new one that is recorded now.

        Seeds, strategies and variants may be added: their cells touch no other's, so that an experiment whose
        intervals are too wide, or that lacks a comparison, goes on. The caller keeps other processes out meanwhile.

        Args:
            path: `experiment.json`.
            given: raw values by field name. They must agree with a recorded plan, but for seeds and strategies that
                are added to all of the recorded ones, and for new variants; what is not given is taken from it.

        Raises:
            SettingsError: an option breaks its rule, or differs from what is recorded.
            StudyError: the file cannot be read or written.
        """
        try:
            if not path.exists():
                create_once(path, cls.of(given)._dump())
            plan = cls.load(path)
            grown = plan._grown(given)
            if grown != plan:
                plan._check_same({name: value for name, value in given.items() if name not in _GROWING}, path)
                for cell in grown.cells():
                    grown.settings_of(cell)
                with atomic_write(path) as file:
                    file.write(grown._dump())
                plan = grown
        except OSError as error:
            raise StudyError(f"Expected `{path}` to be writable, got: {error}. Name another folder.") from error
        plan._check_same(given, path)
        return plan

    @classmethod
    def load(cls, path: Path) -> Self:
        """The recorded plan.

        Raises:
            StudyError: there is none, or it cannot be understood.
        """
        try:
            values = json.loads(path.read_bytes())
            if values.pop("format") != _FORMAT:
                raise ValueError("it is of another version of the app")
            return cls(**{name: _parsed(name, value) for name, value in values.items()})
        except (OSError, ValueError, LookupError, TypeError, AttributeError, SettingsError) as error:
            raise StudyError(
                f"Expected `{path}` to be the options of an experiment, got: {error}. Name the folder of `simulate`."
            ) from error

    def _grown(self, given: Mapping[str, object]) -> Self:
        """With the seeds and strategies that are added to all of its own, and with new variants."""
        added: dict[str, Any] = {}
        for name in ("seeds", "strategies"):
            wanted = _parsed(name, given[name]) if name in given else ()
            if set(wanted) > set(getattr(self, name)):
                added[name] = wanted
        variants = _parsed("variants", given.get("variants", {}))
        new = {name: settings for name, settings in variants.items() if name not in self.variants}
        if new:
            added["variants"] = {**self.variants, **new}
        return replace(self, **added)

    def record(self) -> dict[str, Any]:
        """The options as JSON values."""
        return json.loads(json.dumps(asdict(self)))

    def _dump(self) -> bytes:
        return json.dumps({"format": _FORMAT, **self.record()}, indent=1).encode()

    def cells(self) -> list[Cell]:
        """All cells, seed by seed, so that an unfinished experiment still holds whole comparisons."""
        kinds: tuple[Refinement, ...] = ("on", "off") if self.refinement == "both" else (self.refinement,)
        found = []
        for seed in self.seeds:
            for variant in (DEFAULT, *self.variants):
                found += [
                    Cell(strategy, kind, seed, variant)
                    for kind in kinds
                    for strategy in self.strategies
                    if kind == kinds[0] or strategy in self.both_for
                ]
                if self.full:
                    found.append(Cell(FULL, kinds[0], seed, variant))
        return found

    @property
    def round_numbers(self) -> range:
        """Numbers of the rounds; 0 is the starting weights before any label, where `labels` begins with 0."""
        if not self.labels:
            return range(1, self.rounds + 1)
        return range(int(self.labels[0] != 0), len(self.labels) + int(self.labels[0] != 0))

    def labels_at(self, number: int, pool: int) -> int:
        """How many images have a label in a round.

        Args:
            number: of the round.
            pool: images of the pool.
        """
        if not self.labels:
            return self.start + (number - 1) * self.budget
        wanted = self.labels[number - self.round_numbers[0]]
        return pool if wanted == ALL else int(wanted)

    @property
    def batch(self) -> int:
        """Images of a query, by which scores are judged: the smallest step of `labels`."""
        counts = [int(count) for count in self.labels if count != ALL]
        return min((b - a for a, b in pairwise(counts)), default=self.budget)

    def start_of(self, cell: Cell) -> str:
        """Name of what a cell begins with, which it shares with others: a first round, or a judging before any label.

        The latter is the same for all seeds where they have the same frames; BALD alone draws by the seed.
        """
        if self.round_numbers[0] == 0 and self.splits == "one" and BALD not in self.strategies:
            return f"before-{replace(cell, seed=0).start_name}"
        return f"start-{cell.start_name}"

    def settings_of(self, cell: Cell, device: str = "auto") -> Settings:
        """The settings of a cell's rounds.

        With `--gate off` every round's pair is taken and no image is set aside for validation: the experiment measures
        the method, not the gate.

        Raises:
            SettingsError: a setting breaks its rule or belongs to another option.
        """
        chosen = {**self.settings, **self.variants.get(cell.variant, {})}
        for key, option in _OWN_OPTION.items():
            if key in chosen:
                raise SettingsError(f"Expected `--set {key}` not to be given, got it. Use {option}.")
        if self.gate == "off" and "validation_fraction" in chosen:
            raise SettingsError("Expected `--set validation_fraction` with the gate only, got it. Add --gate on.")
        if self.refinement != "off" and self.settings.get("trigger") == "never":
            raise SettingsError("Expected `--refinement off` for trigger=never, got on. Use --refinement off.")
        values: dict[str, object] = {**chosen, "seed": cell.seed, "device": device}
        if self.network != AUTO:
            values["network"] = self.network
        # The checkpoint of the round before is compared with this round's, and a fusion writes one of its own.
        values.setdefault("keep_checkpoints", 3)
        if self.gate == "off":
            values["validation_fraction"] = 0
        if cell.refinement == "off":
            values["trigger"] = "never"
        return Settings.from_conf(values)

    @property
    def of_a_layer(self) -> bool:
        """Whether the model is a layer in frames; readers are simulated for it alone."""
        named = {key: value for key, value in self.settings.items() if key == "models"}
        return MODELS[Settings.from_conf(named).model].is_layer

    def check_pool(self, size: int) -> None:
        """See that the pool holds enough images for all rounds.

        Raises:
            SettingsError: it does not.
        """
        last = self.round_numbers[-1]
        if self.labels and self.labels[-1] == ALL:
            last = max(last - 1, self.round_numbers[0])
        needed = self.labels_at(last, size)
        if size < needed:
            raise SettingsError(
                f"Expected the pool to hold {needed} images, as --start, --budget and --rounds or --labels ask for, "
                f"got {size}. Lower one of them, or add images."
            )

    def _check_labels(self, given: Mapping[str, object]) -> None:
        if self.labels and given.keys() & {"start", "budget", "rounds"}:
            raise SettingsError(
                "Expected `--labels` without `--start`, `--budget` and `--rounds`, got both. Give one of the two."
            )
        if self.labels and self.labels[0] == 0 and self.starting_weights == "none":
            raise SettingsError(
                "Expected `--labels 0` with `--starting-weights`, got none: nothing could be judged before a label. "
                "Name a checkpoint, or begin with more labels."
            )
        if self.splits == "seed" and (self.phantom or self.test_images or self.test_list):
            raise SettingsError(
                "Expected `--splits seed` with `--images` alone, which are divided anew by each seed, got another "
                "source. Leave out --test-images, --test-list and --phantom, or use --splits one."
            )
        if self.test_list and (self.phantom or self.test_images):
            raise SettingsError(
                "Expected `--test-list` to name images of `--images`, got another test set as well. Leave one out."
            )

    def _check_model(self, given: Mapping[str, object]) -> None:
        for name, own in self.variants.items():
            for key in sorted(own.keys() & {"models", "labels"}):
                raise SettingsError(
                    f"Expected the same `{key}` in all variants, got one of its own in {name}. Begin another "
                    "experiment."
                )
        if self.of_a_layer:
            return
        _ = model_of(self.settings_of(self.cells()[0])).labels  # there have to be some
        for name in _OF_FRAMES:
            if name in given:
                raise SettingsError(
                    f"Expected `{option_name(name)}` only with frames of a layer, got it with another model, whose "
                    "labels are the truth. Leave it out."
                )

    def _check_source(self) -> None:
        folders = (self.images, self.masks) if self.of_a_layer else (self.images,)
        if bool(self.phantom) == any(folders) or any(folders) != all(folders):
            raise SettingsError(
                "Expected either `--images` with `--masks` or `--phantom`, "
                f"got images={self.images!r}, masks={self.masks!r}, phantom={self.phantom}. Give one of the two."
            )
        in_files = not self.of_a_layer and not self.masks  # each H5 file holds both
        if (bool(self.test_images) != bool(self.test_masks) and not in_files) or (self.phantom and self.test_images):
            raise SettingsError(
                "Expected `--test-images` and `--test-masks` together, beside --images, got "
                f"{self.test_images!r} and {self.test_masks!r}. Give both or neither."
            )
        if bool(self.phantom) != bool(self.phantom_test):
            raise SettingsError(
                f"Expected `--phantom` and `--phantom-test` together, got {self.phantom} and {self.phantom_test}. "
                "Say how many frames to train on and how many to judge by."
            )

    def _check_same(self, given: Mapping[str, object], path: Path) -> None:
        differences = [
            f"{option_name(name)} {_shown(wanted)} (recorded: {_shown(getattr(self, name))})"
            for name, wanted in ((name, _parsed(name, value)) for name, value in given.items())
            if ({**self.variants, **wanted} if name == "variants" else wanted) != getattr(self, name)
        ]
        if differences:
            raise SettingsError(
                f"Expected the options of `{path}`, got {'; '.join(differences)}. "
                "Leave the options out to go on with this experiment, or name a new folder."
            )


_RULES: Final[dict[str, Rule]] = {f.name: f.metadata["rule"] for f in fields(Plan) if "rule" in f.metadata}


def option_name(name: str) -> str:
    """How the command line spells a field.

    >>> option_name("test_images"), option_name("settings")
    ('--test-images', '--set')
    """
    special = {"settings": "--set", "variants": "--variant"}
    return special.get(name, f"--{name.replace('_', '-')}")


def _parsed(name: str, value: object) -> Any:  # noqa: ANN401 - each field has its own type
    if name == "settings" and isinstance(value, Mapping):
        return {str(key): str(entry) for key, entry in value.items()}
    if name not in _RULES:
        raise SettingsError(f"Expected an option of an experiment, got {name!r}. See simulate --help.")
    try:
        return _RULES[name].parse(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise SettingsError(
            f"Expected `{option_name(name)}` to be {_RULES[name].text}, got {value!r}. Change it and try again."
        ) from error


def _shown(value: object) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
