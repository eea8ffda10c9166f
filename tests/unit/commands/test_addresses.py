"""`status`, `measure` and `report` on a PACS: a real Orthanc with a study in it, and no server."""

import csv
import json

import pytest

from pacs import running_orthanc
from sequal.commands.address import is_server
from sequal.commands.pacs_study import PacsStudy
from sequal.errors import ServerError, SettingsError
from sequal.files.dicom.series_list import ListedSeries, series_names
from sequal.settings import Settings
from sequal.study.state import study_state_folder
from unit.commands.studies import make_folder, random_checkpoint, words
from unit.synthetic_study import write_label

IMAGES = 3
NAME = "p0 / im1"


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    """Address of a PACS that holds frames `im0` to `im2`."""
    from typer.testing import CliRunner

    import cli

    folder = tmp_path_factory.mktemp("pacs")
    studies = make_folder(folder / "studies", images=IMAGES, labelled=0)
    with running_orthanc(folder / "orthanc") as address:
        sent = CliRunner().invoke(cli.app, ["to-dicom", str(studies), "--stow", address, "--out", str(folder / "out")])
        assert sent.exit_code == 0, sent.output
        yield address


def test_series_are_named_as_people_name_them(pacs, tmp_path):
    study = PacsStudy.find(pacs, tmp_path / "state")
    assert len(study.series) == IMAGES
    assert sorted(name.rpartition(" / ")[0] for name in study.names.values()) == ["p0 / im0", NAME, "p1 / im2"]
    assert not (tmp_path / "state").exists()


def test_the_status_counts_what_the_state_knows(run, pacs, app_folder):
    named = {name: uid for uid, name in PacsStudy.find(pacs, app_folder).names.items()}
    uid = next(uid for name, uid in named.items() if name.startswith(NAME))
    other = next(uid for name, uid in named.items() if name.startswith("p1"))
    folder = study_state_folder(app_folder, pacs) / "dicomweb"
    (folder / "labels" / "final").mkdir(parents=True)
    (folder / "segmentations").mkdir()
    import numpy as np

    write_label(folder / "labels" / "final" / f"{uid}.nii.gz", np.zeros((4, 4, 1)))
    note = {"uid": "1.2.3", "image": other, "created": 1.0, "instances": 1, "unusable": "", "no_layer": True}
    (folder / "segmentations" / "1.2.3.json").write_text(json.dumps(note))
    shown = words(run("status", pacs, "--app", app_folder).stdout)
    assert "images 3" in shown
    assert "labelled 2" in shown
    assert "without a layer 2" in shown
    assert f"Next 1 by {Settings().strategy}" in shown
    assert "p0 / im0" in shown
    assert uid not in shown

    (folder / "datastore_v2.json").write_text(
        json.dumps({"objects": {other: {"image": {"info": {"withdrawn": ["1.2.3"]}}, "labels": {}}}})
    )
    assert "labelled 1" in words(run("status", pacs, "--app", app_folder).stdout)


def test_measure_fetches_measures_and_names_the_images(run, pacs, app_folder, tmp_path):
    weights = random_checkpoint(tmp_path / "model.pt")
    out = tmp_path / "out"
    run("measure", pacs, "--checkpoint", weights, "--out", out, "--app", app_folder)
    with (out / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["image"].rpartition(" / ")[0] for row in rows) == ["p0 / im0", NAME, "p1 / im2"]
    assert {row["patient"] for row in rows} == {"p0", "p1"}
    assert all(float(row["spacing_y_mm"]) == pytest.approx(0.06) for row in rows)
    assert all(row["image_id"].startswith("2.25.") for row in rows)
    assert len(list(out.glob("p0_im1_*.png"))) == 1


def test_report_writes_a_page(run, pacs, app_folder, tmp_path):
    out = tmp_path / "report"
    result = run("report", pacs, "--out", out, "--app", app_folder)
    assert result.exit_code == 0, result.output
    page = (out / "index.html").read_text()
    assert pacs in page
    assert "http://" not in page.replace(pacs, "")
    assert NAME in page
    assert "nothing was trained" in page
    assert json.loads((out / "study.json").read_text())["images"] == IMAGES


def test_an_address_that_nobody_answers_at_is_named():
    with pytest.raises(ServerError, match=r"Expected a running server or a PACS at 127\.0\.0\.1:9, got"):
        is_server("http://127.0.0.1:9/dicom-web")


def test_a_pacs_is_no_server(pacs):
    assert not is_server(pacs)


@pytest.mark.parametrize("command", ["score", "to-dicom"])
def test_commands_on_files_say_which_take_addresses(run, command):
    result = run(command, "http://127.0.0.1:9/dicom-web")
    assert result.exit_code == 2
    assert "got the address http://127.0.0.1:9/dicom-web" in result.stderr


def test_a_password_in_an_address_is_refused_and_not_repeated(run, pacs):
    result = run("status", pacs.replace("http://", "http://reader:secret@"))
    assert result.exit_code == 2
    assert "secret" not in result.output
    assert "MONAI_LABEL_DICOMWEB_USERNAME" in result.stderr


def test_a_filter_that_is_no_json_is_named(run, pacs, monkeypatch):
    monkeypatch.setenv("MONAI_LABEL_DICOMWEB_SEARCH_FILTER", "Modality=US")
    result = run("status", pacs)
    assert result.exit_code == 2
    assert "MONAI_LABEL_DICOMWEB_SEARCH_FILTER" in result.stderr


def test_series_of_one_name_are_told_apart_by_date_number_and_uid():
    alike = {"patient": "p", "descriptions": ("neck", "neck")}
    series = [
        ListedSeries("1.2.11111111", "1", date="20260101", number="1", **alike),
        ListedSeries("1.2.22222222", "1", date="20260101", number="2", **alike),
        ListedSeries("1.2.33333333", "1", date="20260101", number="2", **alike),
        ListedSeries("1.2.4", "1", **alike),
        ListedSeries("1.2.5", "1"),
    ]
    assert list(series_names(series).values()) == [
        "p / neck / 20260101 / series 1",
        "p / neck / 20260101 / series 2 / …22222222",
        "p / neck / 20260101 / series 2 / …33333333",
        "p / neck",
        "unknown patient",
    ]


def test_a_filter_is_json(monkeypatch):
    from sequal.files.dicom.series_list import search_filter

    monkeypatch.delenv("MONAI_LABEL_DICOMWEB_SEARCH_FILTER", raising=False)
    assert search_filter("carotid", ["US"]) == {"Modality": "US"}
    monkeypatch.setenv("MONAI_LABEL_DICOMWEB_SEARCH_FILTER", '["US"]')
    with pytest.raises(SettingsError, match="to be JSON such as"):
        search_filter("carotid", ["US"])
