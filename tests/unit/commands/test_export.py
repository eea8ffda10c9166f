import json

import pytest

from sequal.study.state import file_digest, study_state_folder
from unit.commands.studies import random_checkpoint, words


@pytest.fixture
def starting_weights(app_folder):
    return random_checkpoint(app_folder / "model" / "pretrained_carotid.pt", seed=1)


def _digest(file):
    return json.loads((file / "configs" / "metadata.json").read_text())["sequal"]["checkpoint"]


def test_a_study_exports_what_it_published(run, studies, app_folder, starting_weights, tmp_path):
    state = study_state_folder(app_folder, str(studies))
    before = run("export", studies, "--app", app_folder, "--out", tmp_path / "before")
    assert before.exit_code == 0, before.output
    assert "this study has published none" in words(before.stdout)
    assert _digest(tmp_path / "before") == file_digest(starting_weights)
    published = random_checkpoint(state / "published.pt", seed=2)
    after = run("export", studies, "--app", app_folder, "--out", tmp_path / "after")
    assert after.exit_code == 0, after.output
    assert "published by the last round" in words(after.stdout)
    assert "(allowed 0.0001)" in words(after.stdout)
    assert _digest(tmp_path / "after") == file_digest(published)


@pytest.mark.parametrize("how", ["state", "conf", "checkpoint"])
def test_a_model_is_found_where_it_is_named(run, app_folder, starting_weights, tmp_path, how):
    published = random_checkpoint(tmp_path / "elsewhere" / "published.pt", seed=3)
    named = {
        "state": ("--state", published.parent),
        "conf": ("--conf", f"state={published.parent}"),
        "checkpoint": ("--checkpoint", published),
    }
    result = run("export", *named[how], "--app", app_folder, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert _digest(tmp_path / "out") == file_digest(published)


def test_a_file_is_written_where_no_place_is_named(run, app_folder, starting_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("export", "--format", "torchscript", "--app", app_folder)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "export" / "carotid.ts").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "tflite"), "`--format` to be one of bundle, onnx, torchscript"),
        (("{missing}",), "`STUDIES` to be a folder or an address"),
        (("--state", "{missing}"), "state folder"),
        (("--checkpoint", "{missing}.pt"), "to be a checkpoint"),
        (("--conf", "working_spacing_mm=zero"), "working_spacing_mm"),
        (("--app", "{missing}"), "published model or starting weights"),
        (("--out", "{full}"), "new or empty folder"),
    ],
)
def test_bad_input_ends_with_code_2(run, app_folder, starting_weights, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    places = {"missing": tmp_path / "missing", "full": tmp_path / "full"}
    result = run("export", "--app", app_folder, *(argument.format(**places) for argument in arguments))
    assert result.exit_code == 2
    assert result.stderr.lstrip().startswith("Error: Expected ")
    assert words in result.stderr
    assert not (tmp_path / "export").exists()
