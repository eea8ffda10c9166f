"""`annotate`: play an annotator against a running server, or against one of its own (the demo)."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from rich.progress import Progress as ProgressBar

from sequal.commands.address import of_model
from sequal.commands.annotating.client import AnnotationClient
from sequal.commands.annotating.evaluation import served_model
from sequal.commands.annotating.picture import write_picture
from sequal.commands.annotating.play import Play, PlayedRound, PlayOptions, play
from sequal.commands.annotating.report import Row, columns, play_as_json, round_row, start_row, write_json
from sequal.commands.annotating.truth import Truth, exact_expert, noisy_expert
from sequal.commands.console import OUT, progress_bar, table
from sequal.commands.demo import copied_demo, copy_study, empty_demo, running_server
from sequal.commands.demo_study import VOLUME_DEMO, simulate_demo_study, simulate_demo_volumes
from sequal.commands.place import output_folder
from sequal.commands.spelling import setting_pairs
from sequal.errors import SettingsError
from sequal.settings import Settings
from sequal.study.folder import StudyFiles

__all__ = ["CLIENT_ID", "AnnotateOptions", "annotate_command"]

#: The name under which the simulated annotator leases images.
CLIENT_ID: Final = "simulated annotator"

#: Models for whose demo there is a simulator.
_DEMOS: Final = ("carotid", "volume")


@dataclass(frozen=True)
class AnnotateOptions:
    """Where and how to annotate.

    Attributes:
        app: folder of the app, for the demo's server.
        server: address of a running server; not used by a demo.
        studies: the studies folder, for its truth and patients, and as what a demo copies; None: not known, and a demo
            simulates frames.
        truth: masks by image id; None: `truth` in the studies folder.
        out: where `annotate.json` and `annotate.png` go.
        demo: folder of a demo; None: annotate at `server`.
        noisy: draw as a simulated reader; else submit the truth itself, as always in volumes.
        play: rounds, strategy and so on.
        conf: `key=value` settings, for the server of a demo, or for every training of a server that runs; of that,
            `models` names the model to annotate for.
    """

    app: Path
    server: str
    studies: Path | None
    truth: Path | None
    out: Path
    demo: Path | None
    noisy: bool
    play: PlayOptions
    conf: Sequence[str] = ()


def annotate_command(options: AnnotateOptions) -> None:
    """Play the annotator with progress bar and table, and leave the JSON file and the picture.

    Raises:
        SettingsError: neither studies nor truth are named, a truth is named for a demo that simulates its images, or a
            setting that is wrong or that a running server does not take.
        SequalError: as `play`, `running_server` and `simulate_demo_study`.
    """
    settings = setting_pairs(options.conf)
    if options.demo is not None:
        Settings.from_conf(settings)
    else:
        model = settings.pop("models", None)
        Settings().override(settings)
        server = options.server if model is None else of_model(options.server, model)
        options = replace(options, server=server, play=replace(options.play, training=settings))
    simulated = False
    if options.demo is not None and options.studies is None:
        if options.truth is not None:
            raise SettingsError(
                f"Expected --truth beside --studies, got {options.truth} for a demo that simulates its own images. "
                "Leave it out, or name the study."
            )
        model = Settings.from_conf(settings).model
        if model not in _DEMOS:
            raise SettingsError(
                f"Expected a demo of {' or '.join(_DEMOS)}, whose images are simulated, got {model}. Name a study with "
                "--studies."
            )
        in_volumes = model == "volume"
        conf = (*(VOLUME_DEMO if in_volumes else ()), *options.conf)
        options, simulated = replace(options, studies=_simulated(options.demo, in_volumes), conf=conf), True
    truth_folder = options.truth or (options.studies / "truth" if options.studies else None)
    if truth_folder is None:
        raise SettingsError(
            "Expected --studies or --truth to be given, got neither. Name the study, or the folder of true masks."
        )
    truth = Truth.open(truth_folder)
    patients = StudyFiles.open(options.studies).patients() if options.studies else {}
    with _server(options, simulated=simulated) as server:
        _annotate(replace(options, server=server), truth, patients)


def _server(options: AnnotateOptions, *, simulated: bool) -> AbstractContextManager[str]:
    if options.demo is None or options.studies is None:
        output_folder(options.out)
        return nullcontext(options.server)
    if simulated:  # its folder is the demo's already
        study = copy_study(StudyFiles.open(options.studies), options.demo / "study")
    else:
        study = copied_demo(options.demo, options.studies)
    OUT.print(f"Starting a server on a copy of {options.studies} in {options.demo} ...", markup=False)
    state, log = options.demo / "state", options.demo / "server.log"
    return running_server(options.app, study, state, log, setting_pairs(options.conf))


def _simulated(demo: Path, in_volumes: bool) -> Path:
    """Frames or volumes for a demo that nobody gave any."""
    empty_demo(demo)
    simulate = simulate_demo_volumes if in_volumes else simulate_demo_study
    with progress_bar() as bar:
        task = bar.add_task(f"Simulating {'volumes' if in_volumes else 'the frames of a hospital'}", total=None)
        return simulate(demo, lambda done, total: bar.update(task, completed=done, total=total))


def _annotate(options: AnnotateOptions, truth: Truth, patients: Mapping[str, str]) -> None:
    out = options.demo or options.out
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, progress_bar() as bar:
        client = AnnotationClient(options.server, CLIENT_ID, Path(folder))
        model = served_model(client.info())
        noisy = options.noisy and model.is_layer  # the simulated reader draws a layer
        expert = noisy_expert(options.play.seed) if noisy else exact_expert
        show = _Show(bar, options.play.rounds)
        result = play(client, model, options.play, truth, expert, patients, on_round=show.round, progress=show.step)
    how = {
        "server": options.server,
        "truth": str(truth.folder),
        "expert": "noisy" if noisy else "exact",
        "options": asdict(options.play),
        "seconds": round(time.monotonic() - start, 1),
    }
    write_json(out / "annotate.json", play_as_json(result, how))
    _print(result)
    if result.rounds:
        write_picture(out / "annotate.png", result)
    OUT.print(f"Everything is in {out}: annotate.json, annotate.png", markup=False)


class _Show:
    """One progress bar for what is done now; a line for each round that is over.

    Args:
        bar: the progress bar.
        rounds: how many there will be.
    """

    def __init__(self, bar: ProgressBar, rounds: int) -> None:
        self._bar, self._rounds = bar, rounds
        self._what = ""
        self._task = bar.add_task("Starting", total=None)

    def step(self, what: str, done: int, total: int) -> None:
        """Show what is done now; a new thing begins with a new clock."""
        if what != self._what:
            self._bar.remove_task(self._task)
            self._what, self._task = what, self._bar.add_task(what, total=total)
        self._bar.update(self._task, completed=done, total=total)

    def round(self, number: int, played: PlayedRound) -> None:
        """Tell of a round as soon as it is over."""
        dice, stats = played.evaluation.dice, played.stats
        self._bar.console.print(
            f"Round {number} of {self._rounds}: {played.labels} labels, "
            f"test Dice {'-' if dice is None else f'{dice:.3f}'}, {played.seconds:.0f} s",
            markup=False,
        )
        if not stats.get("published"):
            reason = stats.get("published_reason") or "no reason given"
            self._bar.console.print(f"Its model is not in service: {reason}", markup=False)


def _print(result: Play) -> None:
    rows: list[Row] = [start_row(result.labels_before, result.before)]
    names = columns(of_a_layer=result.model.is_layer)
    rows += [round_row(number, played) for number, played in enumerate(result.rounds, 1)]
    OUT.print(table(f"Annotated by a simulated expert, judged on {len(result.test)} test images", names, rows))
