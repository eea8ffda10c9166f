"""`pretrain`: starting weights from simulated frames alone, with a card that says what they are."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from rich.progress import Progress, TaskID

from sequal.anatomy.phantom import SCANNERS, PhantomFrame, simulate_frame
from sequal.commands.console import OUT, progress_bar, table
from sequal.commands.place import output_folder
from sequal.commands.pretrain_branch import branch_command
from sequal.commands.pretrain_card import METRICS, write_card, write_pair_card
from sequal.errors import SettingsError
from sequal.learning.methods.cross import CrossPair
from sequal.learning.training.phantom_evaluation import PhantomMetrics, evaluate_on_phantoms
from sequal.learning.training.pretrain import frames_used, phantom_batches, pretrain
from sequal.prediction import LoadedPair, checkpoint_payload, choose_device, load_pair
from sequal.settings import Settings
from sequal.study.state import save_checkpoint

__all__ = ["TEST_SEED", "PretrainOptions", "pretrain_command"]

#: Seed of the frames that judge every starting weights alike; no training set may have it.
TEST_SEED: Final = 1_000_003
_DRAWN: Final = "drawn at random, as in training"


@dataclass(frozen=True)
class PretrainOptions:
    """How starting weights are made.

    Attributes:
        out: checkpoint to write; the card goes beside it, with the suffix `.md`.
        steps: optimiser steps.
        batch: patches a step.
        seed: of the simulated frames, the network and the batches.
        workers: processes that simulate while this one trains; 0: this one does both.
        device: where to train, as the setting `device`.
        cpu_bfloat16: compute in bfloat16 on a CPU.
        network: architecture.
        learning_rate: at the start; it falls to zero.
        start: checkpoint to go on from; None: random weights.
        average_with: checkpoints that the result is averaged with.
        join: two checkpoints whose networks become a pair for `method=cross`; then nothing is trained.
        branch_of: checkpoint that gets an error branch; then nothing but the branch is trained.
        test_frames: held-out frames with drawn scanners; a quarter as many for each fixed scanner.
    """

    out: Path
    steps: int = 3000
    batch: int = 4
    seed: int = 0
    workers: int = 1
    device: str = "auto"
    cpu_bfloat16: bool = False
    network: str = Settings.network
    learning_rate: float = 0.002
    start: Path | None = None
    average_with: tuple[Path, ...] = ()
    join: tuple[Path, ...] = ()
    branch_of: Path | None = None
    test_frames: int = 40

    def settings(self) -> Settings:
        """The settings of the training.

        Consistency is off and the teacher slow: with every pixel annotated there is nothing for the teacher to
        teach, and its average is what the study starts from.

        Raises:
            SettingsError: an option breaks its rule.
        """
        return Settings.from_conf(
            {
                "network": self.network,
                "device": self.device,
                "seed": self.seed,
                "epochs": 1,
                "iterations_per_epoch": self.steps,
                "batch_labelled": self.batch,
                "learning_rate": self.learning_rate,
                "ema_alpha": 0.995,
                "consistency_weight": 0.0,
                "weight_decay": 0.01,
                "supervision": "full",
                "quality_weight": 0.0,
            }
        )


def pretrain_command(options: PretrainOptions) -> None:
    """Simulate, train, judge on held-out frames, write the card; with progress bars.

    Raises:
        SettingsError: an option breaks its rule.
        StudyError: the folder cannot be written.
        PublishError: the checkpoint cannot be written.
    """
    settings = _checked(options)
    device = choose_device(settings.device)
    if options.join:
        _join(options, settings, device)
        return
    if options.branch_of is not None:
        branch_command(
            options.branch_of, options.out, settings, device, judged=options.test_frames, test_seed=TEST_SEED
        )
        return
    start = None if options.start is None else _weights(options.start, "--start", settings, device)
    average_with = [_weights(path, "--average-with", settings, device) for path in options.average_with]
    began = time.monotonic()
    _train(options, settings, device, start, average_with)
    trained = time.monotonic()
    metrics = _judge(options, settings, device)
    seconds = {"simulate and train": trained - began, "judge": time.monotonic() - trained}
    card = write_card(
        options.out,
        settings,
        metrics,
        frames=frames_used(options.steps, options.batch),
        start=None if start is None else start.digest,
        averaged_with=[weights.digest for weights in average_with],
        test_seed=TEST_SEED,
        seconds=seconds,
    )
    rows = [(name, *(getattr(found, metric) for metric in METRICS)) for name, found in metrics.items()]
    OUT.print(table("Held-out simulated frames, by scanner", ("scanner", *METRICS), rows))
    OUT.print(f"{options.out} and {card} are written.", markup=False)


def _join(options: PretrainOptions, settings: Settings, device: torch.device) -> None:
    """Make a pair for `method=cross` of what two checkpoints show."""
    if len(options.join) != 2:
        raise SettingsError(f"Expected `--join` twice, got it {len(options.join)} times. Name two checkpoints.")
    loaded = [load_pair(path, torch.device("cpu")) for path in options.join]
    first, second = (one.pair for one in loaded)
    names = [one.member_names[0] for one in (first, second)]
    pair = CrossPair.create(
        {"first": first.architectures[names[0]], "second": second.architectures[names[1]]}, settings.ema_alpha
    )
    networks = {"first": first.members[names[0]], "second": second.members[names[1]]}
    pair.load_weights({name: network.state_dict() for name, network in networks.items()}, 0)
    meta = {"round": 0, "iterations": 0, "settings": settings.record(), "joined": [one.digest for one in loaded]}
    save_checkpoint(options.out, checkpoint_payload(pair, meta))
    metrics = _judge(options, settings, device)
    sources = [(path.name, one.digest) for path, one in zip(options.join, loaded, strict=True)]
    card = write_pair_card(options.out, sources, metrics, test_seed=TEST_SEED)
    OUT.print(f"{options.out} and {card} are written.", markup=False)


def _checked(options: PretrainOptions) -> Settings:
    settings = options.settings()
    if options.seed == TEST_SEED:
        raise SettingsError(
            f"Expected `--seed` to be other than that of the test frames, got {TEST_SEED}. Take another."
        )
    if options.out.suffix != ".pt":
        raise SettingsError(f"Expected `--out` to end in .pt, got {options.out.name!r}. The card gets the suffix .md.")
    output_folder(options.out.parent)
    return settings


def _weights(path: Path, option: str, settings: Settings, device: torch.device) -> LoadedPair:
    """The pair that an option names."""
    loaded = load_pair(path, device, settings.ema_alpha)
    network = loaded.pair.architectures[loaded.pair.member_names[0]].name
    if network != settings.network:
        raise SettingsError(
            f"Expected `{option}` to be of network {settings.network!r}, got {network!r}. Name that one with --network."
        )
    return loaded


def _train(
    options: PretrainOptions,
    settings: Settings,
    device: torch.device,
    start: LoadedPair | None,
    average_with: Sequence[LoadedPair],
) -> None:
    with progress_bar() as bar:
        task = bar.add_task("Training", total=options.steps)
        pretrain(
            phantom_batches(options.batch, options.seed, settings, options.workers),
            options.out,
            settings,
            meta={"phantoms": frames_used(options.steps, options.batch), "phantom_seed": options.seed},
            device=device,
            start=start,
            average_with=average_with,
            cpu_bfloat16=options.cpu_bfloat16,
            progress=lambda step, loss: bar.update(task, completed=step, description=f"Training, loss {loss:.3f}"),
        )


def _judge(options: PretrainOptions, settings: Settings, device: torch.device) -> dict[str, PhantomMetrics]:
    """Figures by scanner: frames with drawn scanners, and those of the fixed scanners, which training never draws."""
    counts = {_DRAWN: options.test_frames, **dict.fromkeys(SCANNERS, max(1, options.test_frames // 4))}
    loaded = load_pair(options.out, device)
    metrics = {}
    with progress_bar() as bar:
        task = bar.add_task("Judging", total=sum(counts.values()))
        for place, (name, count) in enumerate(counts.items()):
            phantoms = _advancing((_test_phantom(place, name, i) for i in range(count)), bar, task)
            metrics[name] = evaluate_on_phantoms(phantoms, loaded, settings, device)
    return metrics


def _test_phantom(place: int, scanner: str, index: int) -> PhantomFrame:
    rng = np.random.default_rng([TEST_SEED, place, index])
    return simulate_frame(rng, scanner=SCANNERS.get(scanner))


def _advancing(phantoms: Iterable[PhantomFrame], bar: Progress, task: TaskID) -> Iterator[PhantomFrame]:
    for phantom in phantoms:
        yield phantom
        bar.update(task, advance=1)
