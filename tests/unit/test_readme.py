"""The README says what the code does."""

import re
from pathlib import Path

from lib.settings import settings_table

README = Path(__file__).resolve().parents[2] / "README.md"


def test_settings_table_is_the_one_the_code_makes():
    match = re.search(r"<!-- settings -->\n(.*?)<!-- /settings -->", README.read_text(), re.DOTALL)

    assert match is not None
    assert match.group(1).strip() == settings_table().strip()


def test_every_relative_link_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text())

    assert links
    for link in links:
        assert (README.parent / link).exists(), link


def test_every_command_that_the_readme_names_exists():
    cli = (README.parent / "apps" / "sequal" / "cli.py").read_text()

    for command in re.findall(
        r"^\| `([\w-]+)` \|", README.read_text().split("## Command line")[1].split("\n## ")[0], re.MULTILINE
    ):
        assert f"def {command}(" in cli or f'@app.command("{command}")' in cli, command
