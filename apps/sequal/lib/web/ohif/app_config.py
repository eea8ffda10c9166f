"""The script that configures OHIF: MONAI Label's own, and ours behind it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["STUDY_LIST", "VOLUME_LABELS", "app_config"]

#: Our script: a button in OHIF's study list.
STUDY_LIST: Final = Path(__file__).parent / "study_list.js"

#: For volumes: brush, eraser and a button that saves, in OHIF's MONAI Label mode.
VOLUME_LABELS: Final = Path(__file__).parent / "volume_labels.js"
#: Where an address at the server begins, in quotation marks.
_ADDRESS: Final = re.compile(r"(?<=['\"`])(?=/(?:proxy|sequal)/)")


def app_config(stock: Path, scripts: Sequence[Path] = (STUDY_LIST,), prefix: str = "") -> str:
    """OHIF's `app-config.js` with scripts of ours behind it.

    The browser runs it as a plain script before OHIF itself.

    Args:
        stock: the file that MONAI Label serves.
        scripts: ours.
        prefix: of the addresses that OHIF asks at the server.

    Raises:
        OSError: one of the files cannot be read.
    """
    text = "\n".join(path.read_text(encoding="utf-8") for path in (stock, *scripts))
    return _ADDRESS.sub(prefix, text)
