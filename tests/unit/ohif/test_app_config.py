import re
from pathlib import Path

import pytest

from lib.ohif import BRIDGE, app_config

STOCK = "window.config = { modes: [], extensions: [] };"


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    file = tmp_path / "app-config.js"
    file.write_text(STOCK, encoding="utf-8")
    return file


def test_the_stock_file_comes_first_and_every_part_of_ours_behind_it_in_order(stock):
    script = app_config(stock)

    assert script.startswith(STOCK)
    places = [script.index(path.read_text(encoding="utf-8")) for path in BRIDGE]
    assert places == sorted(places)
    assert places[0] >= len(STOCK)


def test_every_file_of_the_folder_is_served():
    assert {path.name for path in BRIDGE} == {path.name for path in BRIDGE[0].parent.glob("*.js")}


def test_what_gives_up_is_there_first_and_what_starts_comes_last():
    assert (BRIDGE[0].stem, BRIDGE[-1].stem) == ("giving_up", "starting")


def test_the_parts_add_one_name_to_the_window():
    for path in BRIDGE:
        code = re.sub(r"^//.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).strip()
        assert code.startswith("(function (sequal) {"), path.name
        assert code.endswith("})((window.sequal = window.sequal || {}));"), path.name


def test_a_change_of_the_stock_file_is_served(stock):
    stock.write_text("window.config = {};", encoding="utf-8")

    assert app_config(stock).startswith("window.config = {};\n")


def test_a_missing_stock_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"app-config\.js"):
        app_config(tmp_path / "app-config.js")
