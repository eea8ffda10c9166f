"""What a state is for: its labels, scores and rounds mean nothing for another model or other labels."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sequal.errors import SettingsError
from sequal.settings import Settings
from sequal.study.state.atomic import create_once
from sequal.study.state.rounds import RoundRecord

__all__ = ["check_made_for", "note_made_for"]

_NOTE: Final = "made_for.json"
#: A label file holds numbers; these settings say what they mean.
_KEYS: Final = ("models", "labels")


def check_made_for(root: Path, settings: Settings, rounds: Sequence[RoundRecord]) -> None:
    """Make sure that a state is of the model and of the labels of the settings; a state without a note fits any.

    Args:
        root: the state folder.
        settings: of the study.
        rounds: of the state: one of an older version has no note, but settings in each round. A round that was not
            published says nothing: its settings may have been the mistake.

    Raises:
        SettingsError: it is of another model, or of other labels or of these in another order.
    """
    found = noted = _noted(root)
    if not noted:
        found = next((record.settings for record in reversed(rounds) if record.status == "published"), {})
    place = f"`{root / _NOTE}`" if noted else "its last published round"
    for key in _KEYS:
        wanted, came = found.get(key, getattr(settings, key)), getattr(settings, key)
        if wanted != came:
            raise SettingsError(
                f"Expected `{key}` to be {wanted or 'unset'}, because the labels, scores and rounds of the state "
                f"`{root}` are of that (so says {place}), got {came or 'none'}. Nothing was changed. Set `{key}` back, "
                "or begin a new study: another --conf state, and images without labels, because a label file holds "
                "numbers alone."
                + (f" Only if the labels were drawn with the new `{key}`, delete {place}." if noted else "")
            )


def note_made_for(root: Path, settings: Settings) -> None:
    """Note what a state is for, where that is not noted: for the first label that is stored.

    An empty state is for anything: a mistake of the first start can be corrected.

    Raises:
        OSError: it cannot be written.
    """
    if not (root / _NOTE).exists():
        content = {key: getattr(settings, key) for key in _KEYS}
        create_once(root / _NOTE, json.dumps(content, indent=1).encode())


def _noted(root: Path) -> Mapping[str, Any]:
    """What was noted; nothing where there is no note, or a damaged one, which says nothing."""
    try:
        found = json.loads((root / _NOTE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
