"""As a user runs it, and what the rest of the app makes of the study."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import cli
from lib.datastores import LabelGuard, StudyFolder
from sequal.settings import Settings
from sequal.study.state import StudyState
from unit.commands.studies import words
from unit.files.importing.sources import layer_mask, pixels, region, write_cubs, write_dicom, write_picture


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture
def source(tmp_path):
    for index, name in enumerate("abc"):
        write_picture(tmp_path / "source" / "images" / f"{name}.png", pixels(index))
    write_picture(tmp_path / "source" / "masks" / "a.png", layer_mask())
    write_dicom(tmp_path / "source" / "images" / "ct.dcm", pixels(), Modality="CT")
    (tmp_path / "source" / "images" / "notes.pdf").write_bytes(b"x" * 200)
    return tmp_path / "source"


def test_it_tells_what_came_in_and_what_did_not(source, tmp_path):
    result = run("import", source, "--studies", tmp_path / "s", "--spacing-mm", "0.06,0.05")
    assert result.exit_code == 0, result.output
    assert "3 images imported" in words(result.stdout)
    assert "1 of them with an expert's label; 0 not calibrated; 0 imported before; 1 file left out" in words(
        result.stdout
    )
    left_out = words(result.stdout.split("Left out")[1])
    assert "ct.dcm" in left_out
    assert "got CT" in left_out
    assert "notes.pdf" in left_out
    assert "got a .pdf file" in left_out
    assert "1 file without an image" in words(result.stdout)
    again = run("import", source, "--studies", tmp_path / "s", "--spacing-mm", "0.06,0.05")
    assert again.exit_code == 0
    assert "0 images imported" in words(again.stdout)
    assert "3 imported before" in words(again.stdout)


def test_a_dry_run_lists_all_and_writes_nothing(source, tmp_path):
    for index in range(30):
        write_picture(source / "images" / f"n{index}.png", pixels(50 + index))
    result = run("import", source, "--studies", tmp_path / "s", "--dry-run")
    assert result.exit_code == 0
    assert "33 images would be imported" in words(result.stdout)
    assert all(f"n{index}.png" in result.stdout for index in range(30))
    assert not (tmp_path / "s").exists()
    assert "and 13 more" in words(run("import", source, "--studies", tmp_path / "s").stdout)


def test_files_with_one_reason_share_a_row(source, tmp_path):
    write_dicom(source / "images" / "ct2.dcm", pixels(), Modality="CT")
    result = run("import", source, "--studies", tmp_path / "s")
    assert "ct.dcm, ct2.dcm" in words(result.stdout)


def test_several_readers_ask_for_a_choice(tmp_path):
    cubs = write_cubs(tmp_path / "cubs", readers=("A1", "A2"))
    assert "--final READER" in words(run("import", cubs, "--studies", tmp_path / "s").stdout)
    result = run("import", cubs, "--studies", tmp_path / "s", "--final", "A1")
    assert "3 labels added" in words(result.stdout)
    assert "--final READER" not in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("{source}/none",),
        ("{empty}",),
        ("{broken}",),
        ("{source}", "--spacing-mm", "six"),
        ("{source}", "--spacing-mm", "6"),
        ("{source}", "--spacing-csv", "{source}/none.csv"),
        ("{source}", "--masks", "{source}/none"),
        ("{source}", "--patients", "{source}/none"),
        ("{source}", "--patient-pattern", "("),
        ("{source}", "--final", "me"),
        ("{source}", "--kind", "cubs"),
    ],
)
def test_bad_input_ends_with_code_2_and_says_what_to_do(source, tmp_path, arguments):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no image")
    places = {"source": source, "empty": tmp_path / "empty", "broken": tmp_path / "broken"}
    given = [argument.format(**places) for argument in arguments]
    result = run("import", *given, "--studies", tmp_path / "s")
    assert result.exit_code == 2, result.output
    assert "Error: Expected " in result.stderr
    assert not list((tmp_path / "s").glob("*.nii.gz"))


def test_a_layout_that_does_not_exist_is_refused(source, tmp_path):
    assert run("import", source, "--studies", tmp_path / "s", "--kind", "tiff").exit_code == 2


def test_nothing_usable_names_the_first_reason(tmp_path):
    write_dicom(tmp_path / "a" / "ct.dcm", pixels(), Modality="CT")
    result = run("import", tmp_path / "a", "--studies", tmp_path / "s")
    assert "got none, and 1 files that cannot be used. ct.dcm: Expected an ultrasound image" in result.stderr


def test_the_study_has_a_status_and_is_measured(tmp_path):
    studies = tmp_path / "s"
    run("import", write_cubs(tmp_path / "cubs"), "--studies", studies)
    write_dicom(tmp_path / "d" / "a", np.stack([pixels(8), pixels(9)]), [region()])
    run("import", tmp_path / "d", "--studies", studies)
    status = run("status", studies, "--app", tmp_path, "--strategy", "random")
    assert status.exit_code == 0, status.output
    rows = [line.replace("│", " ").split() for line in status.stdout.splitlines()]
    assert {("images", "4"), ("labelled", "3"), ("unlabelled", "1")} <= {tuple(row) for row in rows}
    out = tmp_path / "m"
    measured = run("measure", studies, "--labels", studies / "labels" / "final", "--out", out, "--no-overlays")
    assert measured.exit_code == 0, measured.output
    lines = (out / "patients.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["clin_0001", "clin_0002"]


def test_the_servers_datastore_has_images_and_every_readers_label(tmp_path):
    studies = tmp_path / "s"
    run("import", write_cubs(tmp_path / "cubs", readers=("A1", "A2")), "--studies", studies, "--final", "A2")
    guard = LabelGuard(StudyState.open(tmp_path / "state", Settings()))
    datastore = StudyFolder(str(studies), guard, auto_reload=False)
    assert sorted(datastore.list_images()) == ["clin_0001_L", "clin_0001_R", "clin_0002_L"]
    assert sorted(datastore.get_labels_by_image_id("clin_0001_L")) == ["A1", "A2", "final"]
    assert datastore.get_unlabeled_images() == []
    noted = json.loads((studies / "datastore_v2.json").read_text())["objects"]
    assert noted.keys() == {"clin_0001_L", "clin_0001_R", "clin_0002_L"}
