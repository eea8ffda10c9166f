import base64
import json
import re
import shutil

import pytest

from sequal.errors import StudyError
from sequal.experiments import Plan
from sequal.experiments.report import write_report

PLAN = {
    "phantom": 40,
    "phantom_test": 2,
    "start": 10,
    "budget": 10,
    "rounds": 3,
    "strategies": "random,pld",
    "refinement": "both",
    "seeds": "0,1",
    "full": True,
}


def record(strategy, refinement, seed, number, dice, labelled, thickness=0.8, labels=(0.7, 0.8)):
    image = {"dice": dice, "iou": dice / 2, "hd95": 0.3, "asd": 0.1, "unit": "mm", "empty": False}
    shown, bare = {"layer": True, "kind": "plaque, scanner A"}, {"layer": False, "kind": "no_wall, scanner A"}
    images = [
        {**image, **shown, "id": "t0", "imt_predicted": thickness, "imt_true": 0.7},
        {**image, **shown, "id": "t1", "imt_predicted": 0.9, "imt_true": 0.9},
        {**image, **bare, "id": "t2", "imt_predicted": None, "imt_true": 0.9},
    ]
    before, after = labels if refinement == "on" else (None, None)
    score = {"spearman": 0.5, "top_error": 0.4}
    return {
        "format": 2,
        "strategy": strategy,
        "refinement": refinement,
        "seed": seed,
        "round": number,
        "labelled": [f"i{index}" for index in range(labelled)],
        "queried": [{"id": "q", "score": 1.0}],
        "last_ranked": [{"id": "last", "score": None}],
        "test": {
            "images": images,
            "mean": {
                **{"dice": dice, "iou": 0.5, "hd95": 0.3, "asd": 0.1, "unit": "mm"},
                **{"empty": 0, "without_layer": 4, "false_masks": 1},
            },
        },
        "labels": {"before": before, "after": after, "before_whole": before, "after_whole": after},
        "instrument": {"pool_error": 0.3, "scores": {"pld": score, "entropy": {"spearman": None, "top_error": None}}},
        "seconds": {"train": 3.0, "judge": 1.0},
        "versions": {"torch": "2"},
        "device": "cpu",
    }


#: Dice at 10, 20 and 30 labels by seed.
CURVES = {
    "random": {0: (0.4, 0.6, 0.8), 1: (0.2, 0.4, 0.6)},
    "pld": {0: (0.4, 0.8, 0.8), 1: (0.2, 0.6, 0.8)},
}


@pytest.fixture
def experiment(tmp_path):
    Plan.open(tmp_path / "experiment.json", PLAN)
    for strategy, seeds in CURVES.items():
        for refinement in ("on", "off"):
            for seed, curve in seeds.items():
                for number, dice in enumerate(curve, 1):
                    write(tmp_path, record(strategy, refinement, seed, number, dice, 10 * number))
    for number in (1, 2, 3):
        write(tmp_path, record("full", "on", 0, number, 0.8, 40))
    return tmp_path


def write(folder, entry):
    cell = folder / "cells" / f"{entry['strategy']}-{entry['refinement']}-s{entry['seed']}"
    cell.mkdir(parents=True, exist_ok=True)
    (cell / f"round-{entry['round']:02d}.json").write_text(json.dumps(entry))


def test_figures_by_hand(experiment):
    write_report(experiment, experiment / "report")
    summary = json.loads((experiment / "report" / "summary.json").read_text())
    assert list(summary) == ["random", "random-off", "pld", "pld-off"]
    pld = summary["pld"]
    # Trapezoids: seed 0 (0.6 + 0.8) / 2, seed 1 (0.4 + 0.7) / 2; random 0.6 and 0.4.
    assert pld["auc"] == pytest.approx((0.7 + 0.55) / 2)
    assert summary["random"]["auc"] == pytest.approx(0.5)
    # Paired differences 0.10 and 0.15: the bootstrap of two seeds ends at the two.
    assert pld["auc_minus_random"] == pytest.approx({"mean": 0.125, "low": 0.1, "high": 0.15})
    assert pld["dice_minus_random"][1] == pytest.approx({"labels": 20, "mean": 0.2, "low": 0.2, "high": 0.2})
    assert summary["random"]["auc_minus_random"] is None
    # The mean curve 0.3, 0.7, 0.8 reaches 0.95 · 0.8 = 0.76 six tenths of the way from 20 to 30 labels.
    assert pld["full_dice"] == pytest.approx(0.8)
    assert pld["labels_to_95"] == pytest.approx(26)
    assert pld["labels_to_90"] == pytest.approx(22)
    assert summary["random"]["labels_to_90"] is None
    assert pld["final_dice"] == pytest.approx(0.8)
    assert pld["by_kind"] == pytest.approx({"plaque": 0.8, "scanner A": 0.8})
    assert (pld["final"]["false_masks"], pld["final"]["without_layer"]) == (1, 4)
    assert pld["refinement"] == pytest.approx({"before": 0.7, "after": 0.8})
    assert summary["pld-off"]["refinement"] == {"before": None, "after": None}
    assert pld["seconds_per_round"] == 4
    # Differences 0.1 and 0.0 of both seeds: bias 0.05, SD 0.1 / √3.
    assert pld["imt"]["pairs"] == 4
    assert pld["imt"]["bias"] == pytest.approx(0.05)
    assert pld["imt"]["high"] == pytest.approx(0.05 + 1.96 * 0.1 / 3**0.5, abs=1e-4)
    assert pld["imt"]["unit"] == "mm"


