import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cli

COMMANDS = [command.name or command.callback.__name__ for command in cli.app.registered_commands]


def test_help_imports_no_heavy_package():
    program = (
        "import sys; sys.argv = ['cli.py', '--help']\n"
        "import runpy\n"
        "try:\n"
        f"    runpy.run_path({str(cli.__file__)!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "heavy = {'torch', 'monai', 'monailabel', 'numpy', 'scipy', 'matplotlib', 'requests', 'sqlalchemy'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(cli.__file__).parent, check=True
    )
    assert "loaded: []" in result.stdout
    assert "annotate" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize("command", [(), *((command,) for command in COMMANDS)], ids=" ".join)
def test_h_is_help(run, command):
    result = run(*command, "-h")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_the_version_is_that_of_the_project(run):
    project = tomllib.loads((Path(cli.__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert run("--version").stdout.split()[-1] == project["version"]


def test_no_command_shows_the_help(run):
    assert "status" in run().output


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "{missing}"),
        ("score", "{missing}"),
        ("measure", "{missing}"),
        ("annotate", "--studies", "{missing}"),
        ("annotate",),
        ("annotate", "--truth", "{missing}"),
        ("annotate", "--demo", "x", "--truth", "{studies}/truth"),
        ("status", "{studies}", "--conf", "sed=1"),
        ("status", "{studies}", "--conf", "seed"),
        ("status", "{studies}", "--conf", "seed=-1"),
        ("status", "{studies}", "--strategy", "psychic"),
        ("score", "{studies}", "--app", "{missing}"),
        ("measure", "{studies}", "--labels", "{studies}/truth", "--checkpoint", "x.pt"),
        ("measure", "{studies}", "--labels", "{studies}/truth", "--spacing-mm", "six"),
        ("measure", "{studies}", "--labels", "{studies}/truth", "--spacing-mm", "60"),
        ("measure", "{studies}", "--labels", "{missing}"),
        ("measure", "{studies}", "--checkpoint", "{missing}.pt"),
        ("measure", "{studies}", "--app", "{missing}"),
    ],
)
def test_bad_input_ends_with_code_2_and_says_what_to_do(run, studies, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    places = {"missing": tmp_path / "missing", "studies": studies}
    result = run(*(argument.format(**places) for argument in arguments))
    assert result.exit_code == 2
    assert result.stderr.lstrip().startswith("Error: Expected ")
    assert "Traceback" not in result.output


def test_an_unknown_option_ends_with_code_2(run, studies):
    assert run("status", studies, "--nonsense").exit_code == 2
