"""Every key that a request may carry, by endpoint, with the rule for its value.

MONAI Label hands all keys of a request to the processes that train and score: one of them becomes their `PYTHONPATH`,
another their CUDA devices, others are paths. So a key passes only if it stands here.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from sequal.errors import SettingsError
from sequal.files.imaging.markups import MARKUPS_SUFFIX
from sequal.files.imaging.writing import WRITABLE_SUFFIXES, WRITABLE_TYPES
from sequal.rules import Rule, boolean, choice, integer, number
from sequal.settings import per_request_keys

__all__ = ["SYNONYMS", "Endpoint", "checked", "only_known"]

Endpoint = Literal["activelearning", "batch infer", "infer", "scoring", "train"]

#: MONAI Label's own name for a setting that this app has under another.
SYNONYMS: Final = {"max_epochs": "epochs"}
_SHOWN: Final = 80


def _matching(pattern: str, meaning: str) -> Rule:
    """A string of a form."""
    form = re.compile(pattern)

    def parse(raw: object) -> str:
        if not isinstance(raw, str) or not form.fullmatch(raw):
            raise ValueError(raw)
        return raw

    return Rule(meaning, parse)


def _any() -> Rule:
    """A value that is judged later, with the others: a setting of a round."""
    return Rule("a setting", lambda raw: raw)


def _client() -> Rule:
    def parse(raw: object) -> str:
        if not isinstance(raw, str) or len(raw) > 128 or not raw.isprintable():
            raise ValueError(raw)
        return raw

    return Rule("at most 128 characters that can be seen", parse)


_WORD: Final = _matching(r"[A-Za-z0-9._-]{1,64}", "at most 64 letters, digits, '.', '_' or '-'")
_SUFFIXES: Final = (*WRITABLE_SUFFIXES, MARKUPS_SUFFIX, ".json")
#: What MONAI Label's clients send with every request.
_EVERYWHERE: Final[dict[str, Rule]] = {
    "client_id": _client(),
    "device": _matching(r"auto|cpu|cuda(:\d{1,2})?", "auto, cpu, cuda or cuda:N"),
    "gpus": _matching(r"all|\d{1,2}(,\d{1,2})*", "all, or numbers separated by commas"),
    "multi_gpu": boolean(),
    "logging": choice(("DEBUG", "INFO", "WARNING", "ERROR")),
}
_RESULT: Final[dict[str, Rule]] = {
    "result_extension": choice(("", *_SUFFIXES, *(suffix.lstrip(".") for suffix in _SUFFIXES))),
    "result_dtype": choice(WRITABLE_TYPES),
    "result_compress": boolean(),
    "result_write_to_file": boolean(),
    "restore_label_idx": boolean(),
    "save_label": boolean(),
    "label_tag": _WORD,
}
_KEYS: Final[dict[Endpoint, dict[str, Rule]]] = {
    "activelearning": _EVERYWHERE | {"model": _WORD},
    "infer": _EVERYWHERE | _RESULT,
    "batch infer": _EVERYWHERE | _RESULT | {"max_workers": integer(0, 64), "max_batch_size": integer(0, 10**9)},
    "scoring": _EVERYWHERE
    | {"model": _WORD, "acquisitions": _matching(r"[a-z_, ]{0,200}", "names separated by commas")},
    "train": _EVERYWHERE
    | {key: _any() for key in (*per_request_keys(), *SYNONYMS)}
    # Of MONAI Label's own trainers; they change nothing here.
    | {
        "name": _WORD,
        "pretrained": boolean(),
        "early_stop_patience": integer(-1, 10**6),
        "val_split": number(0, 1),
        "train_batch_size": integer(1, 10**4),
        "val_batch_size": integer(1, 10**4),
        "dataset": _WORD,
        "dataloader": _WORD,
        "tracking": _matching(r"[a-z]{0,16}", "a word"),
    },
}


def checked(endpoint: Endpoint, values: Mapping[str, object]) -> dict[str, Any]:
    """The values of a request, each as its rule reads it.

    Args:
        endpoint: that the request is for.
        values: as they came; null is the same as leaving a key out.

    Returns:
        The values that were given.

    Raises:
        SettingsError: a key is unknown, or a value breaks its rule.

    >>> checked("infer", {"save_label": "false", "client_id": None})
    {'save_label': False}
    >>> checked("train", {"bundle_path": "/tmp"})
    Traceback (most recent call last):
    sequal.errors.SettingsError: Expected every key of a train request to be known, got 'bundle_path'. Leave it out.
    """
    rules = _KEYS[endpoint]
    only_known(f"key of a {endpoint} request", values, rules)
    return {key: _parsed(key, value, rules[key]) for key, value in values.items() if value is not None}


def only_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a name that is not known.

    Raises:
        SettingsError: there is one; the message says which.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name[:_SHOWN], list(known), n=1)
            cure = f"Did you mean `{close[0]}`?" if close else "Leave it out."
            raise SettingsError(f"Expected every {what} to be known, got {name[:_SHOWN]!r}. {cure}")


def _parsed(key: str, value: object, rule: Rule) -> object:
    try:
        return rule.parse(value)
    except (ValueError, OverflowError, TypeError) as error:
        raise SettingsError(
            f"Expected `{key}` to be {rule.text}, got {repr(value)[:_SHOWN]}. Change it, or leave it out."
        ) from error
