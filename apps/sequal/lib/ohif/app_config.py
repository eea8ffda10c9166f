"""The script that configures OHIF: MONAI Label's own, and ours behind it."""

from pathlib import Path
from typing import Final

__all__ = ["BRIDGE", "app_config"]

#: Our script, in files that are joined in this order.
BRIDGE: Final = tuple(
    Path(__file__).parent / "bridge" / f"{name}.js"
    for name in (
        "giving_up",
        "server",
        "view",
        "tools",
        "bar",
        "training",
        "annotating",
        "connecting",
        "mode",
        "starting",
    )
)


def app_config(stock: Path) -> str:
    """OHIF's `app-config.js` with the bridge: a plain script that the browser runs before OHIF itself.

    Args:
        stock: the file that MONAI Label serves.

    Raises:
        OSError: one of the files cannot be read.
    """
    return "\n".join(path.read_text(encoding="utf-8") for path in (stock, *BRIDGE))
