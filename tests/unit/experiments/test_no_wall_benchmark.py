"""The parts of `benchmarks/adaptation/no_wall.py` that need no network."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from unit.synthetic_study import write_image

FOLDER = Path(__file__).parents[3] / "benchmarks" / "adaptation"


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    return importlib.import_module("no_wall"), importlib.import_module("no_wall_frames")


def _records(*frames):
    return [{"name": "f", "without": {"mask": a, "dice": d}, "with": {"mask": b, "dice": e}} for a, b, d, e in frames]


def test_a_row_counts_masks_and_names_the_dice_of_those_that_the_rule_takes(modules):
    run, _ = modules
    bare = run.cells([_records((True, False, None, None), *[(False, False, None, None)] * 9)])
    assert bare == "10 | 10.0% (1.8% to 40.4%) | 0.0% (0.0% to 27.8%) | – | – | –"
    walled = run.cells([_records((True, False, 0.5, 0.0), (True, True, 0.9, 0.9))] * 2)
    assert walled == "4 | 100.0% (100.0% to 100.0%) | 50.0% (50.0% to 50.0%) | 0.700 | 0.450 | 0.50, 0.50"


def test_no_session_gives_labels_and_judges(modules, tmp_path):
    _, frames = modules
    (tmp_path / "study").mkdir()
    rows = [f"f{number},s{number // 2}" for number in range(10)]
    for number in range(10):
        write_image(tmp_path / "study" / f"f{number}.nii.gz", np.zeros((8, 8, 1)))
    (tmp_path / "study" / "patients.csv").write_text("\n".join(["image,patient", *rows]))
    carotids = frames.Carotids.of(tmp_path)
    pool, judging = carotids.split(0)
    assert (len(pool), len(judging)) == (6, 4)
    assert {carotids.sessions[image] for image in pool}.isdisjoint(carotids.sessions[image] for image in judging)
    assert carotids.split(1) != carotids.split(0) == (pool, judging)


def test_simulated_frames_show_a_wall_where_the_set_says_so(modules):
    _, frames = modules
    sets = frames.sets(frames.Carotids({}, {}, {}), Path(), 0)
    shown = {name: next(sets[name]()).truth for name in sets if name.endswith(" 0")}
    assert [name for name, truth in shown.items() if truth is not None] == ["hazy 0", "narrow 0"]
    assert len(shown) == 5
    assert shown["hazy 0"].any()
    assert shown["narrow 0"].any()


def test_a_set_is_judged_again_after_a_stop_and_by_another_rule_but_not_otherwise(modules, tmp_path, monkeypatch):
    run, frames = modules
    judged, weights = [], tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    (tmp_path / "records").mkdir()
    monkeypatch.setattr(run, "load_pair", lambda *_: None)

    def look(case, _):
        if case.name == "stop":
            raise KeyboardInterrupt
        judged.append(case.name)
        return {"name": case.name}

    def judge(*names):
        cases = [frames.Case(name, None, None) for name in names]
        return run.judge(tmp_path, "set", lambda: iter(cases), {"shipped": weights})

    monkeypatch.setattr(run, "look", look)
    with pytest.raises(KeyboardInterrupt):
        judge("a", "stop")
    assert judge("a", "b") == judge("a", "b") == {"shipped": [{"name": "a"}, {"name": "b"}]}
    assert judged == ["a", "a", "b"]
    monkeypatch.setattr(run, "RULE", "another")
    judge("a", "b")
    weights.write_bytes(b"other weights")
    judge("a", "b")
    assert judged == ["a", *3 * ["a", "b"]]
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["shipped set.json"]
