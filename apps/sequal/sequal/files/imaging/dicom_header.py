"""The header of a DICOM file, written anew for readers that trust what a file claims."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["clean_header"]


@contextmanager
def clean_header(path: Path) -> Iterator[Path | None]:
    """A temporary DICOM file with the header of another one and black pixels.

    GDCM, with which ITK reads DICOM, believes the length of a damaged element: 20 kB cost it 800 MB, which it never
    gave back. pydicom reads no further than the file goes.

    Args:
        path: a DICOM file.

    Yields:
        The file, or None where the header cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "header.dcm"
        try:
            _write(path, target)
        # What cannot be read or written comes in many ways; the image is then placed without ITK.
        except Exception:
            yield None
            return
        yield target


def _write(path: Path, target: Path) -> None:
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.get("SOPClassUID") or getattr(
        header.file_meta, "MediaStorageSOPClassUID", SecondaryCaptureImageStorage
    )
    meta.MediaStorageSOPInstanceUID = header.get("SOPInstanceUID") or "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.decode()
    header.file_meta = meta
    header.is_little_endian, header.is_implicit_VR = True, False
    # One grey frame will do: only its place is asked for.
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    if "NumberOfFrames" in header:
        header.NumberOfFrames = 1
    header.add_new("PixelData", "OB", bytes(int(header.Rows) * int(header.Columns)))
    header.save_as(str(target), write_like_original=False)
