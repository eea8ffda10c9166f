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
        rounds: of the state: one of an older version has no note, but settings in each round.

    Raises:
        SettingsError: it is of another model, or of other labels or of these in another order.
    """
    found = _noted(root) or (rounds[-1].settings if rounds else {})
    for key in _KEYS:
        wanted, came = found.get(key, getattr(settings, key)), getattr(settings, key)
        if wanted != came:
            raise SettingsError(
                f"Expected `{key}` to be {wanted or 'unset'}, because the labels, scores and rounds of the state "
                f"{root} are of that, got {came or 'none'}. Nothing was changed. Set `{key}` back, or begin a new "
                "study: another --conf state, and images without labels, because a label file holds numbers alone."
            )


def note_made_for(root: Path, settings: Settings) -> None:
    """Note what a state is for, the first time that it is served.

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
