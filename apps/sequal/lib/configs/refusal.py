"""How an error of this app reaches a MONAI Label client."""

from collections.abc import Iterable
from typing import Final

from fastapi import HTTPException, status

from sequal.errors import ImageError, LabelError, PacsError, SequalError, SettingsError, StorageError
from sequal.study.storage import is_storage_problem

__all__ = ["conflict", "not_found", "refusal"]

#: What a client sent is wrong; anything else is wrong at the server.
_OF_THE_CLIENT: Final = (ImageError, LabelError, SettingsError)


def refusal(error: SequalError) -> HTTPException:
    """The answer 400, 503, 507 or 500 with the error's own words; MONAI Label's would become a bare 500."""
    if isinstance(error, PacsError):
        return HTTPException(status_code=status.HTTP_503_SERVICE_UNAVAILABLE, detail=str(error))
    if isinstance(error, StorageError) or is_storage_problem(error):
        return HTTPException(status_code=status.HTTP_507_INSUFFICIENT_STORAGE, detail=str(error))
    of_the_client = isinstance(error, _OF_THE_CLIENT)
    code = status.HTTP_400_BAD_REQUEST if of_the_client else status.HTTP_500_INTERNAL_SERVER_ERROR
    return HTTPException(status_code=code, detail=str(error))


def conflict(reason: str) -> HTTPException:
    """The answer 409: what is asked for would be in the way of something else.

    Args:
        reason: what, and what to do.
    """
    return HTTPException(status_code=status.HTTP_409_CONFLICT, detail=reason)


def not_found(kind: str, name: object, known: Iterable[str] = ()) -> HTTPException:
    """The answer 404 for a name that the app does not know.

    Args:
        kind: what was named, `strategy` say.
        name: as it came.
        known: names that would do; empty when they are too many to tell.
    """
    options = ", ".join(sorted(known))
    rule = f"one of {options}" if options else "one that this study has"
    return HTTPException(
        status_code=status.HTTP_404_NOT_FOUND,
        detail=f"Expected `{kind}` to be {rule}, got {name!r}. Ask for `/info/` or `/datastore/` to see what there is.",
    )
