import gzip
import logging
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from PIL import Image

from sequal.errors import ImageError, LabelError
from sequal.files.imaging import Frame, read_frame, to_luma

AFFINE = np.diag([-0.06, -0.05, 1.0, 1.0])


def _nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def _ramp(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 4), (5, 7, 1, 1)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_keeps_values_grid_and_affine(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    array = _ramp(*shape)
    frame = read_frame(_nifti(tmp_path / f"a{suffix}", array))
    assert frame.pixels.dtype == np.float32
    assert frame.shape == shape
    assert frame.grid == (*shape, 1)[:3]
    np.testing.assert_array_equal(frame.to_file_grid(frame.pixels), array)
    np.testing.assert_allclose(frame.affine, AFFINE, rtol=1e-6)
    assert frame.calibration.spacing_mm == (0.06, 0.05)
    assert frame.calibration.source == "nifti spacing"


def test_nifti_slope_and_16_bit_values_are_kept(tmp_path: Path) -> None:
    array = np.array([[0, 40000], [65535, 7]], dtype=np.uint16)
    assert read_frame(_nifti(tmp_path / "a.nii", array)).pixels[..., 0].tolist() == array.tolist()
    image = nib.Nifti1Image(np.array([[1.5, 2.5]]), AFFINE)
    image.header.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "b.nii")
    assert read_frame(tmp_path / "b.nii").pixels.ravel() == pytest.approx([1.5, 2.5], abs=1e-3)


def test_nifti_colour_becomes_luma(tmp_path: Path) -> None:
    colour = np.zeros((2, 2, 1), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    colour[0, 0, 0], colour[1, 1, 0] = (255, 0, 0), (90, 90, 90)
    frame = read_frame(_nifti(tmp_path / "a.nii.gz", colour))
    assert frame.shape == (2, 2, 1)
    assert frame.pixels[..., 0] == pytest.approx(np.array([[76.245, 0], [0, 90]]))


@pytest.mark.parametrize(
    ("shape", "intent"),
    [((4, 5, 1, 1, 3), 1007), ((4, 5, 1, 1, 4), 1007), ((4, 5, 1, 3), 2003), ((4, 5, 3), 2003), ((4, 5, 1, 4), 2004)],
)
def test_nifti_colour_in_an_axis_becomes_luma(tmp_path: Path, shape: tuple[int, ...], intent: int) -> None:
    colour = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    image = nib.Nifti1Image(colour, AFFINE)
    image.header["intent_code"] = intent
    nib.save(image, tmp_path / "a.nii.gz")
    frame = read_frame(tmp_path / "a.nii.gz")
    assert frame.grid == (4, 5, 1)
    np.testing.assert_allclose(frame.pixels[:, :, 0], to_luma(colour.reshape(4, 5, shape[-1])), rtol=1e-6)


@pytest.mark.parametrize(
    "header",
    [
        {"kinds": ["RGB-color", "domain", "domain"]},
        {"kinds": ["3-color", "domain", "domain"], "spacings": [np.nan, 0.06, 0.05]},
        {"kinds": ["vector", "domain", "domain"]},
        {"kinds": ["rgb-COLOR", "space", "space"]},
        {"spacings": [np.nan, 0.06, 0.05]},
        {"space dimension": 2, "space directions": [[np.nan, np.nan], [0.06, 0], [0, 0.05]]},
        {},
    ],
)
def test_nrrd_colour_is_known_by_whatever_the_header_says(tmp_path: Path, header: dict[str, object]) -> None:
    colour = np.random.default_rng(1).integers(0, 255, (3, 9, 7)).astype(np.uint8)
    nrrd.write(str(tmp_path / "a.nrrd"), colour, header)
    frame = read_frame(tmp_path / "a.nrrd")
    assert frame.grid == (9, 7, 1)
    np.testing.assert_allclose(frame.pixels[:, :, 0], to_luma(np.moveaxis(colour, 0, -1)), rtol=1e-6)


def test_nrrd_colour_behind_the_picture_is_luma(tmp_path: Path) -> None:
    colour = np.random.default_rng(1).integers(0, 255, (9, 7, 3)).astype(np.uint8)
    nrrd.write(str(tmp_path / "a.nrrd"), colour, {"kinds": ["domain", "domain", "RGB-color"]})
    np.testing.assert_allclose(read_frame(tmp_path / "a.nrrd").pixels[:, :, 0], to_luma(colour), rtol=1e-6)


def test_other_colours_are_named(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), _ramp(3, 9, 7), {"kinds": ["HSV-color", "domain", "domain"]})
    with pytest.raises(ImageError, match="red, green and blue"):
        read_frame(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    ("header", "expected", "words"),
    [
        ({"spacings": [0.06, 0.05]}, (0.06, 0.05), "nrrd spacing"),
        ({"spacings": [0.006, 0.005], "units": ["cm", "cm"]}, (0.06, 0.05), "nrrd spacing"),
        ({"spacings": [0.06, 0.05], "units": ["s", "s"]}, None, "unit"),
        ({"spacings": [3.0, 3.0]}, None, "not credible"),
    ],
)
def test_nrrd_spacings_calibrate(tmp_path: Path, header: dict[str, object], expected: object, words: str) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), _ramp(9, 7), header)
    found = read_frame(tmp_path / "a.nrrd").calibration
    assert found.spacing_mm == expected
    assert words in found.source


