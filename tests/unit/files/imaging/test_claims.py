"""A file that claims too much is refused from its header, whatever its format, and never takes the memory."""

import gzip
import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit

from sequal.errors import ImageError, LabelError
from sequal.files.imaging import read_frame, read_label
from sequal.files.imaging.claims import SETTING, claimed_pixels, set_largest_image

LIMIT = 1_000_000
GRID = (12, 9, 1)


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    set_largest_image(LIMIT)
    yield
    set_largest_image(100_000_000)


def _nifti_header(shape: tuple[int, ...], dtype: str = "u1") -> bytes:
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header["dim"][: len(shape) + 1] = [len(shape), *shape]
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return header.binaryblock + b"\0" * 4


def _short_nifti(path: Path) -> Path:
    path = path.with_suffix(".nii.gz")
    path.write_bytes(gzip.compress(_nifti_header((32000, 32000, 4))))
    assert path.stat().st_size < 200
    return path


def _nifti_2(path: Path) -> Path:
    header = nib.Nifti2Header()
    header["dim"][:4] = [3, 2**40, 2, 1]
    path = path.with_suffix(".nii")
    path.write_bytes(header.binaryblock + b"\0" * 4)
    return path


def _swapped_nifti(path: Path) -> Path:
    header = nib.Nifti1Header(endianness=">")
    header["dim"][:4] = [3, 30000, 30000, 2]
    header["vox_offset"], header["magic"] = 352, b"n+1"
    path = path.with_suffix(".nii")
    path.write_bytes(header.binaryblock + b"\0" * 4)
    return path


def _damaged_in_front(path: Path) -> Path:
    """A large NIfTI file with a wrong size of its header, which nibabel reads all the same."""
    path = path.with_suffix(".nii.gz")
    path.write_bytes(gzip.compress(struct.pack("<i", 349) + _nifti_header((32000, 32000, 4))[4:]))
    return path


def _other_order_in_front(path: Path) -> Path:
    """The size of the header in one byte order, everything else in the other one."""
    header = bytearray(_swapped_nifti(path).read_bytes())
    header[:4] = struct.pack("<i", 348)
    path = path.with_suffix(".nii")
    path.write_bytes(header)
    return path


def _long_vector(path: Path) -> Path:
    """Freesurfer's way to say that the first axis is longer than 32,767."""
    header = bytearray(_nifti_header((1, 1, 1)))
    struct.pack_into("<h", header, 42, -1)
    struct.pack_into("<i", header, 144, 2**31 - 1)  # glmin
    path = path.with_suffix(".nii")
    path.write_bytes(header)
    return path


def _wrong_bits(path: Path) -> Path:
    """Values of 16 bytes that claim to have 8 bits."""
    header = bytearray(_nifti_header((600, 1000, 1), "c16"))
    struct.pack_into("<h", header, 72, 8)
    path = path.with_suffix(".nii.gz")
    path.write_bytes(gzip.compress(bytes(header)))
    return path


def _wide_type(path: Path) -> Path:
    path = path.with_suffix(".nii.gz")
    path.write_bytes(gzip.compress(_nifti_header((600, 1000, 1), "c16")))
    return path


def _nrrd(path: Path) -> Path:
    path = path.with_suffix(".nrrd")
    path.write_bytes(
        b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 60000 60000 1\nencoding: gzip\n\n" + gzip.compress(b"")
    )
    return path


def _block_nrrd(path: Path) -> Path:
    path = path.with_suffix(".nrrd")
    path.write_bytes(b"NRRD0004\ntype: double\ndimension: 4\nsizes: 4 1000 1000 1\nendian: little\nencoding: raw\n\n")
    return path


def _flat_png(path: Path, side: int = 4000, kind: str = ".png", mode: str = "L") -> Path:
    path = path.with_suffix(kind)
    Image.new(mode, (side, side)).save(path)
    return path


def _flat_jpeg(path: Path) -> Path:
    return _flat_png(path, 4000, ".jpg")


