"""From the starting weights to a hospital's own frames: what 0 to 40 labels change, on three data sets.

    python benchmarks/adaptation/run.py real OUT --frames CAROTID
    python benchmarks/adaptation/run.py hospital OUT --frames HOSPITAL
    python benchmarks/adaptation/run.py aponeurosis OUT --frames APONEUROSIS

The same call goes on where it was stopped; several processes may share OUT. See README.md beside this file.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))

from sequal.commands.console import progress_bar
from sequal.commands.simulate import given_options, simulate_command
from sequal.errors import SequalError
from sequal.experiments import DEFAULT, Cell, Plan
from sequal.experiments.hospital_folder import make_hospital

WEIGHTS = Path(__file__).resolve().parents[2] / "apps" / "sequal" / "model" / "pretrained_carotid.pt"


def main(arguments: list[str] | None = None) -> int:
    """Begin or go on; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        given = _given(options)
        strategies, seeds = options.strategies.split(","), _seeds(options.seeds)

        def wanted(cell: Cell) -> bool:
            return cell.strategy in strategies and cell.seed in seeds and cell.variant == (options.variant or DEFAULT)

        simulate_command(options.out, given, options.device, wanted)
    except SequalError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=sorted(DATA))
    parser.add_argument("out", type=Path, help="folder of the experiment")
    parser.add_argument("--frames", type=Path, help="folder of the data set; made where it is simulated")
    parser.add_argument("--strategies", default="random,pld", help="separated by commas")
    parser.add_argument("--seeds", default="", help="such as 0-9 or 0,2,5")
    parser.add_argument("--labels", default="", help="labels at each round")
    parser.add_argument("--variant", help="name of a variant of the settings, which --set then describes")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; may be repeated")
    parser.add_argument("--gate", choices=("on", "off"), default="on", help="on: as the server does")
    parser.add_argument("--hospital-seed", type=int, default=0, help="of the hospital's patients")
    parser.add_argument("--hospital-frames", type=int, nargs=2, default=(300, 100), metavar=("POOL", "TEST"))
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate the hospital's frames")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="starting weights")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    return parser


def _given(options: argparse.Namespace) -> dict[str, object]:
    """Options of `simulate`: all of them for a new experiment, only what may be added for one that has begun."""
    added = given_options({}, options.set, options.variant)
    seeds, strategies = _seeds(options.seeds or DATA[options.data]["seeds"]), options.strategies.split(",")
    options.seeds = ",".join(map(str, seeds))
    record = options.out / "experiment.json"
    if record.exists():
        plan = Plan.load(record)
        added["seeds"] = tuple(dict.fromkeys((*plan.seeds, *seeds)))
        added["strategies"] = tuple(dict.fromkeys((*plan.strategies, *strategies)))
        return added
    made = DATA[options.data]
    if options.frames is None:
        raise SystemExit("Expected --frames to name the folder of the data set, got nothing. Add it.")
    if options.data == "hospital":
        with progress_bar() as bar:
            task = bar.add_task("Simulating the hospital", total=None)
            make_hospital(
                options.frames,
                seed=options.hospital_seed,
                pool=options.hospital_frames[0],
                test=options.hospital_frames[1],
                workers=options.workers,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    return {
        **made["options"](options.frames),
        "labels": options.labels or made["labels"],
        "seeds": seeds,
        "strategies": strategies,
        "gate": options.gate,
        "starting_weights": str(options.weights),
        "thumbnails": False,
        "scores": "needed",
        **added,
    }


def _seeds(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _real(frames: Path) -> dict[str, object]:
    """An expert's own labels, given as he drew them; each seed is another split by session."""
    return {
        "images": str(frames / "study"),
        "masks": str(frames / "truth"),
        "splits": "seed",
        "test_fraction": 0.4,
        "noise": "none",
        "traced": (1, 1),
    }


def _hospital(frames: Path) -> dict[str, object]:
    """One pool and one test set for all seeds; a careful reader traces a part, by the hospital's convention."""
    return {
        "images": str(frames / "pool" / "images"),
        "masks": str(frames / "pool" / "truth"),
        "test_images": str(frames / "test" / "images"),
        "test_masks": str(frames / "test" / "truth"),
        "noise": "careful",
        "traced": (0.6, 1),
    }


def _aponeurosis(frames: Path) -> dict[str, object]:
    """Frames without subjects: each seed is another random split of the frames; a careful reader traces a part."""
    return {
        "images": str(frames / "images"),
        "masks": str(frames / "masks"),
        "splits": "seed",
        "test_fraction": 0.25,
        "noise": "careful",
        "traced": (0.6, 1),
    }


DATA: dict[str, dict[str, Any]] = {
    "real": {"options": _real, "labels": "0,2,5,10,all", "seeds": "0-9"},
    "hospital": {"options": _hospital, "labels": "0,5,10,20,30,40", "seeds": "0-4"},
    "aponeurosis": {"options": _aponeurosis, "labels": "0,5,10,20,40", "seeds": "0-4"},
}

if __name__ == "__main__":
    sys.exit(main())
