"""Settings and studies are written in the same ways in every command."""

import pytest

import cli
from sequal.commands.spelling import joined_settings, setting_pairs, the_study
from sequal.errors import SettingsError

VALUED = {"--conf": 1, "-c": 1, "--out": 1, "--traced": 2}
FORMS = (
    ["--conf", "epochs", "1"],
    ["--conf", "epochs=1"],
    ["-c", "epochs", "1"],
    ["-c", "epochs=1"],
    ["epochs=1"],
    ["--epochs", "1"],
    ["--epochs=1"],
)


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_every_form_of_a_setting_becomes_the_same(form):
    joined = list(joined_settings(["study", *form, "--out", "x"], VALUED, ("--conf", "-c")))
    assert joined[0] == "study"
    assert joined[1] in ("--conf", "-c")
    assert joined[2:] == ["epochs=1", "--out", "x"]


def test_values_of_other_options_and_paths_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    arguments = ["a=b", "--out", "x=y", "--traced", "p=1", "q=2", "--out=c=d", "--", "e=f"]
    assert list(joined_settings(arguments, VALUED)) == arguments


def test_an_option_of_the_command_comes_before_the_setting_of_its_name():
    arguments = ["--seed", "1", "--seed=1", "--unknown", "1"]
    assert list(joined_settings(arguments, {"--conf": 1, "--seed": 1})) == arguments


def test_a_setting_without_a_value_is_left_for_the_message():
    assert list(joined_settings(["study", "--conf", "seed"], VALUED)) == ["study", "--conf", "seed"]
    assert list(joined_settings(["study", "--conf"], VALUED)) == ["study", "--conf"]
    assert list(joined_settings(["study", "--seed"], VALUED)) == ["study", "--conf", "seed"]
    with pytest.raises(SettingsError, match=r"`--conf key value` or `key=value`, got 'seed'\. Write for example"):
        setting_pairs(["seed"])


def test_a_study_is_named_in_either_form():
    assert the_study("a", None) == the_study(None, "a") == the_study("a", "a") == "a"
    with pytest.raises(SettingsError, match="Expected one study, got 'a' and --studies 'b'"):
        the_study("a", "b")
    with pytest.raises(SettingsError, match="Expected a study, got none"):
        the_study(None, None)


@pytest.mark.parametrize("command", ["status", "score", "measure", "to-dicom", "report"])
@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_every_command_that_takes_settings_takes_every_form(run, studies, command, form):
    """A setting that breaks its rule proves that it was read as one."""
    wrong = [part.replace("1", "none") for part in form]
    out = ["--out", studies.parent / "out"] if command == "to-dicom" else []
    for named in ([studies], ["--studies", studies]):
        result = run(command, *named, *out, *wrong)
        assert result.exit_code == 2
        assert "Expected `epochs` to be an integer" in result.stderr


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_export_annotate_and_simulate_take_every_form(run, studies, tmp_path, form):
    wrong = [part.replace("1", "none") for part in form]
    for command in (
        ["export", "--out", tmp_path / "x"],
        ["annotate", studies, "--demo", tmp_path / "demo"],
        ["annotate", "--studies", studies],
        [
            "simulate",
            tmp_path / "experiment",
            *["--phantom", "8", "--phantom-test", "2", "--start", "1", "--budget", "1", "--rounds", "1"],
        ],
    ):
        result = run(*command, *wrong)
        assert result.exit_code == 2, command
        assert "`epochs`" in result.stderr, command


def test_annotate_refuses_what_only_a_server_takes_at_its_start(run, studies):
    result = run("annotate", studies, "--conf", "network", "unet")
    assert result.exit_code == 2
    assert "to be set when the server starts" in result.stderr


def test_commands_with_settings_are_of_the_kind_that_reads_all_forms():
    without = {"import", "pretrain"}
    kinds = {command.name or command.callback.__name__: command.cls for command in cli.app.registered_commands}
    assert {name for name, kind in kinds.items() if kind.__name__ != "SettingsCommand"} == without
