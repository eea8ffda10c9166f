"""How well a predicted Dice and other scores tell good masks from bad ones, and what the error branch costs.

    python benchmarks/quality/run.py OUT --carotid FOLDER     frames, scores and figures
    python benchmarks/quality/run.py OUT --cost               time beside an inference and a step

See README.md beside this file.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import nibabel as nib
import numpy as np
from cost import measure_cost
from figures import figures, tables
from looking import CPU, Case, look

from sequal.anatomy.phantom import HOSPITAL, draw_hospital_frames, simulate_frame, simulate_hospital_frame
from sequal.files.imaging import read_frame
from sequal.learning.training.phantom_evaluation import as_frame
from sequal.prediction import load_pair
from sequal.settings import Settings

MODEL = Path(__file__).resolve().parents[2] / "apps" / "sequal" / "model"
#: Of the phantoms that are drawn as in training; no training has it.
DRAWN_SEED = 5_000_011
HOSPITAL_SEED = 0


def main() -> None:
    """Measure, and write OUT/results.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--weights", type=Path, action="append", help="of one network, each with a branch of its own")
    parser.add_argument("--carotid", type=Path, help="folder with study/ and truth/ of real frames")
    parser.add_argument("--frames", type=int, default=100, help="phantoms of each kind")
    parser.add_argument("--cost", action="store_true", help="measure time instead")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.cost:
        found: dict[str, Any] = measure_cost()
        (options.out / "cost.json").write_text(json.dumps(found, indent=1))
        print(json.dumps(found, indent=1))
        return
    every = [load_pair(path, CPU) for path in options.weights or [MODEL / "pretrained_carotid.pt"]]
    sets: dict[str, Callable[[], Iterator[Case]]] = {
        "phantoms as in training": lambda: _drawn(options.frames),
        "unseen hospital": lambda: _hospital(options.frames),
    }
    if options.carotid:
        sets["real frames"] = lambda: _real(options.carotid)
    records = {name: [look(case, every, Settings()) for case in cases()] for name, cases in sets.items()}
    (options.out / "frames.json").write_text(json.dumps(records))
    results = figures({name: [found] for name, found in records.items()})
    (options.out / "results.json").write_text(json.dumps(results, indent=1))
    print(tables(results))


def _drawn(count: int) -> Iterator[Case]:
    for index in range(count):
        phantom = simulate_frame(np.random.default_rng([DRAWN_SEED, index]))
        yield Case(as_frame(phantom), phantom.mask[:, :, None], str(index))


def _hospital(count: int) -> Iterator[Case]:
    for which in draw_hospital_frames(HOSPITAL, HOSPITAL_SEED, 0, count):
        phantom = simulate_hospital_frame(HOSPITAL, HOSPITAL_SEED, which)
        yield Case(as_frame(phantom), phantom.mask[:, :, None], str(which.patient))


def _real(folder: Path) -> Iterator[Case]:
    lines = (folder / "study" / "patients.csv").read_text().split()[1:]
    patients = dict(line.split(",") for line in lines)
    for path in sorted((folder / "study").glob("*.nii.gz")):
        truth = np.asanyarray(nib.load(folder / "truth" / path.name).dataobj).astype(np.uint8)
        frame = read_frame(path)
        yield Case(frame, truth.reshape(frame.pixels.shape), patients[path.name.removesuffix(".nii.gz")])


if __name__ == "__main__":
    main()
