"""What another library's exception says, short enough for a message to a user."""

from typing import Final

__all__ = ["reason"]

_LONGEST: Final = 200


def reason(error: Exception) -> str:
    r"""First line of an exception's text, or its type where it has none.

    >>> reason(ValueError("no such operator\n  File …")), reason(KeyError())
    ('no such operator', 'KeyError')
    """
    first = next(iter(str(error).splitlines()), "")
    return first[:_LONGEST] or type(error).__name__