def _bomb_png(path: Path) -> Path:
    """A header of 60000 x 60000 pixels and nothing behind it."""
    path = path.with_suffix(".png")
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def _pages(path: Path) -> Path:
    path = path.with_suffix(".tif")
    page = Image.new("L", (500, 500))
    page.save(path, save_all=True, append_images=[page] * 5, compression="tiff_lzw")
    return path


def _dicom(path: Path, rows: int, frames: int, syntax: str = ExplicitVRLittleEndian, pixels: bytes = b"\0\0") -> Path:
    path = path.with_suffix(".dcm")
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = pydicom.uid.UltrasoundImageStorage, "1.2.3"
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.Rows = dataset.Columns = rows
    dataset.NumberOfFrames, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = frames, 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels
    if syntax == JPEGBaseline8Bit:
        dataset.PixelData = pydicom.encaps.encapsulate([pixels])
        dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, write_like_original=False)
    return path


def _many_frames(path: Path) -> Path:
    return _dicom(path, 512, 100_000)


def _jpeg_with_a_size_of_its_own(path: Path) -> Path:
    content = io.BytesIO()
    Image.new("L", (4000, 4000)).save(content, "JPEG")
    return _dicom(path, 16, 1, JPEGBaseline8Bit, content.getvalue())


def _deflated(path: Path) -> Path:
    return _dicom(path, 16, 1, DeflatedExplicitVRLittleEndian, b"\0" * 20_000_000)


CLAIMS = [
    _short_nifti,
    _nifti_2,
    _swapped_nifti,
    _damaged_in_front,
    _other_order_in_front,
    _long_vector,
    _wrong_bits,
    _wide_type,
    _nrrd,
    _block_nrrd,
    _flat_png,
    lambda path: _flat_png(path, 900, ".png", "RGB"),
    lambda path: _flat_png(path, 4000, ".bmp"),
    _flat_jpeg,
    _bomb_png,
    _pages,
    _many_frames,
    _deflated,
]


def _peak(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("make", CLAIMS)
def test_an_image_that_claims_too_much_is_refused_by_name_of_the_setting(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path / "claim")

    def read() -> None:
        with pytest.raises(ImageError, match=SETTING) as caught:
            read_frame(path)
        assert str(LIMIT) in str(caught.value)

    assert _peak(read) < 8 * LIMIT


@pytest.mark.parametrize("make", [make for make in CLAIMS if make not in (_many_frames, _deflated, _flat_jpeg)])
def test_a_label_that_claims_too_much_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path / "claim")

    def read() -> None:
        with pytest.raises(LabelError, match=SETTING):
            read_label(path, GRID)

    assert _peak(read) < 8 * LIMIT


def test_a_frame_of_a_compressed_dicom_file_has_no_size_of_its_own(tmp_path: Path) -> None:
    path = _jpeg_with_a_size_of_its_own(tmp_path / "claim")
    with pytest.raises(ImageError):
        read_frame(path)


def test_bare_bytes_beyond_the_limit_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "l.bin").write_bytes(b"\0" * 12 * 9 * 10_000)
    with pytest.raises(LabelError, match=SETTING):
        read_label(tmp_path / "l.bin", GRID)


def test_a_label_far_larger_than_its_image_is_on_another_grid(tmp_path: Path) -> None:
    set_largest_image(100_000_000)
    path = tmp_path / "l.nii.gz"
    path.write_bytes(gzip.compress(_nifti_header((4000, 4000, 1))))
    with pytest.raises(LabelError, match="the size of its frame"):
        read_label(path, GRID)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2", "raw", "ascii"])
