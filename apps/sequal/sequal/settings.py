"""Every setting of the app in one frozen class, built once from strings at the boundary."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from sequal.errors import SettingsError
from sequal.plugins import modules_of
from sequal.rules import (
    Rule,
    boolean,
    choice,
    host_names,
    integer,
    names,
    number,
    origins,
    patient_regex,
    tags,
    text,
    triple,
    url,
)

__all__ = [
    "METHOD_NAMES",
    "MODEL_NAMES",
    "NETWORK_NAMES",
    "SCORE_NAMES",
    "STRATEGY_NAMES",
    "NetworkName",
    "Settings",
    "per_request_keys",
    "setting_keys",
    "settings_table",
]

NetworkName = Literal[
    "dynunet",
    "unet",
    "basic_unet",
    "attention_unet",
    "segresnet",
    "unetplusplus",
    "flexible_unet",
    "vnet",
    "resnet_vnet",
]
#: Every file in the room of the methods is one; the first is the default.
METHOD_NAMES: tuple[str, ...] = modules_of("learning/methods", first="sequal")
MODEL_NAMES: tuple[str, ...] = modules_of("anatomy/models", first="carotid")
NETWORK_NAMES: tuple[str, ...] = get_args(NetworkName)
#: A score is also a strategy, the one that asks by it.
SCORE_NAMES: tuple[str, ...] = modules_of("acquisition/scores", first="pld")
STRATEGY_NAMES: tuple[str, ...] = (
    *modules_of("acquisition/strategies", first="layer_entropy_power"),
    *SCORE_NAMES,
)

# Where a study lives, with whom it is shared (perhaps with a password) and who may reach it says nothing about a
# round.
_UNRECORDED = frozenset({"state", "ledger", "other_states", "allowed_hosts", "allowed_origins", "sessions"})
_THIN_LAYER_MM = 0.2


def _fixed(default: object, rule: Rule, meaning: str, *, paper: object = None) -> Any:  # noqa: ANN401 - as dataclasses.field does
    """A setting that holds for the whole life of the server; `paper` is its default under `preset=paper`."""
    metadata = {"rule": rule, "meaning": meaning, "per_request": False}
    return field(default=default, metadata=metadata if paper is None else {**metadata, "paper": paper})


def _per_request(default: object, rule: Rule, meaning: str, *, paper: object = None) -> Any:  # noqa: ANN401
    """A setting that a train or score request may change; `paper` is its default under `preset=paper`."""
    metadata = {"rule": rule, "meaning": meaning, "per_request": True}
    return field(default=default, metadata=metadata if paper is None else {**metadata, "paper": paper})


@dataclass(frozen=True)
class Settings:
    """The settings of one server, or of one request to it.

    Use `Settings.from_conf` and `override`: they check every value and apply the preset. Calling the class
    itself gives the defaults, or values that the caller answers for.

    The defaults under `preset=paper` are the published ones (SEQUAL, Med. Image Anal. 111:104048, and PLD-AL,
    MICCAI 2023; with `method=cross` those of Lu et al., Knowl.-Based Syst. 2025, for volumes); where the default preset
    deviates, the reason stands with the code that uses the setting.
    """

    state: str = _fixed(
        "", text("a folder, or empty"), "folder for the state of the study; empty: `model/<study>-<hash>` in the app"
    )
    ledger: str = _fixed("", url(), "database shared by several servers; empty: SQLite in the state folder")
    seed: int = _per_request(
        0, integer(0, 2**32 - 1), "base seed; a round's seed follows from it and the round's number"
    )
    device: Literal["auto", "cpu", "cuda"] = _fixed(
        "auto", choice(("auto", "cpu", "cuda")), "where the networks compute; auto: the GPU if there is one"
    )
    models: str = _fixed(
        "carotid",
        choice(MODEL_NAMES),
        "`carotid`: the intima-media layer in frames and clips; `volume`: structures of volumes, by `labels`; a server "
        "takes both with a comma between them",
    )
    labels: str = _fixed("", names(), "names of the structures in volumes, the first is value 1 (`models=volume`)")
    volume_spacing: str = _fixed(
        "auto",
        triple(0.01, 50),
        "voxel that volumes are resampled to, in mm to the right, to the front, upwards; auto: the study's median",
    )
    volume_patch: str = _fixed(
        "auto",
        triple(16, 512, multiple_of=16),
        "patch of a volume in voxels; auto: the study's median volume, at most 96 along each axis",
    )
    method: str = _fixed(
        "sequal",
        choice(METHOD_NAMES),
        "`sequal`: a student and the teacher that follows it; `cross`: two networks that teach each other",
    )
    network: NetworkName = _fixed(  # noqa: RUF009 - a Literal, immutable
        "unet", choice(NETWORK_NAMES), "architecture of student and teacher, or of the first network"
    )
    second_network: NetworkName = _fixed(  # noqa: RUF009 - a Literal, immutable
        "dynunet", choice(NETWORK_NAMES), "architecture of the second network (`method=cross`)"
    )
    working_spacing_mm: float = _fixed(0.06, number(0.02, 0.5), "pixel size that calibrated frames are resampled to")
    max_working_pixels: int = _fixed(1_000_000, integer(65_536), "larger working frames are resampled to this size")
    max_image_pixels: int = _fixed(
        100_000_000,
        integer(65_536),
        "largest file that is read, in pixels of all frames and channels, as its header states them",
    )
    min_piece_mm: float = _fixed(
        2.0,
        number(0),
        "shorter pieces of a mask are removed, as are pieces that cannot be a wall; 0: nothing is removed",
    )
    preset: Literal["default", "paper"] = _per_request(
        "default",
        choice(("default", "paper")),
        "`paper`: the published training settings, except for those that are given",
    )
    supervision: Literal["columns", "full"] = _per_request(
        "columns",
        choice(("columns", "full")),
        "`columns`: a column without drawing is unknown; `full`: it is background",
    )
    max_wall_angle: float = _per_request(
        30.0,
        number(0, 90),
        "steepest wall in degrees; what it cannot reach from the drawn columns is background (`supervision=columns`)",
        paper=90.0,
    )
    epochs: int = _per_request(6, integer(1, 1000), "epochs of a round")
    iterations_per_epoch: int = _per_request(
        0,
        integer(0, 10_000),
        "training steps in an epoch; 0: by the number of labels, 20 for each and 120 to 600 in a round",
        paper=250,
    )
    batch_labelled: int = _per_request(2, integer(1, 64), "labelled patches in a batch")
    batch_unlabelled: int = _per_request(1, integer(0, 64), "unlabelled patches in a batch", paper=2)
    rehearsal: int = _per_request(
        1,
        integer(0, 64),
        "simulated patches in a batch, if the labels show the structure that the starting weights know",
        paper=0,
    )
    frozen_statistics: bool = _per_request(
        True,
        boolean(),
        "keep the batch-norm statistics of the starting weights, if the labels show the structure that they know",
        paper=False,
    )
    anchor_labels: float = _per_request(
        5.0,
        number(0),
        "a round ends with the mean of its weights and the starting weights, which count as so many labels; 0: no mean",
        paper=0.0,
    )
    match_thickness: bool = _per_request(
        True,
        boolean(),
        "a round ends with an offset of the log-odds, by which its masks are as thick as the labels on average",
        paper=False,
    )
    patch: int = _per_request(256, integer(64, 1024, multiple_of=32), "side of a training patch in working pixels")
    learning_rate: float = _per_request(0.001, number(0, open_low=True), "learning rate at the start", paper=0.01)
    optimizer: Literal["adamw", "sgd"] = _per_request(
        "adamw", choice(("adamw", "sgd")), "`sgd` has momentum 0.9", paper="sgd"
    )
    schedule: Literal["poly", "step"] = _per_request(
        "poly",
        choice(("poly", "step")),
        "how the learning rate falls. `poly`: to 0 with the power 0.9; `step`: to a tenth every 2500 steps",
    )
    weight_decay: float = _per_request(1e-4, number(0), "weight decay")
    dice_weight: float = _per_request(
        1.0, number(0), "weight of soft Dice beside cross-entropy; 0: only cross-entropy", paper=0.0
    )
    consistency_weight: float = _per_request(1.0, number(0), "w_max, the weight of the consistency loss after its ramp")
    disagreement_weight: float = _per_request(
        1.0, number(0), "weight of the loss where exactly one network is confident, after its ramp (`method=cross`)"
    )
    cross_weight: float = _per_request(
        0.1, number(0), "weight of cross pseudo supervision after its ramp (`method=cross`); 0: none"
    )
    entropy_quantile: float = _per_request(
        0.8,
        number(0, 1, open_low=True),
        "part of the pixels of each class that a network learns from the other, those with the lowest entropy; 1: all",
    )
    kl_weight: bool = _per_request(
        True, boolean(), "weigh what a network learns from the other by their agreement, exp(−KL) (`method=cross`)"
    )
    contrast_weight: float = _per_request(
        0.1,
        number(0),
        "weight of contrast with class prototypes after its ramp (`method=cross`); 0, or `entropy_quantile` 1: none",
    )
    quality_weight: float = _per_request(
        1.0,
        number(0),
        "λ, weight of the loss of the error branch, which says where a mask is wrong; 0: no branch",
        paper=0.0,
    )
    quality_detach: bool = _per_request(
        True,
        boolean(),
        "the networks learn nothing from the error branch's loss, so that it cannot change their masks",
    )
    extent_weight: float = _per_request(
        1.0,
        number(0),
        "weight of the penalty on columns twice as thick as any annotated one (`supervision=columns`)",
        paper=0.0,
    )
    ramp: Literal["fraction", "paper"] = _per_request(
        "fraction",
        choice(("fraction", "paper")),
        "ramp of what networks teach each other; `paper`: 40 units of 150 iterations, none for `disagreement_weight`",
        paper="paper",
    )
    ramp_fraction: float = _per_request(0.4, number(0, 1, open_low=True), "part of the round that the ramp takes")
    ema_alpha: float = _per_request(
        0.95, number(0, 1, open_high=True), "α_max, what the teacher keeps of itself at each step", paper=0.9
    )
    trigger: Literal["adele", "paper", "never"] = _per_request(
        "adele",
        choice(("adele", "paper", "never")),
        "rule that ends early learning and starts fusion",
        paper="paper",
    )
    trigger_slope: float = _per_request(0.9, number(0, 1), "`adele` fires when the IoU slope has fallen by this part")
    fusion_lambda: float = _per_request(
        0.8, number(0.5, 1), "λ, the teacher's confidence above which a pixel is refined"
    )
    fusion_scope: Literal["unknown", "all"] = _per_request(
        "unknown",
        choice(("unknown", "all")),
        "`unknown`: fusion fills what the expert left open; `all`: it also overrules what the expert annotated",
        paper="all",
    )
    fusion_min_foreground: float = _per_request(
        0.5, number(0, 1), "a refined label that keeps less of the expert's foreground is refused"
    )
    fusion_min_agreement: float = _per_request(
        0.8,
        number(0, 1),
        "a label is refined only if teacher and expert agree with this Dice where the expert annotated",
        paper=0.0,
    )
    after_fusion: Literal["continue", "stop"] = _per_request(
        "continue",
        choice(("continue", "stop")),
        "whether a round goes on and learns the refined labels",
        paper="stop",
    )
    pld_form: Literal["kl", "pseudo_label", "layer"] = _per_request(
        "kl",
        choice(("kl", "pseudo_label", "layer")),
        "`kl`: KL(teacher‖student); `pseudo_label`: −log p_S[argmax p_T]; `layer`: the same by the layer's area",
    )
    pld_pair: Literal["teacher_student", "consecutive_rounds"] = _per_request(
        "teacher_student",
        choice(("teacher_student", "consecutive_rounds")),
        "the two networks that PLD compares; with consecutive_rounds the offset of `match_thickness` counts as well",
    )
    pld_at: Literal["trigger", "end"] = _per_request(
        "end", choice(("trigger", "end")), "moment of the round whose networks PLD compares", paper="trigger"
    )
    validation_fraction: float = _fixed(
        0.0,
        number(0, 0.5),
        "part of the labelled patients whose labels only judge and are never learned; 0: all labels teach and judge",
    )
    readers: str = _fixed(
        "",
        tags(),
        "readers (folders in `labels/`) whose labels of a labelled image teach as well, without their own bias",
    )
    patient_pattern: str = _fixed(
        "", patient_regex(), "finds the patient in an image's id where `patients.csv` does not"
    )
    lease_minutes: float = _fixed(
        30.0,
        number(0, 1440, open_low=True),
        "how long an image is reserved for the annotator who was asked for it",
    )
    keep_checkpoints: int = _fixed(5, integer(1), "number of newest models that are kept, beside the one in service")
    auto_scoring: bool = _fixed(True, boolean(), "score images by itself when the model in service has not scored them")
    other_states: Literal["refuse", "warn"] = _fixed(
        "refuse",
        choice(("refuse", "warn")),
        "when a server with another state works on the same images of a PACS: `refuse` stops queries and trainings",
    )
    ohif_bridge: bool = _fixed(
        True,
        boolean(),
        "OHIF's study list opens ultrasound in the page to annotate, and its MONAI Label mode saves labels of volumes; "
        "false: OHIF without changes",
    )
    allowed_hosts: str = _fixed(
        "", host_names(), "names of the server for browsers, beside localhost, 127.0.0.1 and [::1]"
    )
    allowed_origins: str = _fixed("", origins(), "web pages that may use the server, beside its own")
    sessions: bool = _fixed(
        False, boolean(), "keep images that clients send for a session, so that they need not send them again"
    )
    strategy: str = _fixed(
        "layer_entropy_power",
        choice(STRATEGY_NAMES),
        "how the next image is chosen, unless the client says",
        paper="pld",
    )

    given: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    """Keys that were given rather than left to their default: a preset does not change them."""

    @classmethod
    def from_conf(cls, conf: Mapping[str, object]) -> "Settings":
        """Build the settings of a server from its `--conf` pairs.

        Args:
            conf: raw values by key, strings as the command line gives them (numbers and bools do as well).

        Returns:
            Checked settings; keys that are not in `conf` have the default of the preset.

        Raises:
            SettingsError: a key is unknown or a value breaks its rule; the message names all three.
        """
        return cls()._with(conf)

    def override(self, values: Mapping[str, object]) -> "Settings":
        """These settings with the parameters of one train or score request.

        Args:
            values: raw values by key; only per-request keys, MONAI Label's own keys already taken out.

        Returns:
            New settings. A `preset` in `values` changes per-request keys that nobody gave, neither at start nor here:
            other networks or patches would end the study's own training.

        Raises:
            SettingsError: a key is unknown or belongs to the server, or a value breaks its rule.
        """
        for key in values:
            if key in _SETTINGS and key not in per_request_keys():
                raise SettingsError(
                    f"Expected `{key}` to be set when the server starts, got it with a request. "
                    f"Use `--conf {key} VALUE`."
                )
        return self._with(values, per_request_keys())

    @property
    def model(self) -> str:
        """The model of a study."""
        return self.models

    @property
    def label_names(self) -> tuple[str, ...]:
        """`labels` one by one."""
        return tuple(self.labels.split(",")) if self.labels else ()

    @property
    def reader_tags(self) -> tuple[str, ...]:
        """`readers` one by one."""
        return tuple(self.readers.split(",")) if self.readers else ()

    @property
    def volume_spacing_mm(self) -> tuple[float, ...] | None:
        """`volume_spacing` as numbers; None: to be taken from the study."""
        return None if self.volume_spacing == "auto" else tuple(float(v) for v in self.volume_spacing.split(","))

    @property
    def volume_patch_voxels(self) -> tuple[int, ...] | None:
        """`volume_patch` as numbers; None: to be taken from the study."""
        return None if self.volume_patch == "auto" else tuple(int(v) for v in self.volume_patch.split(","))

    @property
    def thin_layer_px(self) -> float:
        """Thin layer of `layer_entropy` and `pld_form=layer` in working pixels: about a quarter of a wall."""
        return _THIN_LAYER_MM / self.working_spacing_mm

    @property
    def hosts(self) -> tuple[str, ...]:
        """`allowed_hosts` one by one."""
        return tuple(self.allowed_hosts.split(",")) if self.allowed_hosts else ()

    @property
    def origins(self) -> tuple[str, ...]:
        """`allowed_origins` one by one."""
        return tuple(self.allowed_origins.split(",")) if self.allowed_origins else ()

    def record(self) -> dict[str, str | int | float | bool]:
        """The settings as plain JSON values for a round's record, without the places (`state`, `ledger`)."""
        return {key: getattr(self, key) for key in _SETTINGS if key not in _UNRECORDED}

    def _with(self, raw: Mapping[str, object], of_preset: Iterable[str] | None = None) -> "Settings":
        """With raw values; `of_preset`: keys that a preset may change, None for all."""
        parsed = {key: _parse(key, value) for key, value in raw.items()}
        changed: dict[str, Any] = dict(parsed)
        if "preset" in parsed:
            defaults = _paper_defaults(str(parsed.get("method", self.method)))
            allowed = defaults.keys() if of_preset is None else defaults.keys() & set(of_preset)
            for key in allowed - self.given - parsed.keys():
                changed[key] = defaults[key] if parsed["preset"] == "paper" else _SETTINGS[key].default
        return replace(self, **changed, given=self.given | parsed.keys())


