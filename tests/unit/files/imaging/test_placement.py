"""A mask lies on its image for whoever reads both: ITK and so 3D Slicer, and nibabel."""

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as its users write it
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from sequal.errors import ImageError
from sequal.files.imaging import read_frame
from sequal.files.imaging.placement import itk_affine, straightened
from sequal.files.imaging.writing import write_on_frame
from unit.files.importing.sources import region as ultrasound_region
from unit.files.importing.sources import write_dicom

SUFFIXES = (".nii.gz", ".nrrd")
SHAPES = ((12, 9), (12, 9, 1), (12, 9, 4), (12, 1, 9), (12, 9, 1, 1))
#: One file is written over and over: an example costs milliseconds, a folder for each would cost more.
QUICKLY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def places(draw, shear=False):
    """Index to space, `(4, 4)`: any rotation, also mirrored, or one along the axes."""
    angles = draw(st.tuples(*[st.floats(-180, 180)] * 3) | st.tuples(*[st.sampled_from([0, 90, 180, -90])] * 3))
    lengths = draw(st.tuples(*[st.floats(0.01, 3.0)] * 3))
    mirrored = draw(st.sampled_from([1.0, -1.0]))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(lengths) * mirrored
    affine[:3, 3] = draw(st.tuples(*[st.floats(-100, 100)] * 3))
    if shear:
        across = affine[:3, 0] / np.linalg.norm(affine[:3, 0])
        affine[:3, 1] += across * np.linalg.norm(affine[:3, 1]) * draw(st.floats(0, 0.01))
    return affine


def save_with_header(path, shape, edit):
    """A NIfTI file whose header says what a test wants; without an affine of its own nibabel leaves it alone."""
    image = nib.Nifti1Image(np.ones(shape, np.uint8), None)
    edit(image.header)
    nib.save(image, path)


