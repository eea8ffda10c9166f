"""What made the objects: the same lines in images, segmentations and reports."""

from typing import Final

from pydicom.dataset import Dataset

from sequal.files.dicom.grid import STEP_MM
from sequal.files.dicom.identity import ImageIdentity
from sequal.files.dicom.labels import OutgoingLabel
from sequal.files.dicom.text import name_character_set
from sequal.files.dicom.uids import FORM

__all__ = ["MANUFACTURER", "MODEL", "SERIAL_NUMBER", "SOFTWARE_VERSION", "fix_identity", "highdicom_header"]

MANUFACTURER: Final = "SEQUAL"
MODEL: Final = "SEQUAL for MONAI Label"
#: The same for all: it is software, and an export must not differ between machines.
SERIAL_NUMBER: Final = "0"
SOFTWARE_VERSION: Final = FORM


def highdicom_header(image: Dataset, step_mm: float = STEP_MM) -> Dataset:
    """An image's header as highdicom wants it: without pixels, with thickness and step, the name with its separator."""
    header = Dataset()
    # Elements are shared with the image: one that is to differ must be a new one.
    header.update({element.tag: element for element in image if element.keyword not in ("PixelData", "PatientName")})
    header.SliceThickness = header.SpacingBetweenSlices = step_mm
    header.PatientName = f"{image.PatientName}^"
    return header


def fix_identity(derived: Dataset, image: Dataset, label: OutgoingLabel, identity: ImageIdentity) -> None:
    """Replace what highdicom takes from the clock and from chance by what follows from the content.

    Args:
        derived: a segmentation or report, changed in place.
        image: one of the images that it belongs to.
        label: what it was made of, which dates it.
        identity: of the image.
    """
    derived.PatientName, derived.StudyDescription = image.PatientName, image.StudyDescription
    name_character_set(derived)
    for kind in ("Content", "Series"):
        setattr(derived, f"{kind}Date", label.date)
        setattr(derived, f"{kind}Time", label.time)
    if "DimensionOrganizationSequence" in derived:
        uid = identity.uid("dimensions", label.digest)
        for item in (*derived.DimensionOrganizationSequence, *derived.DimensionIndexSequence):
            item.DimensionOrganizationUID = uid