_SETTINGS = {f.name: f for f in fields(Settings) if "rule" in f.metadata}
_PAPER_DEFAULTS = {key: f.metadata["paper"] for key, f in _SETTINGS.items() if "paper" in f.metadata}
#: Published settings of the second method (Lu et al., Knowl.-Based Syst. 2025), for volumes.
_PAPER_CROSS: dict[str, object] = {
    "network": "vnet",
    "second_network": "resnet_vnet",
    "volume_patch": "112,112,80",
    "epochs": 40,
    "iterations_per_epoch": 150,
    "batch_labelled": 2,
    "batch_unlabelled": 2,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "schedule": "step",
    "ramp": "paper",
    "trigger": "never",
    "rehearsal": 0,
    "frozen_statistics": False,
    "anchor_labels": 0.0,
    "match_thickness": False,
    "extent_weight": 0.0,
    "quality_weight": 0.0,
}


def _paper_defaults(method: str) -> dict[str, object]:
    return _PAPER_CROSS if method == "cross" else _PAPER_DEFAULTS


def setting_keys() -> tuple[str, ...]:
    """All keys, in the order of the table."""
    return tuple(_SETTINGS)


def per_request_keys() -> frozenset[str]:
    """Keys that a train or score request may carry."""
    return frozenset(key for key, f in _SETTINGS.items() if f.metadata["per_request"])


