"""Tables fit a terminal of 80 columns with every number whole, and progress bars say what their times are."""

from io import StringIO

import pytest
from rich.console import Console

from sequal.commands import console, export, import_study, report, score, simulate, status
from sequal.commands.annotating import annotate
from sequal.commands.annotating.evaluation import NOTHING_SEEN, Evaluation
from sequal.commands.annotating.play import PlayedRound
from sequal.commands.annotating.report import columns, round_row, start_row
from sequal.commands.console import progress_bar, table
from sequal.commands.measuring import measure
from sequal.study.overview import StudyOverview

WIDTH = 80
LONG = "p0123456789 / left common carotid artery, far wall / B-mode, zoomed"


@pytest.fixture
def screen(monkeypatch):
    """What the commands print on a terminal of 80 columns."""
    text = StringIO()
    narrow = Console(file=text, width=WIDTH, highlight=False)
    for module in (annotate, console, export, import_study, measure, report, score, simulate, status):
        monkeypatch.setattr(module, "OUT", narrow)
    return text


def overview():
    lines = [{"image": LONG, "client": "simulated annotator", "until": 1.8e9, "skipped_at": 1.8e9, "reason": "blurred"}]
    rounds = [
        {
            "round": 123,
            "status": "published",
            "dice": 0.8673,
            "dice_before": 0.7312,
            "labels": 1234,
            "seconds": 1234.5,
            "started_at": 1.8e9,
            "reason": "Dice 0.731 before and 0.867 after, on 1234 labels of 300 patients",
        }
    ]
    return StudyOverview(
        studies="/data/hospital/studies/carotid",
        state="/srv/sequal/model/carotid-0123abcd",
        checkpoint="/srv/sequal/model/carotid-0123abcd/published.pt",
        in_service="round 123",
        images=12345,
        labelled=1234,
        no_layer=12,
        refined=1000,
        pixels_changed=0.0123,
        kept={"rejected": [3, 12345], "replaced": [0, 0]},
        leases=lines,
        skips=lines,
        doubts=[{"image": LONG, "warnings": ["Two walls in 13 columns: one of them is not the far wall."]}],
        rounds=rounds,
        strategy="least_confidence",
        next=[{"image": LONG, "score": 0.0123456, "reason": "PLD 0.0123 (1 of 11111)"}],
        warnings=["The disk of the state has 100 MiB left."],
    )


def check(text, *numbers):
    lines = text.splitlines()
    assert lines
    assert max(map(len, lines)) <= WIDTH
    for number in numbers:
        assert any(number in line for line in lines), number
    for line in lines:
        assert "…" not in line, line


def test_the_status_of_a_study(screen, monkeypatch):
    monkeypatch.setattr(status, "look_at_study", lambda *_: overview())
    status.show_status("x", None, None, ())
    check(screen.getvalue(), "0.8673", "0.7312", "1234", "0.01235", "2027-01-15", "published")


def test_every_row_of_annotate(screen):
    names = columns(of_a_layer=True)
    stats = {"best_metric": 0.8673, "published": False, "refinement": {"images": 1234, "pixels_changed": 123456}}
    played = PlayedRound(12, 1234, [], stats, Evaluation(0.9412, {}, -0.0312, 0.04, {}), 1234.5)
    console.OUT.print(
        table("Annotated", names, [start_row(8, Evaluation(0.8123, {}, -0.0123, 0.04, {})), round_row(12, played)])
    )
    check(screen.getvalue(), "0.867", "0.941", "-0.031", "0.812", "-0.012", "1234", "filled", "failed")


def test_rows_of_volumes_have_the_error_in_millilitres(screen):
    first = Evaluation(0.7, {}, None, None, {}, volume_bias_ml=-2.5, volume_error_ml=34.26)
    console.OUT.print(table("Annotated", columns(of_a_layer=False), [start_row(0, NOTHING_SEEN), start_row(4, first)]))
    check(screen.getvalue(), "volume", "34.26", "0.7")


def test_scores_of_every_kind(screen, monkeypatch):
    scores = {name: 0.012345 for name in ("pld", "entropy", "least_confidence", "margin", "bald")}
    monkeypatch.setattr(score, "score_study", lambda _: score.PoolScores({LONG: scores}, {"broken": "No image."}))
    score.show_scores(None)
    check(screen.getvalue(), "0.01235")
    assert screen.getvalue().count("0.01235") == len(scores)


def test_thickness_in_millimetres_and_in_pixels(screen, monkeypatch, tmp_path):
    row = {"patient": LONG, "images": 12, "frames": 1234, "flags": "not_calibrated possible_plaque short_length"}
    row |= {"imt_mean_mm": 0.7123, "imt_max_mm": 1.2345, "imt_mean_px": 11.71, "imt_max_px": 21.34}
    monkeypatch.setattr(measure, "patient_rows", lambda _: [row])
    measure._print(measure.MeasureResult([], {LONG: "Expected a frame, got text."}), tmp_path, None)
    check(screen.getvalue().rsplit("\n", 3)[0], "0.7123", "1.234", "11.71", "21.34")


def test_the_main_figures_of_an_experiment(screen, monkeypatch, tmp_path):
    mean = {"mean": -0.01234}
    keys = ("dice", "imt_bias", "imt_error", "li_error", "ma_error", "good", "failures")
    at = {"labels": 123.4, **dict.fromkeys(keys, mean)}
    row = {"seeds": [0, 1], "auc": 0.8123, "auc_minus_random": mean, "final_dice": 0.8432, "figures": [at]}
    monkeypatch.setattr(report, "write_report", lambda *_: {"least_confidence+refinement": row})
    report._report_experiment(tmp_path, tmp_path)
    check(screen.getvalue().rsplit("\n", 3)[0], "0.8123", "0.8432", "123.4")
    assert screen.getvalue().count("-0.01234") == 1 + len(keys)


def test_a_progress_bar_says_what_its_times_are():
    text = StringIO()
    bar = progress_bar()
    task = bar.add_task("Round 2: segmenting the test images", total=1234)
    bar.update(task, completed=617)
    Console(file=text, width=WIDTH).print(bar.get_renderable())
    shown = text.getvalue()
    assert "elapsed 0:00:00" in shown
    assert " left " in shown
    assert "617/1234" in shown
    assert max(map(len, shown.splitlines())) <= WIDTH
