import importlib.util
import json
from pathlib import Path

import pytest

from sequal.experiments import Plan
from unit.commands.studies import random_checkpoint
from unit.experiments.miniature import SETTINGS

RUN = Path(__file__).parents[3] / "benchmarks" / "adaptation" / "run.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("adaptation_run", RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def settings():
    return [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]


def cells(out):
    return sorted(path.name for path in (out / "cells").iterdir())


def test_one_call_plays_and_later_ones_add_seeds_strategies_and_variants(benchmark, carotid, tmp_path):
    out, weights = tmp_path / "out", random_checkpoint(tmp_path / "weights.pt")
    call = ["real", str(out), "--frames", str(carotid), "--weights", str(weights), "--labels", "0,1,2,all"]
    assert benchmark.main([*call, *settings(), "--strategies", "random", "--seeds", "0", "--device", "cpu"]) == 0
    assert cells(out) == ["random-on-s0"]
    (judged,) = (json.loads(path.read_text()) for path in (out / "cells").rglob("round-00.json"))
    assert {len(image["id"]) for image in judged["test"]["images"]} == {2}
    assert len(judged["test"]["images"]) == 4, "two of the four sessions"
    assert judged["test"]["mean"]["unit"] == "mm"
    more = [*call, "--strategies", "random,pld", "--seeds", "0-1", "--variant", "slow", "--set", "learning_rate=1e-6"]
    assert benchmark.main([*more, "--device", "cpu"]) == 0
    added = [f"{name}-on-s{seed}-slow" for name in ("pld", "random") for seed in (0, 1)]
    assert cells(out) == sorted(["random-on-s0", *added]), "nothing that was not asked for"
    plan = Plan.load(out / "experiment.json")
    assert plan.variants == {"slow": {"learning_rate": "1e-6"}}
    assert (plan.gate, plan.noise, plan.traced, plan.splits) == ("on", "none", (1.0, 1.0), "seed")
    (record,) = (json.loads(path.read_text()) for path in (out / "cells" / "pld-on-s1-slow").glob("round-01.json"))
    assert record["labels"]["expert"] == 1.0


def test_the_hospital_is_made_where_it_is_missing(benchmark, tmp_path, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(benchmark, "make_hospital", lambda folder, **options: made.append((folder, options)))
    call = ["hospital", str(tmp_path / "out"), "--hospital-seed", "3", "--hospital-frames", "12", "4"]
    with pytest.raises(SystemExit, match="--frames"):
        benchmark.main(call)
    assert benchmark.main([*call, "--frames", str(tmp_path / "frames")]) == 2
    assert "pool/images` to hold images" in capsys.readouterr().err
    ((folder, options),) = made
    assert folder == tmp_path / "frames"
    assert (options["seed"], options["pool"], options["test"]) == (3, 12, 4)