def test_identity_affine_is_not_calibrated(tmp_path: Path) -> None:
    frame = read_frame(_nifti(tmp_path / "a.nii.gz", _ramp(3, 4), np.eye(4)))
    assert not frame.calibration.calibrated
    assert "default" in frame.calibration.source


def test_given_spacing_overrides_the_file_but_not_its_grid(tmp_path: Path) -> None:
    path = _nifti(tmp_path / "a.nii.gz", _ramp(3, 4))
    frame = read_frame(path, spacing_mm=(0.1, 0.08))
    assert frame.calibration.spacing_mm == (0.1, 0.08)
    np.testing.assert_allclose(frame.affine, AFFINE, rtol=1e-6)
    with pytest.raises(ImageError, match="spacing_mm"):
        read_frame(path, spacing_mm=(10.0, 10.0))


@pytest.mark.parametrize("shape", [(4,), (3, 4, 2, 2), (3, 4, 1, 1, 3), (1, 5, 6)])
def test_other_dimensions_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = _nifti(tmp_path / "a.nii.gz", _ramp(*shape))
    with pytest.raises(ImageError, match=r"\(W, H, frames\), got .*third axis"):
        read_frame(path)


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="real numbers, got complex64"):
        read_frame(_nifti(tmp_path / "a.nii", np.ones((3, 4), np.complex64)))


def test_pixels_that_are_not_finite_become_the_smallest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    array = np.array([[np.nan, 5.0, 3.0], [np.inf, -np.inf, 9.0]], dtype=np.float32)
    frame = read_frame(_nifti(tmp_path / "bad.nii.gz", array))
    assert frame.pixels[..., 0].tolist() == [[3.0, 5.0, 3.0], [3.0, 3.0, 9.0]]
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "bad.nii.gz: 3 pixels are not finite; they are set to the smallest value.")
    ]


def test_nothing_finite_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="only NaN or infinity"):
        read_frame(_nifti(tmp_path / "a.nii.gz", np.full((3, 4), np.nan, np.float32)))


def test_constant_image_is_read(tmp_path: Path) -> None:
    assert (read_frame(_nifti(tmp_path / "a.nii.gz", np.full((3, 4), 7.0))).pixels == 7.0).all()


def test_missing_empty_and_unknown_files(tmp_path: Path) -> None:
    (tmp_path / "empty.nii.gz").touch()
    (tmp_path / "notes.txt").write_text("nothing")
    for name, words in [
        ("absent.nii.gz", "no such file"),
        ("empty.nii.gz", "an empty file"),
        ("", "a folder"),
        ("notes.txt", "Convert it"),
    ]:
        with pytest.raises(ImageError, match=words):
            read_frame(tmp_path / name)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".png", ".jpg", ".tif", ".dcm"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(2000))
    with pytest.raises(ImageError, match=r"`broken.*readable"):
        read_frame(path)


def test_truncated_nifti_is_named(tmp_path: Path) -> None:
    whole = _nifti(tmp_path / "a.nii.gz", np.random.default_rng(0).random((40, 50)))
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match="readable nifti"):
        read_frame(whole)
    whole.write_bytes(gzip.compress(gzip.decompress(content)[:400]))
    with pytest.raises(ImageError, match="readable nifti"):
        read_frame(whole)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_grey_pictures_are_transposed(tmp_path: Path, suffix: str) -> None:
    rows = _ramp(4, 6)
    Image.fromarray(rows).save(tmp_path / f"a{suffix}")
    frame = read_frame(tmp_path / f"a{suffix}")
    assert frame.shape == (6, 4)
    np.testing.assert_array_equal(frame.pixels[..., 0], rows.T)
    np.testing.assert_array_equal(frame.affine, np.diag([-1.0, -1.0, 1.0, 1.0]))
    assert frame.calibration.source == "none"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_pictures_keep_their_values(tmp_path: Path, suffix: str) -> None:
    rows = np.array([[0, 300], [40000, 65535], [1, 2]], dtype=np.uint16)
    Image.fromarray(rows).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read_frame(tmp_path / f"a{suffix}").pixels[..., 0], rows.T)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1", "CMYK"])
