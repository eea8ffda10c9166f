import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sequal.experiments.volume_folder import make_volumes
from sequal.settings import Settings

FOLDER = Path(__file__).parents[3] / "benchmarks" / "quality"


@pytest.fixture(scope="module")
def benchmark():
    """Its modules, which import each other by their plain names."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    import figures
    import rounds

    yield figures, rounds
    sys.path.remove(str(FOLDER))
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(FOLDER)):
            del sys.modules[name]


def records(seed, noise, branches=1):
    """Twenty images of ten patients, whose predicted Dice is off by `noise`."""
    rng = np.random.default_rng(seed)
    dice = rng.uniform(0.3, 1, 20)
    return [
        {
            "patient": str(i // 2),
            "dice": float(dice[i]),
            "scores": {"confidence": float(1 - dice[i])}
            | {f"predicted_dice {b}": float(dice[i] + (b + 1) * noise) for b in range(branches)},
            "maps": {"branch 0": [0.5, 0.6, 0.3, 0.1, 0.2] if i else [None] * 5},
        }
        for i in range(20)
    ]


def test_figures_are_means_over_seeds_with_intervals_that_hold_their_spread(benchmark):
    figures, _ = benchmark
    several = figures.figures({"x": [records(0, 0.1), records(1, 0.2), records(2, 0.3)]})["x"]
    own = several["scores"]["predicted_dice"]
    assert own["mae"]["by_seed"] == pytest.approx([0.1, 0.2, 0.3])
    assert own["mae"]["value"] == pytest.approx(0.2)
    assert own["mae"]["low"] == pytest.approx(0.1, abs=0.05)
    assert own["mae"]["high"] == pytest.approx(0.3, abs=0.05)
    assert own["spearman"]["value"] == pytest.approx(1.0)
    assert own["e_aurc"]["value"] == pytest.approx(0.0, abs=1e-9)
    assert several["frames"] == 60
    assert several["error_map"]["branch"] == {"threshold": 0.4, "dice": pytest.approx(0.6), "by_seed": [0.6] * 3}
    assert "| `predicted_dice` | " in figures.tables({"x": several})


def test_branches_over_one_network_are_seeds_too(benchmark):
    figures, _ = benchmark
    found = figures.figures({"x": [records(0, 0.1, branches=3)]})["x"]["scores"]
    assert found["predicted_dice"]["mae"]["by_seed"] == pytest.approx([0.1, 0.2, 0.3])
    low, high = (found["predicted_dice"]["mae"][key] for key in ("low", "high"))
    assert 0.1 <= low < 0.15 < 0.25 < high <= 0.3 + 1e-9
    assert len(found["confidence"]["aurc"]["by_seed"]) == 1


def test_a_round_is_run_once_and_its_networks_are_judged_on_other_patients(benchmark, tmp_path, monkeypatch):
    _, rounds = benchmark
    make_volumes(tmp_path / "volumes", count=8, shape=(16, 16, 12))
    images = {path.name[:-7]: path for path in sorted((tmp_path / "volumes").glob("*.nii.gz"))}
    data = rounds.Data(
        Settings(
            models="volume",
            labels="left atrium,aorta",
            volume_spacing="12,12,12",
            volume_patch="32,16,16",
            epochs=1,
            iterations_per_epoch=1,
            batch_labelled=1,
            batch_unlabelled=0,
            trigger="never",
            device="cpu",
        ),
        {image: (path, path.parent / "truth" / path.name) for image, path in images.items()},
        {image: image.split("_")[0] for image in images},
        labelled=2,
        unlabelled=1,
        judging=1,
    )
    parts = data.split(0)
    assert [len(part) for part in parts] == [2, 2, 2]
    patients = [{data.patients[image] for image in part} for part in parts]
    assert len(set.union(*patients)) == sum(map(len, patients)) == 4
    found = {name: rounds.judged(tmp_path, data, name, 0) for name in ("detached", "no branch")}
    assert [one["dice"] for one in found["detached"]] == [one["dice"] for one in found["no branch"]]
    assert {"predicted_dice 0", "confidence", "dropout_dice", "pair_dice"} <= found["detached"][0]["scores"].keys()
    monkeypatch.setattr(rounds, "run_round", None)
    assert json.dumps(rounds.judged(tmp_path, data, "detached", 0)) == json.dumps(found["detached"])
    (tmp_path / "detached-0.json").unlink()
    assert [one["dice"] for one in rounds.judged(tmp_path, data, "detached", 0)] == [
        one["dice"] for one in found["detached"]
    ]
    rows = rounds.ablation({name: [one, one] for name, one in found.items()})
    assert rows[2].split(" | ")[2] == "+0.000 (+0.000 to +0.000)"