def described(path):
    """Size, spacing, origin and direction, as ITK reads a file; None when it refuses it."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    dimensions = min(reader.GetDimension(), 3)
    direction = np.array(reader.GetDirection()).reshape(reader.GetDimension(), -1)[:dimensions, :dimensions]
    place = (reader.GetSize(), reader.GetSpacing(), reader.GetOrigin())
    return [np.array(part[:dimensions]) for part in place] + [direction]


def check_on_image(image, mask):
    """Compare what both have: a picture is two-dimensional, its mask is one slice of a volume."""
    ours, theirs = described(mask), described(image)
    assert ours is not None
    if theirs is None or abs(np.linalg.det(theirs[3])) < 1e-3:  # ITK shows no such image
        return
    count = len(theirs[0])
    for one, other in zip(ours, theirs, strict=True):
        part = one[:count, :count] if one.ndim == 2 else one[:count]
        np.testing.assert_allclose(part, other, rtol=1e-4, atol=1e-4)
    assert (ours[0][count:] == 1).all()


def write_both(image, folder):
    """The masks of an image in both formats, all of the layer."""
    frame = read_frame(image)
    for suffix in SUFFIXES:
        mask = folder / f"mask{suffix}"
        write_on_frame(mask, np.ones(frame.grid, np.uint8), frame)
        yield mask


@QUICKLY
@given(
    place=places(),
    other=st.none() | places(),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    unit=st.sampled_from(["mm", "unknown", "meter", "micron"]),
    shape=st.sampled_from(SHAPES),
    pixdim=st.none() | st.floats(0.01, 3.0),
)
def test_masks_of_nifti_images(tmp_path, place, other, codes, unit, shape, pixdim):
    path = tmp_path / "image.nii"

    def edit(header):
        header.set_xyzt_units(unit)
        header.set_qform(place, codes[0])
        header.set_sform(place if other is None else other, codes[1])
        if pixdim is not None:
            header["pixdim"][1:4] = pixdim

    save_with_header(path, shape, edit)
    for mask in write_both(path, tmp_path):
        check_on_image(path, mask)
    written = nib.load(tmp_path / "mask.nii.gz")
    assert (int(written.header["qform_code"]), int(written.header["sform_code"])) == codes
    assert written.shape == shape
    np.testing.assert_allclose(written.affine, nib.load(path).affine, rtol=1e-4, atol=1e-4)


@QUICKLY
@given(
    place=places(),
    space=st.sampled_from(
        ["left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "LPS", None]
    ),
    shape=st.sampled_from([(12, 9), (12, 9, 1), (12, 9, 4), (12, 1, 9)]),
    extra=st.sampled_from([None, "RGB-color", "RGBA-color", "3-color", "vector"]),
)
def test_masks_of_nrrd_images(tmp_path, place, space, shape, extra):
    dimensions = len(shape)
    directions = place[:3, :3].T
    if dimensions == 2:
        turn = Rotation.from_euler("z", place[0, 3]).as_matrix()[:2, :2]
        directions = (turn * np.linalg.norm(place[:3, :2], axis=0)).T
    kinds = ["domain"] * dimensions
    header = {"space origin": place[:dimensions, 3]}
    header |= {"space": space} if space and dimensions == 3 else {"space dimension": dimensions}
    array = np.ones(shape, np.uint8)
    if extra:
        array = np.ones((4 if extra == "RGBA-color" else 3, *shape), np.uint8)
        kinds, directions = [extra, *kinds], np.vstack([np.full(dimensions, np.nan), directions])
    nrrd.write(str(tmp_path / "image.nrrd"), array, header | {"space directions": directions, "kinds": kinds})
    for mask in write_both(tmp_path / "image.nrrd", tmp_path):
        check_on_image(tmp_path / "image.nrrd", mask)


@pytest.mark.parametrize("header", [{}, {"spacings": [0.1, 0.2]}, {"spacings": [0.1, 0.2], "axis mins": [5.0, 6.0]}])
def test_masks_of_nrrd_images_without_directions(tmp_path, header):
    nrrd.write(str(tmp_path / "image.nrrd"), np.ones((12, 9), np.uint8), header)
    for mask in write_both(tmp_path / "image.nrrd", tmp_path):
        check_on_image(tmp_path / "image.nrrd", mask)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
@pytest.mark.parametrize("dpi", [None, (72, 72), (300, 150), (254, 254)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_of_pictures_and_what_dots_per_inch_are_not(tmp_path, suffix, dpi, orientation):
    path, exif = tmp_path / f"image{suffix}", Image.Exif()
    exif[274] = orientation
    options = {} if suffix == ".bmp" else {"exif": exif}
    Image.new("L", (12, 9), 7).save(path, **options, **({"dpi": dpi} if dpi else {}))
    for mask in write_both(path, tmp_path):
        check_on_image(path, mask)
    assert not read_frame(path).calibration.calibrated


def test_a_form_without_extent_is_not_used_and_not_handed_on(tmp_path):
    place = np.diag([-0.1, -0.1, 1.0, 1.0])

    def edit(header):
        header.set_qform(place, 1)
        header["sform_code"] = 1
        for row in "xyz":
            header[f"srow_{row}"] = 0.0

    save_with_header(tmp_path / "image.nii", (12, 9, 1), edit)
    frame = read_frame(tmp_path / "image.nii")
    assert frame.calibration.spacing_mm == (0.1, 0.1)
    for mask in write_both(tmp_path / "image.nii", tmp_path):
        check_on_image(tmp_path / "image.nii", mask)
    np.testing.assert_allclose(nib.load(tmp_path / "mask.nii.gz").affine, place, atol=1e-6)


@pytest.mark.parametrize("code", [7, 99, 0])
@pytest.mark.parametrize("other", [0, 2, -3])
@pytest.mark.parametrize("shape", SHAPES)
def test_masks_of_images_whose_codes_are_none_of_the_standard(tmp_path, code, other, shape):
    def edit(header):
        header["pixdim"][1:4] = 0.1, 0.2, 0.3
        header["qform_code"], header["sform_code"] = code, other
        header["qoffset_x"], header["qoffset_y"] = 0.5, -7.0
        header["srow_x"], header["srow_y"], header["srow_z"] = [0.1, 0, 0, 3], [0, 0.2, 0, 4], [0, 0, 0.3, 5]

    path = tmp_path / "image.nii.gz"
    save_with_header(path, shape, edit)
    for mask in write_both(path, tmp_path):
        check_on_image(path, mask)


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 2), (1, 1), (7, 2)])
@pytest.mark.parametrize("signs", [(1, -1, 1), (-1, 1, 1), (-1, -1, -1)])
@pytest.mark.parametrize("shape", SHAPES)
def test_masks_of_images_with_negative_lengths(tmp_path, codes, signs, shape):
    def edit(header):
        header["qform_code"], header["sform_code"] = codes
        header["qoffset_x"], header["qoffset_y"] = 0.5, -7.0
        header["srow_x"], header["srow_y"], header["srow_z"] = [0.1, 0, 0, 3], [0, 0.2, 0, 4], [0, 0, 0.3, 5]
        header["pixdim"][1:4] = np.array([0.1, 0.2, 0.3]) * signs

    path = tmp_path / "image.nii.gz"
    save_with_header(path, shape, edit)
    theirs, count = itk_affine(path, "nifti"), min(len(shape), 3)
    for mask, kind in zip(write_both(path, tmp_path), ("nifti", "nrrd"), strict=True):
        ours = itk_affine(mask, kind)
        np.testing.assert_allclose(ours[:count, :count], theirs[:count, :count], atol=1e-4)
        np.testing.assert_allclose(ours[:count, 3], theirs[:count, 3], atol=1e-4)


@pytest.mark.parametrize("origin", [1e30, -2e6])
def test_an_origin_kilometres_away_is_refused(tmp_path, origin):
    directions = {"space directions": np.eye(3), "space origin": [0.0, origin, 0.0]}
    nrrd.write(
        str(tmp_path / "far.nrrd"), np.ones((4, 3, 1), np.uint8), {"space": "left-posterior-superior", **directions}
    )
    nib.save(
        nib.Nifti1Image(
            np.ones((4, 3, 1), np.uint8), np.array([[1, 0, 0, origin], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        ),
        tmp_path / "far.nii.gz",
    )
    for name in ("far.nrrd", "far.nii.gz"):
        with pytest.raises(ImageError, match="kilometres away"):
            read_frame(tmp_path / name)


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_no_usable_form_is_named(tmp_path, column, value):
    place = np.diag([-0.1, -0.1, 1.0, 1.0])

    def edit(header):
        header.set_sform(place, 2)
        for row in "xyz":
            header[f"srow_{row}"][column] = value

    save_with_header(tmp_path / "image.nii", (12, 9, 1), edit)
    with pytest.raises(ImageError, match=r"image\.nii"):
        read_frame(tmp_path / "image.nii")


@QUICKLY
@given(place=places(shear=True))
def test_a_small_shear_is_straightened_and_said(tmp_path, place):
    save_with_header(tmp_path / "image.nii", (12, 9, 1), lambda header: header.set_sform(place, 2))
    frame = read_frame(tmp_path / "image.nii")
    for mask in write_both(tmp_path / "image.nii", tmp_path):
        assert described(mask) is not None
    sheared = described(tmp_path / "image.nii") is None
    assert bool(frame.notes) == sheared


def test_a_large_shear_is_refused(tmp_path):
    place = np.diag([-0.1, -0.1, 1.0, 1.0])
    place[0, 1] = 0.05
    save_with_header(tmp_path / "image.nii", (12, 9, 1), lambda header: header.set_sform(place, 2))
    with pytest.raises(ImageError, match="right angles"):
        read_frame(tmp_path / "image.nii")


def test_straightening_keeps_lengths():
    place = np.diag([-0.1, -0.2, 1.0, 1.0])
    place[0, 1] = 0.001
    straight, changed = straightened(place, "a")
    assert changed
    np.testing.assert_allclose(np.linalg.norm(straight[:3, :3], axis=0), np.linalg.norm(place[:3, :3], axis=0))
    assert abs(straight[:3, 0] @ straight[:3, 1]) < 1e-12


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"PixelSpacing": [0.07, 0.06]},
        {
            "ImagePositionPatient": [3, -7, 11],
            "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
            "PixelSpacing": [0.2, 0.1],
        },
    ],
)
def test_masks_of_dicom_images(tmp_path, frames, tags):
    stored = np.ones((9, 12) if frames == 1 else (frames, 9, 12), np.uint8) * 7
    stored[0] = 0
    region = ultrasound_region((0, 0, 11, 8), delta_cm=(0.006, 0.007))
    write_dicom(tmp_path / "image.dcm", stored, [] if tags.get("PixelSpacing") else [region], **tags)
    for mask in write_both(tmp_path / "image.dcm", tmp_path):
        check_on_image(tmp_path / "image.dcm", mask)
