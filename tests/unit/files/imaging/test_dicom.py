import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from sequal.errors import ImageError
from sequal.files.imaging import read_frame

ROWS, COLUMNS = 4, 6


def _write(path: Path, stored: np.ndarray, **tags: object) -> Path:
    """An uncompressed ultrasound image from the array that DICOM stores, (rows, columns) last or "
    "before colour."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.Modality = "US"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = stored.dtype.itemsize * 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(str(path), write_like_original=False)
    return path


def _ramp(*shape: int, dtype: str = "u1") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_grey_frame_is_transposed(tmp_path: Path) -> None:
    frame = read_frame(_write(tmp_path / "IM0001", _ramp(ROWS, COLUMNS)))
    assert frame.shape == (COLUMNS, ROWS)
    np.testing.assert_array_equal(frame.pixels[..., 0], _ramp(ROWS, COLUMNS).T)
    np.testing.assert_array_equal(frame.affine, np.diag([-1.0, -1.0, 1.0, 1.0]))
    assert frame.calibration.source == "none"


def test_frames_lie_along_the_third_axis(tmp_path: Path) -> None:
    stored = _ramp(3, ROWS, COLUMNS)
    frame = read_frame(_write(tmp_path / "a.dcm", stored, NumberOfFrames=3))
    assert frame.shape == (COLUMNS, ROWS, 3)
    for index in range(3):
        np.testing.assert_array_equal(frame.pixels[..., index], stored[index].T)


@pytest.mark.parametrize(("dtype", "stored_bits", "white"), [("u1", 8, 255.0), ("u2", 12, 4095.0), ("i2", 16, -1.0)])
def test_monochrome1_is_inverted(tmp_path: Path, dtype: str, stored_bits: int, white: float) -> None:
    stored = _ramp(ROWS, COLUMNS, dtype=dtype)
    path = _write(
        tmp_path / "a.dcm",
        stored,
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=stored_bits,
        HighBit=stored_bits - 1,
    )
    np.testing.assert_array_equal(read_frame(path).pixels[..., 0], white - stored.T.astype(float))


def test_rescale_slope_is_left_out(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.dcm", _ramp(ROWS, COLUMNS), RescaleSlope="3", RescaleIntercept="-1000")
    assert read_frame(path).pixels.max() == ROWS * COLUMNS - 1


@pytest.mark.parametrize("frames", [1, 3])
def test_colour_becomes_luma(tmp_path: Path, frames: int) -> None:
    stored = np.zeros((frames, ROWS, COLUMNS, 3), np.uint8)
    stored[..., 0] = 200
    stored[:, 1, 2] = 77
    tags = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "NumberOfFrames": frames}
    frame = read_frame(_write(tmp_path / "a.dcm", stored, PhotometricInterpretation="RGB", **tags))
    assert frame.grid == (COLUMNS, ROWS, frames)
    assert frame.pixels[2, 1].tolist() == [77.0] * frames
    assert frame.pixels[0, 0] == pytest.approx(0.299 * 200)


def test_luma_of_ybr_is_its_first_channel(tmp_path: Path) -> None:
    stored = np.full((ROWS, COLUMNS, 3), 128, np.uint8)
    stored[..., 0] = _ramp(ROWS, COLUMNS)
    tags = {"SamplesPerPixel": 3, "PlanarConfiguration": 0}
    frame = read_frame(_write(tmp_path / "a.dcm", stored, PhotometricInterpretation="YBR_FULL", **tags))
    np.testing.assert_array_equal(frame.pixels[..., 0], _ramp(ROWS, COLUMNS).T)


def test_palette_is_looked_up(tmp_path: Path) -> None:
    table = np.arange(256, dtype="u2")[::-1] * 256
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
    frame = read_frame(_write(tmp_path / "a.dcm", _ramp(ROWS, COLUMNS), **tags))
    np.testing.assert_array_equal(frame.pixels[..., 0], table[_ramp(ROWS, COLUMNS).T])


def test_calibration_and_affine_come_from_the_ultrasound_region(tmp_path: Path) -> None:
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.006, 0.005
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = COLUMNS - 1, ROWS - 1
    tags = {"SequenceOfUltrasoundRegions": Sequence([region]), "PixelSpacing": [0.05, 0.06]}
    frame = read_frame(_write(tmp_path / "a.dcm", _ramp(ROWS, COLUMNS), **tags))
    assert frame.calibration.source == "dicom ultrasound regions"
    assert frame.calibration.spacing_mm == pytest.approx((0.06, 0.05))
    np.testing.assert_allclose(frame.affine, np.diag([-0.06, -0.05, 1.0, 1.0]))


def test_object_without_pixels_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.dcm", _ramp(ROWS, COLUMNS))
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.Modality = "SR"
    dataset.save_as(path)
    with pytest.raises(ImageError, match=r"a\.dcm to be a DICOM image, got SR"):
        read_frame(path)


def test_compression_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.dcm", _ramp(ROWS, COLUMNS))
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG-2
    dataset.PixelData = encapsulate([bytes(64)])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    with pytest.raises(ImageError, match=r"1\.2\.840\.10008\.1\.2\.4\.100.*uncompressed"):
        read_frame(path)


def test_truncated_pixels_are_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.dcm", _ramp(2, ROWS, COLUMNS)[0], NumberOfFrames=2)
    with pytest.raises(ImageError, match="readable dicom"):
        read_frame(path)


def test_missing_pydicom_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "a.dcm", _ramp(ROWS, COLUMNS))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImageError, match="pip install pydicom"):
        read_frame(path)