@pytest.mark.parametrize("read", [read_frame, lambda path: read_label(path, GRID)])
def test_a_stream_that_is_larger_than_its_header_says_is_not_unpacked(
    tmp_path: Path, encoding: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "bomb.nrrd"
    nrrd.write(str(path), np.zeros((4000, 4000, 1), np.uint8), {"encoding": encoding})
    path.write_bytes(path.read_bytes().replace(b"sizes: 4000 4000 1", b"sizes: 12 9 1"))

    def check() -> None:
        with pytest.raises((ImageError, LabelError), match="got more"):
            read(path)

    assert _peak(check) < 4 * LIMIT


def _cut(path: Path, suffix: str) -> Path:
    """A file of three quarters of a million pixels that holds one byte of them."""
    path = path.with_suffix(suffix)
    if suffix == ".nrrd":
        head = "NRRD0004\ntype: double\ndimension: 3\nsizes: 750 1000 1\nendian: little\nencoding: raw\n\n"
        path.write_bytes(head.encode() + b"\0")
        return path
    content = _nifti_header((750, 1000, 1), "f8") + b"\0"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("read", [read_frame, lambda path: read_label(path, (750, 1000, 1))])
def test_a_file_that_is_too_short_for_its_header_takes_no_memory(
    tmp_path: Path, suffix: str, read: Callable[[Path], object]
) -> None:
    path = _cut(tmp_path / "cut", suffix)

    def check() -> None:
        with pytest.raises((ImageError, LabelError), match="damaged or cut off"):
            read(path)

    assert _peak(check) < 3 * LIMIT


@pytest.mark.parametrize("encoding", ["gzip", "bzip2", "raw", "ascii"])
def test_an_nrrd_file_that_is_no_shorter_than_its_header_says_is_read(tmp_path: Path, encoding: str) -> None:
    nrrd.write(str(tmp_path / "i.nrrd"), np.zeros(GRID, np.uint8), {"encoding": encoding})
    assert read_frame(tmp_path / "i.nrrd").grid == GRID


@pytest.mark.parametrize("esize", [2**31 - 16, 0, -5, 1 << 20])
def test_an_extension_of_a_nifti_header_that_reaches_beyond_it_is_not_read(tmp_path: Path, esize: int) -> None:
    header = bytearray(_nifti_header((4, 4, 1)))
    header[108:112] = struct.pack("<f", 352 + 64)
    header[348] = 1
    path = tmp_path / "e.nii.gz"
    path.write_bytes(gzip.compress(bytes(header) + struct.pack("<ii", esize, 6) + b"\0" * 5_000_000))

    def check() -> None:
        with pytest.raises(ImageError, match="extensions"):
            read_frame(path)

    assert _peak(check) < 2 * LIMIT


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), -4.0, 3e9])
def test_pixels_that_begin_nowhere_are_refused(tmp_path: Path, offset: float) -> None:
    header = bytearray(_nifti_header((4, 4, 1)))
    header[108:112] = struct.pack("<f", offset)
    (tmp_path / "o.nii").write_bytes(bytes(header) + b"\0" * 64)
    with pytest.raises(ImageError, match="begin within"):
        read_frame(tmp_path / "o.nii")


def test_a_large_image_is_read_when_the_setting_allows_it(tmp_path: Path) -> None:
    path = _flat_png(tmp_path / "large")
    set_largest_image(16_000_000)
    assert read_frame(path).grid == (4000, 4000, 1)


def test_a_legal_nifti_with_an_extension_is_read(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(108, dtype=np.uint8).reshape(GRID), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100))
    nib.save(image, tmp_path / "i.nii.gz")
    assert read_frame(tmp_path / "i.nii.gz").grid == GRID
    assert claimed_pixels(tmp_path / "i.nii.gz") == 108


def test_a_thousand_segments_are_refused(tmp_path: Path) -> None:
    header = {"encoding": "raw"}
    for number in range(1000):
        header |= {f"Segment{number}_ID": f"s{number}", f"Segment{number}_LabelValue": "1"}
    nrrd.write(str(tmp_path / "s.seg.nrrd"), np.ones(GRID, np.uint8), header)
    with pytest.raises(LabelError, match="255 segments"):
        read_label(tmp_path / "s.seg.nrrd", GRID)
