from pathlib import Path

import pytest

from lib.web.ohif import STUDY_LIST, VOLUME_LABELS, app_config

STOCK = "window.config = { modes: [], extensions: [] };"


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    file = tmp_path / "app-config.js"
    file.write_text(STOCK, encoding="utf-8")
    return file


def test_the_stock_file_comes_first_and_ours_behind_it(stock):
    assert app_config(stock) == f"{STOCK}\n{STUDY_LIST.read_text(encoding='utf-8')}"


def test_a_change_of_the_stock_file_is_served(stock):
    stock.write_text("window.config = {};", encoding="utf-8")

    assert app_config(stock).startswith("window.config = {};\n")


def test_a_missing_stock_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"app-config\.js"):
        app_config(tmp_path / "app-config.js")


def test_below_a_prefix_the_viewer_asks_there(stock):
    stock.write_text("window.config = { modes: [], routerBasename: '/ohif/', qidoRoot: '/proxy/dicom/qido' };")
    configured = app_config(stock, (STUDY_LIST, VOLUME_LABELS), "/monai")
    for address in (
        "'/ohif/'",
        "'/monai/proxy/dicom/qido'",
        "`/monai/sequal/annotate/?",
        'SERVER = "/monai/sequal/volume"',
    ):
        assert address in configured
