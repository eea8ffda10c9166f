import importlib.util
import json
from pathlib import Path

import pytest

from sequal.experiments import DEFAULT, Plan

RUN = Path(__file__).parents[3] / "benchmarks" / "dual_network" / "run.py"
QUICK = {"epochs": "1", "iterations_per_epoch": "1", "batch_labelled": "1", "batch_unlabelled": "1"}


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("dual_network_run", RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_row_of_the_ladder_adds_one_part(benchmark):
    settings = {"settings": benchmark.VOLUME_SETTINGS, "refinement": "off"}
    variants = {name: own for name, own in benchmark.LADDER.items() if name != DEFAULT}
    plan = Plan.of({"images": "x", "labels": "1", "strategies": "random", "variants": variants, **settings})
    by_name = {cell.variant: plan.settings_of(cell) for cell in plan.cells()}
    keys = ("cross_weight", "entropy_quantile", "kl_weight", "contrast_weight", "disagreement_weight")
    used = {name: [getattr(by_name[name], key) for key in keys] for name in benchmark.LADDER}
    whole = used[DEFAULT]
    assert used["supervised"][0] == used["supervised"][3] == used["supervised"][4] == 0
    assert used["pseudo"] == [whole[0], 1.0, False, 0, 0]
    assert used["filter"] == [whole[0], whole[1], False, 0, 0]
    assert used["weights"] == [*whole[:3], 0, 0]
    assert used["contrast"] == [*whole[:4], 0]
    assert [by_name[name].method for name in benchmark.LADDER] == ["cross"] * 6 + ["sequal"]


def test_one_call_simulates_plays_and_prints_the_table_and_a_second_goes_on(benchmark, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "VOLUMES", {**benchmark.VOLUMES, "count": 8, "shape": (16, 16, 12)})
    ladder = {name: benchmark.LADDER[name] for name in ("supervised", DEFAULT, "sequal")}
    monkeypatch.setattr(benchmark, "LADDER", ladder)
    settings = {**benchmark.VOLUME_SETTINGS, **QUICK, "second_network": "basic_unet", "volume_spacing": "12,12,12"}
    call = [str(tmp_path / "out"), "--labels", "1", "--device", "cpu"]
    assert benchmark.main([*call, "--seeds", "0"], settings) == 0
    assert benchmark.main([*call, "--seeds", "0,1"], settings) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row[1] for row in rows[-3:]] == ["2", "2", "2"], "seeds"
    dice = {}
    for path in (tmp_path / "out" / "cells").rglob("round-01.json"):
        record = json.loads(path.read_text())
        dice[record["variant"], record["seed"]] = record["test"]["mean"]["dice"]
    assert len(dice) == 6
    mean = (dice["sequal", 0] + dice["sequal", 1]) / 2
    assert rows[-1][2].startswith(f"{mean:.3f} (")
    assert rows[-3][3] == "–"
    assert rows[-1][3].startswith(f"{mean - (dice['supervised', 0] + dice['supervised', 1]) / 2:+.3f}")


def test_frames_too_each_method_with_its_own_starting_weights(benchmark, carotid, tmp_path, monkeypatch, capsys):
    ladder = {name: benchmark.LADDER[name] for name in ("supervised", DEFAULT, "sequal")}
    monkeypatch.setattr(benchmark, "LADDER", ladder)
    out, settings = tmp_path / "out", {**benchmark.FRAME_SETTINGS, **QUICK, "patch": "64"}
    call = [str(out), "--data", "real", "--frames", str(carotid), "--labels", "1", "--device", "cpu"]
    assert benchmark.main([*call, "--seeds", "0"], settings) == 0
    assert benchmark.main([*call, "--seeds", "0,1"], settings) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row[1] for row in rows[-3:]] == ["2", "2", "2"], "seeds"
    assert rows[-1][0] == "| `sequal`, one architecture"
    for method, folder in (("cross", out), ("sequal", out / "sequal")):
        assert (folder / "starting_weights.pt").read_bytes() == Path(benchmark.WEIGHTS[method]).read_bytes()


def test_frames_without_starting_weights_are_one_experiment_with_more_steps(benchmark, tmp_path, monkeypatch):
    played = []
    monkeypatch.setattr(benchmark, "simulate_command", lambda out, given, device: played.append(given))
    monkeypatch.setattr(benchmark, "table", lambda out: [])
    assert benchmark.main([str(tmp_path), "--data", "real", "--frames", str(tmp_path), "--weights", "none"]) == 0
    (given,) = played
    assert "starting_weights" not in given
    assert set(given["variants"]) == set(benchmark.LADDER) - {DEFAULT}
    assert given["settings"]["learning_rate"] == "0.003"


def test_frames_need_a_folder(benchmark, tmp_path):
    with pytest.raises(SystemExit, match="Expected --frames"):
        benchmark.main([str(tmp_path / "out"), "--data", "real"])
