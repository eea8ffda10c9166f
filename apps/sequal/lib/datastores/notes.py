"""What is noted about images and labels in `datastore_v2.json`: only what can be read back is written there.

MONAI Label's own file breaks as a whole: one info that its reader refuses, and the infos of all labels are gone.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from monailabel.datastore.local import ImageLabelModel, LocalDatastoreModel

from sequal.errors import SettingsError
from sequal.files.imaging.names import is_storable_name

__all__ = ["PREVIOUS", "check_note", "read_list", "rescued_list"]

logger = logging.getLogger(__name__)

#: A copy of the file; read when the file itself is damaged.
PREVIOUS: Final = ".previous"
#: The file's reader gives up at 200 levels, which the file's own share.
_DEEPEST: Final = 32
_LARGEST_NOTE: Final = 1 << 20
_OBJECTS: Final = '"objects"'


def check_note(note: object, name: str = "params") -> None:
    """Refuse what could not be read back from the file.

    Args:
        note: what a client wants to be noted: a JSON object.
        name: what to call it in the error.

    Raises:
        SettingsError: it is no JSON object, nested deeper than 32 levels, larger than 1 MiB, or holds a number that is
            not finite or half of a surrogate pair.

    >>> check_note({"reader": "anna", "seconds": 3.5})
    """
    rule = f"Expected `{name}` to be"
    if not isinstance(note, Mapping):
        raise SettingsError(f"{rule} a JSON object, got {type(note).__name__}. Send for example {{}}.")
    if _depth(note) > _DEEPEST:
        raise SettingsError(f"{rule} nested at most {_DEEPEST} levels, got more. Use fewer levels.")
    try:
        text = json.dumps(note, ensure_ascii=False, allow_nan=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise SettingsError(
            f"{rule} text that UTF-8 can hold, got half of a surrogate pair. Send whole characters."
        ) from error
    except ValueError as error:
        raise SettingsError(f"{rule} finite numbers of ordinary length, got {error}. Leave them out.") from error
    if len(text) > _LARGEST_NOTE:
        raise SettingsError(f"{rule} at most {_LARGEST_NOTE} bytes, got {len(text)}. Send less.")


def read_list(file: Path) -> LocalDatastoreModel:
    """The list in a file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    return LocalDatastoreModel.model_validate_json(file.read_bytes())


def rescued_list(file: Path) -> LocalDatastoreModel:
    """What can still be read of a damaged list: every entry by itself, else as a copy of the file has it.

    Returns:
        The list; entries that are lost are missing, their images are found again by their files.
    """
    previous: dict[str, Any] = {}
    before = file.with_name(file.name + PREVIOUS)
    if before.exists():
        previous = dict(_entries(_text(before)))
    found = dict(_entries(_text(file)))
    objects = {}
    for image, entry in {**previous, **found}.items():
        for candidate in (entry, previous.get(image)):
            try:
                objects[image] = ImageLabelModel.model_validate(_storable(candidate))
                break
            except ValueError as error:
                logger.warning("What is noted about %r cannot be read: %s", image, str(error).splitlines()[0])
    return LocalDatastoreModel(name="new-dataset", description="New Dataset", images_dir=".", objects=objects)


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        logger.warning("%s cannot be read: %s", file, error)
        return ""


def _entries(text: str) -> Iterator[tuple[str, Any]]:
    """Image and entry, one after the other, until the text is no JSON any more."""
    decoder = json.JSONDecoder()
    start = text.find("{", text.find(_OBJECTS) + 1) if _OBJECTS in text else -1
    at = start + 1
    while start >= 0:
        try:
            at = _skip(text, at, ",")
            image, at = decoder.raw_decode(text, at)
            entry, at = decoder.raw_decode(text, _skip(text, at, ":"))
        except (ValueError, RecursionError):
            return
        if isinstance(image, str) and is_storable_name(image):
            yield image, entry


def _skip(text: str, at: int, separator: str) -> int:
    while at < len(text) and (text[at].isspace() or text[at] == separator):
        at += 1
    return at


def _storable(entry: object, level: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """The entry without what the file's reader refuses; the rest of it is kept."""
    if isinstance(entry, Mapping):
        inner = {str(_storable(key)): value for key, value in entry.items()}
        return {} if level > _DEEPEST else {key: _storable(value, level + 1) for key, value in inner.items()}
    if isinstance(entry, list):
        return [] if level > _DEEPEST else [_storable(value, level + 1) for value in entry]
    return entry.encode("utf-8", "replace").decode() if isinstance(entry, str) else entry


def _depth(note: object) -> int:
    """Levels of nesting, counted without recursion; what is deeper than is allowed is not counted further."""
    depth, level = 0, [note]
    while level and depth <= _DEEPEST:
        inner: list[object] = []
        for value in level:
            if isinstance(value, Mapping):
                inner.extend(value.values())
            elif isinstance(value, list | tuple):
                inner.extend(value)
        depth += bool(inner or any(isinstance(value, Mapping | list | tuple) for value in level))
        level = inner
    return depth
