"""What each part of the second method is worth, on simulated volumes and on frames.

    python benchmarks/dual_network/run.py OUT
    python benchmarks/dual_network/run.py OUT --data real --frames CAROTID [--weights none]

The same call goes on where it was stopped; several processes may share OUT. See README.md beside this file.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))

from adaptation.run import DATA

from sequal.anatomy.phantom.volumes import BODY_LABELS
from sequal.commands.simulate import simulate_command
from sequal.errors import SequalError
from sequal.experiments import DEFAULT, Plan
from sequal.experiments.results import read_cells
from sequal.experiments.statistics import t_interval
from sequal.experiments.variants import Variant, variants_of
from sequal.experiments.volume_folder import make_volumes

PART: Final = "heart"
VOLUMES: Final = {"count": 48, "part": PART, "shape": (32, 32, 24)}
#: The whole method (`cross`) is the experiment's default; each variant before it leaves out what comes later.
OFF: Final = {"disagreement_weight": "0", "cross_weight": "0", "contrast_weight": "0"}
LADDER: Final[dict[str, dict[str, str]]] = {
    "supervised": OFF,
    "pseudo": {**OFF, "cross_weight": "0.1", "entropy_quantile": "1", "kl_weight": "false"},
    "filter": {**OFF, "cross_weight": "0.1", "kl_weight": "false"},
    "weights": {**OFF, "cross_weight": "0.1"},
    "contrast": {"disagreement_weight": "0"},
    DEFAULT: {},
    "sequal": {"method": "sequal"},
}
SAID: Final = {
    "supervised": "two networks, labels alone",
    "pseudo": "+ cross pseudo supervision",
    "filter": "+ entropy filter",
    "weights": "+ KL weights",
    "contrast": "+ contrast with class prototypes",
    DEFAULT: "+ confident disagreement: `cross` as it is",
    "sequal": "`sequal`, one architecture",
}
VOLUME_SETTINGS: Final = {
    "models": "volume",
    "labels": ",".join(BODY_LABELS[PART]),
    "method": "cross",
    "volume_patch": "32,32,16",
    "epochs": "4",
    "iterations_per_epoch": "40",
    "learning_rate": "0.003",
    "quality_weight": "0",
}


#: With starting weights the defaults, without them more steps at a higher rate.
FRAME_SETTINGS: Final = {"method": "cross", "quality_weight": "0"}
FROM_NOTHING: Final = {"epochs": "4", "iterations_per_epoch": "40", "learning_rate": "0.003"}
WEIGHTS: Final = {
    method: str(Path(__file__).resolve().parents[2] / "apps" / "sequal" / "model" / f"pretrained_carotid{ending}.pt")
    for method, ending in (("cross", "_cross"), ("sequal", ""))
}
HEARTS: Final = "hearts"


def main(arguments: Sequence[str] | None = None, settings: Mapping[str, str] | None = None) -> int:
    """Begin or go on, and print the table of what is finished; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the experiment")
    parser.add_argument(
        "--data", choices=(HEARTS, *sorted(DATA)), default=HEARTS, help="frames: as benchmarks/adaptation"
    )
    parser.add_argument("--frames", type=Path, help="folder of the frames")
    parser.add_argument("--weights", choices=("shipped", "none"), default="shipped", help="that frames start from")
    parser.add_argument("--labels", help="labelled images, one or several counts (6 volumes, or 0,5 frames)")
    parser.add_argument("--seeds", default="0,1,2", help="of labels, split, networks and batches")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args(arguments)
    try:
        of_frames = options.data != HEARTS
        given = {
            **(_frames(options) if of_frames else _hearts(options)),
            "seeds": options.seeds,
            "strategies": "random",
            "refinement": "off",
            "scores": "needed",
            "thumbnails": False,
        }
        given["settings"] = settings or given["settings"]
        ladder = dict(LADDER)
        if of_frames and options.weights == "shipped":  # each method has its own
            own = {**given, "settings": {**given["settings"], **ladder.pop("sequal")}}
            simulate_command(options.out / "sequal", {**own, "starting_weights": WEIGHTS["sequal"]}, options.device)
            given["starting_weights"] = WEIGHTS["cross"]
        given["variants"] = {name: own for name, own in ladder.items() if name != DEFAULT}
        simulate_command(options.out, given, options.device)
    except SequalError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(table(options.out)))
    return 0


def _hearts(options: argparse.Namespace) -> dict[str, object]:
    study = options.out / "volumes"
    if not (study / "patients.csv").exists():
        make_volumes(study, **VOLUMES)
    return {
        "images": str(study),
        "masks": str(study / "truth"),
        "splits": "seed",
        "test_fraction": 0.25,
        "labels": options.labels or "6",
        "settings": VOLUME_SETTINGS,
    }


def _frames(options: argparse.Namespace) -> dict[str, object]:
    if options.frames is None:
        raise SystemExit("Expected --frames to name the folder of the data set, got nothing. Add it.")
    return {
        **DATA[options.data]["options"](options.frames),
        "labels": options.labels or ("0,5" if options.weights == "shipped" else "5"),
        "settings": FRAME_SETTINGS if options.weights == "shipped" else {**FRAME_SETTINGS, **FROM_NOTHING},
    }


def table(out: Path) -> list[str]:
    """Lines of Markdown: the figures after the last round, and differences that are paired by seed."""
    plan = Plan.load(out / "experiment.json")
    found = {variant.settings: variant for variant in variants_of(plan, read_cells(out, plan))}
    if (apart := out / "sequal").exists():
        plan_apart = Plan.load(apart / "experiment.json")
        found["sequal"] = variants_of(plan_apart, read_cells(apart, plan_apart))[0]
    volumes = plan.settings.get("models") == "volume"
    size = "volume error ml" if volumes else "thickness error"
    lines = [
        f"| method | seeds | Dice | minus labels alone | minus the row above | HD95 | ASD | {size} |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    above: Variant | None = None
    for name in (name for name in LADDER if name in found):
        variant = found[name]
        differences = [_difference(variant, other) for other in (found.get("supervised"), above)]
        cells = [SAID[name], str(len(variant.by_seed)), _shown(variant.final("test", "mean", "dice")), *differences]
        keys, digits = ("hd95", "asd", "volume_error" if volumes else "imt_error"), 1 if volumes else 3
        lengths = [_shown(variant.final("test", "mean", key), digits) for key in keys]
        lines.append(f"| {' | '.join([*cells, *lengths])} |")
        above = variant
    return lines


def _difference(variant: Variant, other: Variant | None) -> str:
    if other is None or other is variant:
        return "–"
    seeds = sorted(variant.by_seed.keys() & other.by_seed.keys())
    pairs = [(variant.dice(seed)[-1], other.dice(seed)[-1]) for seed in seeds]
    return _shown([ours - theirs for ours, theirs in pairs], sign="+")


def _shown(values: Sequence[float], digits: int = 3, sign: str = "") -> str:
    """Mean with its interval over seeds."""
    if not values:
        return "–"
    form, value = f"{sign}.{digits}f", t_interval(values)
    if value["low"] is None or value["high"] is None:
        return format(value["mean"], form)
    return f"{value['mean']:{form}} ({value['low']:{form}} to {value['high']:{form}})"


if __name__ == "__main__":
    sys.exit(main())
