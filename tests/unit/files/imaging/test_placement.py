"""A mask lies on its image for whoever reads both: ITK and so 3D Slicer, and nibabel."""

import nibabel as nib
import nrrd
import numpy as np
import psutil
import pytest
import SimpleITK as sitk  # noqa: N813 - as its users write it
from hypothesis import HealthCheck, example, given, settings
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


#: Stands a picture of two dimensions on its edge.
EDGE_ON = np.eye(4)
EDGE_ON[:3, :3] = Rotation.from_euler("y", 90, degrees=True).as_matrix()


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
    """Size, origin, and the axes in millimetres, as ITK reads a file with its pixels; None when it refuses it."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.Execute()
    except RuntimeError:
        return None
    dimensions = min(reader.GetDimension(), 3)
    direction = np.array(reader.GetDirection()).reshape(reader.GetDimension(), -1)[:dimensions, :dimensions]
    # A negative length is one along the other direction.
    axes = direction * np.array(reader.GetSpacing()[:dimensions])
    return [np.array(part[:dimensions]) for part in (reader.GetSize(), reader.GetOrigin())] + [axes]


def is_shown(theirs):
    """Whether ITK gives an image a place; one that stands edge-on has none as a picture."""
    if theirs is None:
        return False
    lengths = np.linalg.norm(theirs[2], axis=0)
    return bool(lengths.min() > 0 and abs(np.linalg.det(theirs[2] / lengths)) > 1e-3)


def check_on_image(image, mask):
    """Compare what both have: a picture is two-dimensional, its mask is one slice of a volume."""
    ours, theirs = described(mask), described(image)
    assert ours is not None
    if not is_shown(theirs):
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


def check_masks_or_refusal(image):
    """Either every mask lies on its image, or the image is refused by its name."""
    refused = ""
    try:
        masks = list(write_both(image, image.parent))
    except ImageError as error:
        masks, refused = [], str(error)
    assert masks or image.name in refused
    for mask in masks:
        check_on_image(image, mask)


@QUICKLY
@given(
    place=places(),
    other=st.none() | places(),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    unit=st.sampled_from(["mm", "unknown", "meter", "micron"]),
    shape=st.sampled_from(SHAPES),
    pixdim=st.none() | st.floats(0.01, 3.0),
)
# To ITK the qform counts here, to nibabel the sform.
@example(place=EDGE_ON, other=np.eye(4), codes=(1, 2), unit="mm", shape=(12, 9), pixdim=None)
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
    # A picture that stands edge-on is none to ITK: its mask is a volume of one slice.
    theirs = described(path)
    assert written.shape == shape or (not is_shown(theirs) and written.shape == (*shape[:2], 1))
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


#: Values that no length and no place has, and some that one may have.
ODD = st.sampled_from([0.0, 1e-45, 1e-38, 1e-30, 1e-7, 1e-3, 0.1, 1e3, 1e6, 1e10, 1e30, 1e38, np.inf, np.nan]).flatmap(
    lambda value: st.sampled_from([value, -value])
)
COLOURS = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.dictionaries(
        st.one_of(
            st.tuples(st.just("pixdim"), st.integers(0, 3)),
            st.tuples(st.sampled_from(["srow_x", "srow_y", "srow_z"]), st.integers(0, 3)),
            st.tuples(st.sampled_from(["qoffset_x", "qoffset_y", "quatern_b", "quatern_d"]), st.just(None)),
        ),
        ODD,
        min_size=1,
        max_size=3,
    ),
    codes=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    unit=st.sampled_from([0, 1, 2, 3]),
    shape=st.sampled_from([*SHAPES, (12, 9, 1, 1, 3)]),
    kind=st.sampled_from([np.dtype("u1"), np.dtype("i2"), COLOURS]),
    version=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
)
def test_absurd_lengths_and_places_are_refused_or_the_mask_lies_on_the_image(
    tmp_path, at, codes, unit, shape, kind, version
):
    path = tmp_path / "image.nii"
    image = version(np.zeros(shape, kind), None)
    header = image.header
    header["pixdim"][1:4], header["xyzt_units"] = 0.1, unit
    header["qform_code"], header["sform_code"] = codes
    header["intent_code"] = 1007 if len(shape) == 5 and shape[-1] == 3 else 0
    header["srow_x"], header["srow_y"], header["srow_z"] = [-0.1, 0, 0, 3], [0, -0.1, 0, 4], [0, 0, 0.1, 5]
    nib.save(image, path)
    raw = type(header)(path.read_bytes()[: header.template_dtype.itemsize], check=False)
    for (field, place), value in at.items():
        if place is None:
            raw[field] = value
        else:
            raw[field][place] = value
    path.write_bytes(raw.binaryblock + path.read_bytes()[len(raw.binaryblock) :])
    check_masks_or_refusal(path)


@QUICKLY
@given(
    spacing=st.tuples(*[st.just(0.1) | ODD] * 3),
    origin=st.tuples(*[st.just(1.0) | ODD] * 3),
    shape=st.sampled_from([(12, 9), (12, 9, 1), (12, 9, 5), (12, 1, 9)]),
    directions=st.booleans(),
    colours=st.booleans(),
)
def test_absurd_lengths_and_places_of_nrrd_images(tmp_path, spacing, origin, shape, directions, colours):
    count = len(shape)
    lengths, array = np.array(spacing[:count]), np.ones(shape, np.uint8)
    header = {"kinds": ["domain"] * count}
    header |= {"space dimension": count, "space origin": origin[:count]} if directions else {}
    values = np.diag(lengths) if directions else lengths
    if colours:
        array, header["kinds"] = np.ones((3, *shape), np.uint8), ["RGB-color", *header["kinds"]]
        values = np.concatenate([np.full((1, *values.shape[1:]), np.nan), values])
    path = tmp_path / "image.nrrd"
    nrrd.write(str(path), array, header | {"space directions" if directions else "spacings": values})
    check_masks_or_refusal(path)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e30])
def test_what_keeps_itk_busy_for_ever_is_never_given_to_it(tmp_path, monkeypatch, value):
    def edit(header):
        header.set_qform(np.diag([-0.1, -0.1, 1.0, 1.0]), 1)
        header.set_sform(np.diag([-0.1, -0.1, 1.0, 1.0]), 1)
        header["srow_y"][2] = value

    monkeypatch.setattr("sequal.files.imaging.nifti.itk_affine", lambda *_, **__: pytest.fail("ITK was asked"))
    save_with_header(tmp_path / "image.nii", (12, 9, 1), edit)
    with pytest.raises(ImageError, match=r"`srow_y` in the header of `image.nii`"):
        read_frame(tmp_path / "image.nii")


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
        with pytest.raises(ImageError, match=r"kilometres away|at most 1e\+06 mm"):
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


def test_a_damaged_dicom_element_costs_no_memory(tmp_path):
    path = write_dicom(tmp_path / "image.dcm", np.zeros((60, 80), np.uint8), [ultrasound_region()])
    content = path.read_bytes()
    at = content.index(b"\x02\x00\x12\x00UI") + 4  # GDCM takes what follows a foreign kind of value for its length
    path.write_bytes(content[:at] + b"U:" + content[at + 2 :])
    itk_affine(path, "dicom")
    before = psutil.Process().memory_info().rss
    for _ in range(3):
        itk_affine(path, "dicom")
    assert psutil.Process().memory_info().rss - before < 200 << 20
