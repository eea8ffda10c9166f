import pytest
from typer.testing import CliRunner

import cli
from unit.commands.studies import make_folder


@pytest.fixture
def studies(tmp_path):
    return make_folder(tmp_path / "studies")


@pytest.fixture
def app_folder(tmp_path):
    (tmp_path / "app" / "model").mkdir(parents=True)
    return tmp_path / "app"


@pytest.fixture
def run():
    """Run the command line as a user does, and give back the result."""

    def invoke(*arguments):
        return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])

    return invoke
