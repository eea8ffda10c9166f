"""The files of the annotator's page: HTML, CSS and JavaScript modules, served as they are."""

from pathlib import Path
from typing import Final

__all__ = ["page_files"]

_FOLDER: Final = Path(__file__).parent / "page"
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def page_files() -> dict[str, tuple[Path, str]]:
    """Every file of the page by its name, with its media type; nothing else is ever served.

    >>> [page_files()[name][1] for name in ("app.js", "index.html")]
    ['text/javascript', 'text/html']
    """
    return {path.name: (path, _TYPES[path.suffix]) for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
