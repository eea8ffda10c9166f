"""The script that configures OHIF: MONAI Label's own, and ours behind it."""

from pathlib import Path
from typing import Final

__all__ = ["STUDY_LIST", "app_config"]

#: Our script: a button in OHIF's study list.
STUDY_LIST: Final = Path(__file__).parent / "study_list.js"


def app_config(stock: Path) -> str:
    """OHIF's `app-config.js` with a button that opens ultrasound in the annotator's page.

    The browser runs it as a plain script before OHIF itself.

    Args:
        stock: the file that MONAI Label serves.

    Raises:
        OSError: one of the files cannot be read.
    """
    return "\n".join(path.read_text(encoding="utf-8") for path in (stock, STUDY_LIST))
