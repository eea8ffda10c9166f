"""Scores and error branch of what a round trains: whether networks and branch gain or lose by each other.

    python benchmarks/quality/rounds.py hearts OUT
    python benchmarks/quality/rounds.py aponeurosis OUT --frames FOLDER

The same call goes on where it was stopped. See README.md beside this file.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import nibabel as nib
import numpy as np
from figures import Records, figures, tables
from looking import CPU, Case, look
from numpy.typing import NDArray
from PIL import Image

from sequal.anatomy.measurement import label_dice
from sequal.anatomy.models import model_of
from sequal.anatomy.phantom.volumes import BODY_LABELS
from sequal.experiments.statistics import t_interval
from sequal.experiments.volume_folder import make_volumes
from sequal.files.imaging import Frame, read_frame
from sequal.learning.training import run_round
from sequal.prediction import LoadedPair, load_pair, predict
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import StudyState

WEIGHTS: Final = Path(__file__).resolve().parents[2] / "apps" / "sequal" / "model" / "pretrained_carotid.pt"
VARIANTS: Final[dict[str, dict[str, object]]] = {
    "detached": {},
    "no branch": {"quality_weight": 0.0},
    "detached, weight 0.1": {"quality_weight": 0.1},
    "with gradient, weight 0.1": {"quality_detach": False, "quality_weight": 0.1},
    "with gradient": {"quality_detach": False},
}


@dataclass(frozen=True)
class Data:
    """What a round learns from and is judged by.

    Attributes:
        settings: of the round.
        images: image by id, and its truth as a label file.
        patients: by id.
        labelled, unlabelled, judging: how many patients give one label each, give images without, and judge.
        start: starting weights.
    """

    settings: Settings
    images: Mapping[str, tuple[Path, Path]]
    patients: Mapping[str, str]
    labelled: int
    unlabelled: int
    judging: int
    start: Path | None = None

    def split(self, seed: int) -> tuple[list[str], list[str], list[str]]:
        """Ids to learn from, without a label, and to judge by; no patient is in two of them."""
        names = sorted(set(self.patients.values()))
        drawn = [names[i] for i in np.random.default_rng([seed, len(names)]).permutation(len(names))]
        ends = np.cumsum([self.labelled, self.unlabelled, self.judging])
        parts = [set(drawn[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
        labelled, unlabelled, judging = ([i for i in sorted(self.images) if self.patients[i] in part] for part in parts)
        first = {self.patients[image]: image for image in reversed(labelled)}
        return sorted(first.values()), unlabelled, judging


def hearts(folder: Path) -> Data:
    """Simulated volumes of two labels, from random weights."""
    if not (folder / "patients.csv").exists():
        make_volumes(folder, count=72, part="heart", shape=(32, 32, 24))
    settings = Settings(
        models="volume",
        labels=",".join(BODY_LABELS["heart"]),
        volume_spacing="5,5,6.5",
        volume_patch="32,32,16",
        epochs=10,
        iterations_per_epoch=40,
        batch_unlabelled=0,
        learning_rate=0.003,
        trigger="never",
        device="cpu",
    )
    images = {path.name.removesuffix(".nii.gz"): path for path in sorted(folder.glob("*.nii.gz"))}
    return Data(
        settings,
        {image: (path, folder / "truth" / path.name) for image, path in images.items()},
        {image: image.split("_")[0] for image in images},
        labelled=12,
        unlabelled=6,
        judging=18,
    )


def aponeurosis(folder: Path, labels: Path) -> Data:
    """Another layer, in frames of muscle without calibration and without subjects, from the shipped weights."""
    labels.mkdir(parents=True, exist_ok=True)
    images = {path.stem: path for path in sorted((folder / "images").glob("*.png"))}
    for image in images:
        if not (labels / f"{image}.nii.gz").exists():
            mask = np.asarray(Image.open(folder / "masks" / f"{image}.png").convert("L")).T[:, :, None] > 0
            nib.save(nib.Nifti1Image(mask.astype(np.uint8), np.eye(4)), labels / f"{image}.nii.gz")
    return Data(
        Settings(epochs=4, iterations_per_epoch=40, trigger="never", device="cpu"),
        {image: (path, labels / f"{image}.nii.gz") for image, path in images.items()},
        {image: image for image in images},
        labelled=20,
        unlabelled=10,
        judging=20,
        start=WEIGHTS,
    )


def play(out: Path, data: Data, variant: str, seed: int) -> LoadedPair:
    """What one round gives; it is run once.

    Args:
        out: where its state is kept.
        data: of the round.
        variant: of the settings.
        seed: of split, networks and batches.
    """
    settings = replace(data.settings, seed=seed, **VARIANTS[variant])  # type: ignore[arg-type]
    folder = out / "states" / f"{variant}-{seed}"
    if not StudyState.open(folder, settings).checkpoint_of(1).exists():
        shutil.rmtree(folder)  # of a round that was stopped
    state = StudyState.open(folder, settings)
    labelled, unlabelled, _ = data.split(seed)
    if not state.checkpoint_of(1).exists():
        run_round(
            [Item(image, *data.images[image], data.patients[image]) for image in labelled],
            [Item(image, data.images[image][0], None, data.patients[image]) for image in unlabelled],
            state,
            settings,
            starting_weights=data.start,
            score=False,
        )
    return load_pair(state.checkpoint_of(1), CPU)


def judged(out: Path, data: Data, variant: str, seed: int) -> list[dict[str, Any]]:
    """What the networks of a round say of the images that judge; written once."""
    done = out / f"{variant}-{seed}.json"
    if not done.exists():
        loaded = play(out, data, variant, seed)
        done.write_text(json.dumps([_record(image, data, loaded) for image in data.split(seed)[2]]))
    records: list[dict[str, Any]] = json.loads(done.read_text())
    return records


def truth_of(path: Path, frame: Frame) -> NDArray[np.uint8]:
    """The label of an image in its array."""
    return np.asanyarray(nib.load(path).dataobj).astype(np.uint8).reshape(frame.pixels.shape)


def _record(image: str, data: Data, loaded: LoadedPair) -> dict[str, Any]:
    frame = read_frame(data.images[image][0])
    case = Case(frame, truth_of(data.images[image][1], frame), data.patients[image])
    if loaded.branched is not None:
        return look(case, [loaded], data.settings)
    model = model_of(data.settings)
    native = predict(loaded.shown, model.prepare(frame), model, CPU)
    shown = model.clean(native, frame, loaded.surroundings)
    return {"patient": case.patient, "dice": label_dice(shown.classes, case.truth)}


def ablation(records: Mapping[str, Sequence[Records]]) -> list[str]:
    """Of each variant the Dice of its networks, and of its branch mean error, rank correlation and map, by seed."""
    dice = {
        name: [float(np.mean([one["dice"] for one in of_seed])) for of_seed in found] for name, found in records.items()
    }
    without = dice.get("no branch", dice.get("detached"))  # the same networks, bit by bit
    lines = ["| branch | Dice | minus no branch | mae | spearman | map |", "| --- | --- | --- | --- | --- | --- |"]
    for name, found in records.items():
        cells = [interval(dice[name]), "–", "–", "–", "–"]
        if name != "no branch":
            if without is not None:
                cells[1] = interval([a - b for a, b in zip(dice[name], without, strict=True)], "+")
            shown = figures({name: found})[name]
            own = shown["scores"]["predicted_dice"]
            cells[2:] = [
                *(interval(own[key]["by_seed"]) for key in ("mae", "spearman")),
                interval(shown["error_map"]["branch"]["by_seed"]),
            ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def interval(values: Sequence[float], sign: str = "") -> str:
    """Mean with Student's interval over seeds."""
    found = t_interval(values)
    if found["low"] is None or found["high"] is None:
        return f"{found['mean']:{sign}.3f}"
    return f"{found['mean']:{sign}.3f} ({found['low']:{sign}.3f} to {found['high']:{sign}.3f})"


def main() -> None:
    """Play what is not there yet, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("hearts", "aponeurosis"))
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--frames", type=Path, help="folder with images/ and masks/ of aponeuroses")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--variants", default=";".join(VARIANTS), help="separated by semicolons")
    options = parser.parse_args()
    if options.data == "aponeurosis" and options.frames is None:
        parser.error("Expected --frames to name the folder of the aponeuroses, got nothing. Add it.")
    options.out.mkdir(parents=True, exist_ok=True)
    data = (
        hearts(options.out / "volumes")
        if options.data == "hearts"
        else aponeurosis(options.frames, options.out / "labels")
    )
    seeds, variants = [int(seed) for seed in options.seeds.split(",")], options.variants.split(";")
    found = {variant: [judged(options.out, data, variant, seed) for seed in seeds] for variant in variants}
    results = figures({options.data: found["detached"]})
    (options.out / "results.json").write_text(json.dumps(results, indent=1))
    print("\n".join([tables(results), "", *ablation(found)]))


if __name__ == "__main__":
    main()