def test_colour_modes_become_grey(tmp_path: Path, mode: str) -> None:
    rows = np.array([[0, 255, 0], [255, 255, 0]], dtype=np.uint8)
    suffix = ".tif" if mode == "CMYK" else ".png"
    Image.fromarray(rows).convert("RGB").convert(mode).save(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(read_frame(tmp_path / f"a{suffix}").pixels[..., 0], rows.T, atol=1.0)


def test_transparent_pixels_keep_their_grey(tmp_path: Path) -> None:
    rows = np.zeros((2, 2, 4), dtype=np.uint8)
    rows[..., :3] = 80
    Image.fromarray(rows).save(tmp_path / "a.png")
    assert (read_frame(tmp_path / "a.png").pixels == 80).all()


def test_jpeg_is_read_within_its_loss(tmp_path: Path) -> None:
    rows = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (32, 1))
    Image.fromarray(rows).save(tmp_path / "a.jpg", quality=95)
    frame = read_frame(tmp_path / "a.jpg")
    assert frame.shape == (64, 32)
    assert np.abs(frame.pixels[..., 0] - rows.T).mean() < 2.0


def test_tiff_of_several_pages_is_a_clip(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((4, 6), value, np.uint8)) for value in (1, 2, 3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    frame = read_frame(tmp_path / "a.tif")
    assert frame.shape == (6, 4, 3)
    assert frame.pixels[0, 0].tolist() == [1.0, 2.0, 3.0]
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=[Image.new("L", (9, 9))])
    with pytest.raises(ImageError, match="of one size"):
        read_frame(tmp_path / "b.tif")


def test_nrrd_is_turned_from_lps_to_ras(tmp_path: Path) -> None:
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag([0.06, 0.05, 1.0]),
        "space origin": np.array([1.0, 2.0, 3.0]),
        "kinds": ["domain"] * 3,
    }
    nrrd.write(str(tmp_path / "a.nrrd"), _ramp(5, 7, 1), header)
    frame = read_frame(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(frame.pixels, _ramp(5, 7, 1))
    expected = np.diag([-0.06, -0.05, 1.0, 1.0])
    expected[:3, 3] = -1.0, -2.0, 3.0
    np.testing.assert_allclose(frame.affine, expected)
    assert frame.calibration.spacing_mm == (0.06, 0.05)
    assert frame.calibration.source == "nrrd spacing"


def test_nrrd_list_axis_is_frames_and_colour_is_luma(tmp_path: Path) -> None:
    directions = np.vstack([np.full(3, np.nan), np.diag([0.06, 0.05, 1.0])[:2]])
    space = {"space": "right-anterior-superior", "space directions": directions}
    nrrd.write(str(tmp_path / "a.nrrd"), _ramp(3, 5, 7), {**space, "kinds": ["list", "domain", "domain"]})
    clip = read_frame(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(clip.pixels, np.moveaxis(_ramp(3, 5, 7), 0, -1))
    assert clip.calibration.spacing_mm == (0.06, 0.05)
    space["kinds"] = ["RGB-color", "domain", "domain"]
    nrrd.write(str(tmp_path / "b.nrrd"), _ramp(3, 5, 7), space)
    still = read_frame(tmp_path / "b.nrrd")
    np.testing.assert_allclose(still.pixels[..., 0], to_luma(np.moveaxis(_ramp(3, 5, 7), 0, -1)), rtol=1e-6)


def test_nrrd_without_directions_is_not_calibrated(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), _ramp(5, 7))
    frame = read_frame(tmp_path / "a.nrrd")
    assert not frame.calibration.calibrated
    np.testing.assert_array_equal(frame.affine, np.diag([-1.0, -1.0, 1.0, 1.0]))


def test_results_go_back_in_the_shape_of_the_file_only(tmp_path: Path) -> None:
    frame = read_frame(_nifti(tmp_path / "a.nii.gz", _ramp(5, 7)))
    back = frame.to_file_grid(np.ones((5, 7, 1), np.uint8))
    assert (back.shape, back.dtype) == ((5, 7), np.uint8)
    with pytest.raises(LabelError, match="on the grid"):
        frame.to_file_grid(np.ones((7, 5, 1)))


def test_luma_leaves_grey_exactly_as_it_is() -> None:
    grey = np.repeat(np.arange(65536, dtype=np.uint16)[:, np.newaxis], 3, axis=1)
    np.testing.assert_array_equal(to_luma(grey), grey[:, 0])


def test_large_frame_is_read(tmp_path: Path) -> None:
    Image.new("L", (4000, 3000), 9).save(tmp_path / "a.png")
    frame = read_frame(str(tmp_path / "a.png"))
    assert isinstance(frame, Frame)
    assert frame.grid == (4000, 3000, 1)
    assert frame.source == tmp_path / "a.png"


@pytest.mark.parametrize("shape", [(100_000, 1, 1), (40_000, 2), (2, 40_000)])
def test_an_axis_too_long_for_nifti_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np_image = Image.fromarray(np.zeros(shape[1::-1], np.uint8))
    np_image.save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="longer than 32767"):
        read_frame(tmp_path / "a.png")