def test_the_page_needs_nothing_else(experiment):
    write_report(experiment, experiment / "report")
    page = (experiment / "report" / "index.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    figures = {path.name: path.read_bytes() for path in (experiment / "report").glob("*.png")}
    assert set(figures) >= {"learning_curves.png", "difference_to_random.png", "instrument.png", "bland_altman.png"}
    embedded = [base64.b64decode(found) for found in re.findall(r"base64,([^\"]+)", page)]
    assert sorted(embedded) == sorted(figures.values())
    assert "+0.125 (+0.100 to +0.150)" in page


def test_the_markdown_table_has_a_row_a_strategy(experiment):
    write_report(experiment, experiment / "out")
    lines = (experiment / "out" / "report.md").read_text().splitlines()
    table = lines[: lines.index("## Dice by kind of test frame, after the last round")]
    rows = [
        line for line in table if line.startswith(("| strategy", "| ---", "| random", "| pld")) and "seeds" not in line
    ]
    assert "| strategy | plaque | scanner A |" in lines
    assert "| pld | 0.800 | 0.800 |" in lines
    assert any(line.startswith("| pld | 2 | 0.625 | +0.125 (+0.100 to +0.150) | 22 | 26 |") for line in rows)
    assert {line.count("|") for line in rows[:5]} == {rows[0].count("|")}
    assert all((experiment / "out" / name).exists() for name in re.findall(r"\]\((\S+\.png)\)", "\n".join(lines)))


def test_the_confidence_that_was_stated_stands_beside_the_dice(experiment):
    assert "## Stated confidence" not in (
        write_report(experiment, experiment / "r") and (experiment / "r/report.md").read_text()
    )
    entry = record("random", "on", 0, 1, 0.4, 10)
    entry["test"]["images"][0]["confidence"] = 0.88
    write(experiment, entry)
    write_report(experiment, experiment / "r")
    assert "| 10 | 0.85 to 0.90 | 1 | 0.880 | 0.400 |" in (experiment / "r/report.md").read_text()
    assert "0.480" in (experiment / "r/index.html").read_text()
    assert (experiment / "r/reliability.png").exists()


def test_an_experiment_that_its_steps_bind_says_so(experiment):
    pages = [experiment / "report" / name for name in ("index.html", "report.md")]
    write_report(experiment, experiment / "report")
    assert not any("too few training steps" in page.read_text() for page in pages)
    for number in (1, 2, 3):
        write(experiment, record("full", "on", 0, number, 0.79, 40))
    write_report(experiment, experiment / "report")
    assert all("too few training steps" in page.read_text() for page in pages)


def test_unfinished_cells_do_not_count(experiment):
    (experiment / "cells" / "pld-on-s1" / "round-03.json").unlink()
    shutil.rmtree(experiment / "cells" / "full-on-s0")
    summary = write_report(experiment, experiment / "report")
    assert summary["pld"]["seeds"] == [0]
    assert summary["pld"]["auc_minus_random"] == pytest.approx({"mean": 0.1, "low": None, "high": None})
    assert summary["pld"]["labels_to_95"] is None
    assert "not played" in (experiment / "report" / "index.html").read_text()


def test_one_strategy_alone_has_a_report(experiment):
    for folder in (experiment / "cells").iterdir():
        if folder.name != "pld-off-s0":
            shutil.rmtree(folder)
    summary = write_report(experiment, experiment / "report")
    assert list(summary) == ["pld-off"]
    assert summary["pld-off"]["dice_minus_random"] is None
    assert not (experiment / "report" / "difference_to_random.png").exists()


def test_frames_are_shown_where_there_are_thumbnails(played, tmp_path):
    write_report(played, tmp_path)
    assert (tmp_path / "frames.png").stat().st_size > 10_000


def test_without_a_finished_cell_there_is_no_report(tmp_path):
    Plan.open(tmp_path / "experiment.json", PLAN)
    with pytest.raises(StudyError, match="at least one finished cell"):
        write_report(tmp_path, tmp_path / "report")


def test_a_round_of_another_version_is_refused(experiment):
    path = next((experiment / "cells").rglob("round-01.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(StudyError, match=r"format 2, got 1. Play the experiment again"):
        write_report(experiment, experiment / "report")


def test_a_gap_or_a_damaged_round_is_named(experiment):
    (experiment / "cells" / "pld-on-s0" / "round-02.json").unlink()
    with pytest.raises(StudyError, match="pld-on-s0"):
        write_report(experiment, experiment / "report")
    (experiment / "cells" / "pld-on-s0" / "round-02.json").write_text("{")
    with pytest.raises(StudyError, match=r"round-02\.json"):
        write_report(experiment, experiment / "report")
