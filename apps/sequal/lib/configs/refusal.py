"""How an error of this app reaches a MONAI Label client."""

from fastapi import HTTPException, status

from lib.errors import SequalError

__all__ = ["refusal"]


def refusal(error: SequalError) -> HTTPException:
    """The answer 400 with the error's own words; MONAI Label's exceptions would become a bare 500."""
    return HTTPException(status_code=status.HTTP_400_BAD_REQUEST, detail=str(error))
