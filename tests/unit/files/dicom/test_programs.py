import shutil

import pytest

from pacs import needed_program


def test_a_program_that_is_there_is_found():
    assert needed_program("sh") == shutil.which("sh")


@pytest.mark.parametrize("variable", ["CI", "SEQUAL_CI"])
def test_a_missing_one_skips_here_and_fails_in_ci(monkeypatch, variable):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("SEQUAL_CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program"):
        needed_program("no-such-program")
    monkeypatch.setenv(variable, "1")
    with pytest.raises(pytest.fail.Exception, match="continuous integration needs it"):
        needed_program("no-such-program")