def settings_table() -> str:
    """The Markdown table of all settings for `docs/settings.md`, with its legend.

    >>> settings_table().splitlines()[0]
    '| key | default | rule | meaning |'
    """
    rows = ["| key | default | rule | meaning |", "| --- | --- | --- | --- |"]
    for key, f in _SETTINGS.items():
        mark = " †" if f.metadata["per_request"] else ""
        paper = f" (paper: {_shown(_PAPER_DEFAULTS[key])})" if key in _PAPER_DEFAULTS else ""
        cells = (f"`{key}`{mark}", _shown(f.default) + paper, f.metadata["rule"].text, f.metadata["meaning"])
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*rows, "", "† may also be given with a train or score request."])


def _shown(value: object) -> str:
    if value == "":
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _parse(key: str, raw: object) -> object:
    if key not in _SETTINGS:
        raise SettingsError(
            f"Expected `{key}` to be a setting of this app, got an unknown key. {_hint(key, _SETTINGS)}"
        )
    rule: Rule = _SETTINGS[key].metadata["rule"]
    try:
        return rule.parse(raw)
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"Expected `{key}` to be {rule.text}, got {raw!r}. Change `{key}` and try again."
        ) from error


def _hint(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"Did you mean `{close[0]}`?" if close else "docs/settings.md lists all settings."
