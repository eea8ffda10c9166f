"""The README says what the code does, the first things first, and the table of settings is the code's own."""

import re
from pathlib import Path

import pytest

from sequal.settings import settings_table

README = Path(__file__).resolve().parents[2] / "README.md"
SETTINGS = README.parent / "docs" / "settings.md"
PAGES = sorted([README, *README.parent.glob("docs/*.md"), *README.parent.glob("benchmarks/**/README.md")])


def test_settings_table_is_the_one_the_code_makes():
    match = re.search(r"<!-- settings -->\n(.*?)<!-- /settings -->", SETTINGS.read_text(), re.DOTALL)

    assert match is not None
    assert match.group(1).strip() == settings_table().strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(README.parent)))
def test_every_relative_link_exists(page):
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_the_readme_leads_to_the_settings():
    assert "](docs/settings.md)" in README.read_text()


def test_a_clinician_finds_what_matters_in_the_first_lines():
    first, then = README.read_text().splitlines()[:40], README.read_text().splitlines()[40:60]
    start = "\n".join(first)
    for words in ("not a medical device", "Pseudo Label Divergence", "![", "real scans", "saving labels", "make serve"):
        assert words in start, words
    assert "**not shown**" in start
    assert "http://127.0.0.1:8000" in start
    assert "cli.py import" in "\n".join([*first, *then])


def test_every_command_that_the_readme_names_exists():
    cli = (README.parent / "apps" / "sequal" / "cli.py").read_text()

    for command in re.findall(
        r"^\| `([\w-]+)` \|", README.read_text().split("## Command line")[1].split("\n## ")[0], re.MULTILINE
    ):
        assert f"def {command}(" in cli or f'@app.command("{command}"' in cli, command
