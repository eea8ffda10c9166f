"""`report` of a study: one page that needs nothing else, and the same as JSON."""

import json

import pytest

from sequal.settings import Settings
from sequal.study.overview import StudyOverview
from sequal.study.state import LabelCheck, StudyState


@pytest.fixture
def state(tmp_path):
    found = StudyState.open(tmp_path / "state", Settings())
    number = found.ledger.start_round(
        settings={}, seed=0, versions={}, train_ids=["im0", "im1"], validation_ids=[], unlabelled_count=4
    )
    found.ledger.finish_round(
        number, status="published", reason="better", metrics={"metric": 0.875, "published_metric": 0.75}, seconds=12.5
    )
    sizes = [{"label": "intima-media", "unit": "mm", "predicted": 0.7, "drawn": 0.6}]
    for number in range(2):
        found.ledger.put_check(LabelCheck(f"im{number}", "d", 0.9, 0.8, sizes, float(number)))
    found.ledger.skip("im3", "<b>anna</b>", "blurred")
    return found


def test_the_page_of_a_folder_shows_rounds_and_skips(run, studies, app_folder, state, tmp_path):
    out = tmp_path / "out"
    result = run("report", studies, "--app", app_folder, "--state", state.root, "--out", out)
    assert result.exit_code == 0, result.output
    assert "Images with a label: 2 of 6. Rounds of training: 1." in result.stdout
    page = (out / "index.html").read_text()
    assert "<td>0.75</td><td>0.875</td><td>2</td>" in page
    assert page.count("data:image/png;base64,") == 2
    assert (
        "2 labels were compared with the mask of a model that had not learned them: mean Dice 0.800, "
        "0.900 was expected." in page
    )
    assert "+0.100 mm" in page
    assert "&lt;b&gt;anna&lt;/b&gt;" in page
    assert "<b>anna" not in page
    assert "http" not in page
    kept = StudyOverview.from_json(json.loads((out / "study.json").read_text()))
    assert kept.skips[0]["reason"] == "blurred"
    assert kept.labelled == 2
    assert kept.trust["checks"][0]["predicted_dice"] == 0.9
    assert sorted(path.name for path in studies.iterdir()) == sorted(
        [*(f"im{index}.nii.gz" for index in range(6)), "labels", "patients.csv", "truth"]
    )


def test_an_experiment_takes_no_settings(run, tmp_path):
    (tmp_path / "experiment.json").write_text("{}")
    result = run("report", tmp_path, "seed=1")
    assert result.exit_code == 2
    assert "no settings for the experiment" in result.stderr


def test_what_is_neither_is_named(run, tmp_path):
    result = run("report", tmp_path / "missing")
    assert result.exit_code == 2
    assert "missing" in result.stderr
