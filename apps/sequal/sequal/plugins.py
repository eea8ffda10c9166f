"""What a room offers by its files: a new file is a new choice, and nothing else has to know it."""

import pkgutil
from pathlib import Path

__all__ = ["modules_of"]

_LIBRARY = Path(__file__).parent


def modules_of(room: str, first: str = "") -> tuple[str, ...]:
    """Names of the modules in a room of the library, sorted; nothing is imported.

    Args:
        room: path of the room, such as `learning/methods`.
        first: a name to put first.

    >>> modules_of("learning/methods", first="sequal")
    ('sequal', 'cross')
    """
    names = sorted(module.name for module in pkgutil.iter_modules([str(_LIBRARY / room)]))
    return tuple(sorted(names, key=lambda name: name != first))
