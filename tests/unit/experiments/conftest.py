import pytest

from unit.experiments.miniature import make_images, options, play


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def played(images, tmp_path_factory):
    """A finished experiment with the cells random, pld and full; only to be read."""
    folder = tmp_path_factory.mktemp("played")
    play(folder, options(images, full=True))
    return folder
