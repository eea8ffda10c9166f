"""Who and what an exported image is: the names that DICOM shows, and the UIDs that follow from its content."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from sequal.files.dicom.uids import content_uid
from sequal.files.imaging import Frame

__all__ = ["ImageIdentity", "pseudonym"]

#: Hexadecimal characters of a pseudonym: 64 bits, so that two patients do not meet.
_PSEUDONYM_LENGTH: Final = 16


@dataclass(frozen=True)
class ImageIdentity:
    """One image of a study on its way to a PACS.

    Every image is a DICOM study of its own, with its labels and measurements as further series: the viewer's
    "Next Sample" opens a study, not a series, and would show another image of the patient first. The patient's
    images are held together by `patient`.

    Attributes:
        patient: PatientID, as the study names the patient, or a pseudonym.
        image: the image's id in the study, or a pseudonym.
        digest: SHA-256 of pixels, grid and calibration.
    """

    patient: str
    image: str
    digest: str

    @classmethod
    def of(cls, frame: Frame, *, patient: str, image: str) -> Self:
        """The identity of a frame.

        Args:
            frame: the image.
            patient: whose image it is.
            image: its id.
        """
        content = hashlib.sha256(repr((frame.grid, frame.calibration.spacing_mm)).encode())
        content.update(frame.pixels.tobytes())
        return cls(patient, image, content.hexdigest())

    @classmethod
    def of_volume(cls, frame: Frame, *, patient: str, image: str) -> Self:
        """The identity of a volume, which is also another one where it lies elsewhere; arguments as for `of`."""
        content = hashlib.sha256(repr((frame.grid, np.round(frame.affine, 6).tolist())).encode())
        content.update(frame.pixels.tobytes())
        return cls(patient, image, content.hexdigest())

    @property
    def study_uid(self) -> str:
        """StudyInstanceUID."""
        return self.uid("study")

    def uid(self, *parts: str | int) -> str:
        """The UID of a part of this image's study; the same parts give the same UID."""
        return content_uid(self.patient, self.image, self.digest, *parts)


def pseudonym(name: str, salt: str) -> str:
    """A name that cannot be turned back without the salt.

    Args:
        name: what to hide.
        salt: the secret; the same salt gives the same pseudonym.

    Returns:
        16 hexadecimal characters of HMAC-SHA-256.

    >>> pseudonym("p01", "secret") == pseudonym("p01", "secret") != pseudonym("p01", "other")
    True
    """
    return hmac.new(salt.encode(), name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[
        :_PSEUDONYM_LENGTH
    ]
