"""What each part of the second method is worth, on simulated volumes.

    python benchmarks/dual_network/run.py OUT

The same call goes on where it was stopped; several processes may share OUT. See README.md beside this file.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))

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
SETTINGS: Final = {
    "models": "volume",
    "labels": ",".join(BODY_LABELS[PART]),
    "method": "cross",
    "volume_patch": "32,32,16",
    "epochs": "4",
    "iterations_per_epoch": "40",
    "learning_rate": "0.003",
    "quality_weight": "0",
}


def main(arguments: Sequence[str] | None = None, settings: Mapping[str, str] = SETTINGS) -> int:
    """Begin or go on, and print the table of what is finished; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the experiment")
    parser.add_argument("--labels", default="6", help="labelled volumes, one or several counts")
    parser.add_argument("--seeds", default="0,1,2", help="of labels, split, networks and batches")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args(arguments)
    try:
        study = options.out / "volumes"
        if not (study / "patients.csv").exists():
            make_volumes(study, **VOLUMES)
        given = {
            "images": str(study),
            "masks": str(study / "truth"),
            "splits": "seed",
            "test_fraction": 0.25,
            "labels": options.labels,
            "seeds": options.seeds,
            "strategies": "random",
            "refinement": "off",
            "scores": "needed",
            "thumbnails": False,
            "settings": settings,
            "variants": {name: own for name, own in LADDER.items() if name != DEFAULT},
        }
        simulate_command(options.out, given, options.device)
    except SequalError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(table(options.out)))
    return 0


def table(out: Path) -> list[str]:
    """Lines of Markdown: the figures after the last round, and differences that are paired by seed."""
    plan = Plan.load(out / "experiment.json")
    found = {variant.settings: variant for variant in variants_of(plan, read_cells(out, plan))}
    lines = [
        "| method | seeds | Dice | minus labels alone | minus the row above | HD95 mm | ASD mm | volume error ml |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    above: Variant | None = None
    for name in (name for name in LADDER if name in found):
        variant = found[name]
        differences = [_difference(variant, other) for other in (found.get("supervised"), above)]
        cells = [SAID[name], str(len(variant.by_seed)), _shown(variant.final("test", "mean", "dice")), *differences]
        lengths = [_shown(variant.final("test", "mean", key), 1) for key in ("hd95", "asd", "volume_error")]
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
