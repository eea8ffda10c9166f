import pytest

from sequal.files.exporting import ExportedModel
from sequal.settings import Settings
from unit.commands.studies import random_checkpoint


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A random network: what it computes does not matter, only that it stays the same."""
    return ExportedModel.load(random_checkpoint(tmp_path_factory.mktemp("export") / "c.pt"), Settings())
