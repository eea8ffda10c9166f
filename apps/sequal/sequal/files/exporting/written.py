"""An exported file or folder, and how well it agrees with the network."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sequal.errors import ExportError

__all__ = ["Exported", "staged"]


@dataclass(frozen=True)
class Exported:
    """What an export gives.

    Attributes:
        path: the file or folder.
        difference: largest absolute difference of two logits between it and the network of the app.
    """

    path: Path
    difference: float


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A place to write to, which becomes `target` when all went well; nothing is left when it did not.

    Args:
        target: file or folder; a file that is there is replaced.

    Yields:
        A path of the same name in a temporary folder beside it.

    Raises:
        ExportError: the place cannot be written, or there is a folder with something in it.
    """
    if target.is_dir() and any(target.iterdir()):
        raise ExportError(f"Expected `--out` to be a new or empty folder, got `{target}`. Name another, or remove it.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".export-", dir=target.parent))
    except OSError as error:
        raise ExportError(f"Expected `{target.parent}` to be writable, got: {error}. Name another --out.") from error
    try:
        yield folder / target.name
        os.replace(folder / target.name, target)
    except OSError as error:
        raise ExportError(
            f"Expected `{target}` to be writable, got: {error}. Free some space, or name another --out."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
