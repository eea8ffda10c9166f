import struct
import zlib
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sequal.errors import SettingsError, StudyError
from sequal.files.imaging import read_frame, stored_label_says_no_layer, to_luma
from sequal.files.importing import ImportOptions, run_import
from unit.files.importing.sources import layer_mask, pixels, write_picture


def stored(studies, image):
    """The array of an imported image as (H, W) or (F, H, W), as pictures are stored."""
    return np.asarray(nib.load(studies / f"{image}.nii.gz").dataobj).squeeze().T


@pytest.fixture
def source(tmp_path):
    return tmp_path / "source"


@pytest.fixture
def studies(tmp_path):
    return tmp_path / "studies"


@pytest.mark.parametrize(
    ("suffix", "dtype"), [("png", np.uint8), ("png", np.uint16), ("tif", np.uint8), ("tiff", np.uint16)]
)
def test_grey_pictures_come_in_unchanged(source, studies, suffix, dtype):
    original = pixels(dtype=dtype) * (dtype(1) if dtype is np.uint8 else dtype(300))
    write_picture(source / f"a.{suffix}", original)
    report = run_import(source, studies, ImportOptions(spacing_mm=(0.06, 0.05)))
    assert [image.image for image in report.imported] == ["a"]
    image = nib.load(studies / "a.nii.gz")
    assert image.shape == (48, 40, 1)
    assert image.get_data_dtype() == dtype
    np.testing.assert_array_equal(stored(studies, "a"), original)
    frame = read_frame(studies / "a.nii.gz")
    assert frame.calibration.spacing_mm == pytest.approx((0.06, 0.05))
    np.testing.assert_allclose(frame.affine, np.diag([-0.06, -0.05, 1, 1]), atol=1e-8)
    assert bytes(image.header["descrip"]).startswith(b"calibration: given")
    assert image.header.get_xyzt_units()[0] == "mm"


def test_jpeg_comes_in_as_it_is_decoded(source, studies):
    path = write_picture(source / "a.jpg", pixels())
    run_import(source, studies, ImportOptions())
    np.testing.assert_array_equal(stored(studies, "a"), np.asarray(Image.open(path)))
    assert read_frame(studies / "a.nii.gz").calibration.spacing_mm is None


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_becomes_rounded_luma_of_8_bit(source, studies, channels):
    colour = np.random.default_rng(1).integers(0, 255, (40, 48, channels)).astype(np.uint8)
    write_picture(source / "a.png", colour)
    run_import(source, studies, ImportOptions())
    assert nib.load(studies / "a.nii.gz").get_data_dtype() == np.uint8
    np.testing.assert_array_equal(stored(studies, "a"), np.rint(to_luma(colour)))


def png_16_bit_colour(stored):
    """Pillow writes none."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, _ = stored.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_16_bit_colour_becomes_luma_of_the_high_bytes(source, studies):
    colour = np.random.default_rng(1).integers(0, 60000, (40, 48, 3)).astype(np.uint16)
    source.mkdir()
    (source / "a.png").write_bytes(png_16_bit_colour(colour))
    run_import(source, studies, ImportOptions())
    assert np.abs(stored(studies, "a") - to_luma(colour) / 256).max() <= 1.5


def tiff_16_bit_planes(stored):
    """Pillow writes none."""
    height, width, _ = stored.shape
    planes = [stored[..., channel].astype("<u2").tobytes() for channel in range(3)]
    size, arrays = len(planes[0]), 8 + 2 + 10 * 12 + 4
    first = arrays + 6 + 12 + 12
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, arrays),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 3, arrays + 6),
        (277, 3, 1, 3),
        (278, 3, 1, height),
        (279, 4, 3, arrays + 18),
        (284, 3, 1, 2),
    ]
    content = b"II*\0" + struct.pack("<IH", 8, len(tags))
    content += b"".join(struct.pack("<HHII", *tag) for tag in tags) + struct.pack("<I", 0)
    content += struct.pack("<3H", 16, 16, 16) + struct.pack("<3I", *(first + size * plane for plane in range(3)))
    return content + struct.pack("<3I", size, size, size) + b"".join(planes)


def test_16_bit_planes_are_refused_and_not_read_as_noise(source, studies):
    source.mkdir()
    (source / "a.tif").write_bytes(tiff_16_bit_planes(np.full((40, 48, 3), 30000, np.uint16)))
    with Image.open(source / "a.tif") as image:
        assert image.size == (48, 40)
    report = run_import(source, studies, ImportOptions())
    assert report.imported == []
    assert "16-bit planes" in report.problems[0].reason


def test_real_numbers_are_not_rounded(source, studies):
    values = np.linspace(0, 1, 48 * 40, dtype=np.float32).reshape(40, 48)
    write_picture(source / "a.tif", values)
    run_import(source, studies, ImportOptions())
    np.testing.assert_array_equal(stored(studies, "a"), values)


def test_a_tiff_of_several_pages_is_a_clip(source, studies):
    source.mkdir()
    pages = [Image.fromarray(pixels(seed)) for seed in range(3)]
    pages[0].save(source / "a.tif", save_all=True, append_images=pages[1:])
    report = run_import(source, studies, ImportOptions())
    assert report.imported[0].grid == (48, 40, 3)
    np.testing.assert_array_equal(stored(studies, "a"), [pixels(seed) for seed in range(3)])


def test_a_volume_keeps_its_place_in_space(source, studies):
    source.mkdir()
    affine = np.array([[0.0, -0.06, 0, 5], [-0.05, 0, 0, 7], [0, 0, 2, 9], [0, 0, 0, 1.0]])
    nib.save(nib.Nifti1Image(pixels().T[:, :, None], affine), source / "a.nii")
    run_import(source, studies, ImportOptions())
    frame = read_frame(studies / "a.nii.gz")
    np.testing.assert_allclose(frame.affine, affine, atol=1e-7)
    assert frame.calibration.spacing_mm == pytest.approx((0.05, 0.06))


def test_ids_come_from_the_path_and_sidecars_give_the_spacing(source, studies):
    write_picture(source / "left side" / "a 1.png", pixels(1))
    write_picture(source / "a.png", pixels(2)).with_suffix(".json").write_text('{"spacing_mm": 0.07}')
    report = run_import(source, studies, ImportOptions())
    spacings = {image.image: image.calibration.spacing_mm for image in report.imported}
    assert spacings == {"a": (0.07, 0.07), "left_side_a_1": None}


def test_one_file_is_a_source_too(source, studies):
    path = write_picture(source / "a.png", pixels(1))
    write_picture(source / "b.png", pixels(2))
    assert [image.image for image in run_import(path, studies, ImportOptions()).imported] == ["a"]


def test_files_that_cannot_be_used_are_named_and_the_rest_goes_on(source, studies):
    write_picture(source / "good.png", pixels(1))
    write_picture(source / "copy.png", pixels(1))
    write_picture(source / "good.tif", pixels(2))
    write_picture(source / "wrong.png", pixels(3)).with_suffix(".txt").write_text("6 cm")
    (source / "broken.png").write_bytes(b"no image")
    (source / "empty.png").touch()
    (source / "notes.pdf").write_bytes(b"x" * 200)
    (source / "clips").mkdir()
    (source / "clips" / "left.mp4").write_bytes(b"x" * 200)
    report = run_import(source, studies, ImportOptions())
    assert [image.image for image in report.imported] == ["copy", "good"]
    reasons = {problem.name: problem.reason for problem in report.problems}
    assert sorted(reasons) == ["broken.png", "empty.png", "good.png", "wrong.png"]
    assert "same file as `copy.png`" in reasons["good.png"]
    assert "one or two numbers" in reasons["wrong.png"]
    assert "readable picture" in reasons["broken.png"]
    assert [problem.name for problem in report.others] == ["notes.pdf", "clips/left.mp4"]
    assert "got a .mp4 file. If it is an image, save it" in report.others[1].reason


def test_the_first_usable_file_gets_the_id(source, studies):
    source.mkdir()
    (source / "a.bmp").write_bytes(b"no image")
    write_picture(source / "a.png", pixels(1))
    write_picture(source / "a.tif", pixels(2))
    report = run_import(source, studies, ImportOptions())
    assert [image.name for image in report.imported] == ["a.png"]
    assert "got `a.png` with it" in report.problems[-1].reason
    np.testing.assert_array_equal(stored(studies, "a"), pixels(1))


def test_masks_lie_beside_the_images(source, studies):
    write_picture(source / "Images" / "a.png", pixels(1))
    write_picture(source / "Images" / "b.png", pixels(2))
    write_picture(source / "masks" / "a_mask.png", layer_mask())
    write_picture(source / "masks" / "stray.png", layer_mask())
    report = run_import(source, studies, ImportOptions())
    assert {image.image: image.tags for image in report.imported} == {"a": ("final",), "b": ()}
    np.testing.assert_array_equal(stored(studies / "labels" / "final", "a"), layer_mask(1))
    assert [problem.name for problem in report.problems] == ["masks/stray.png"]
    # A label has the geometry of its image.
    image, label = nib.load(studies / "a.nii.gz"), nib.load(studies / "labels" / "final" / "a.nii.gz")
    np.testing.assert_array_equal(image.affine, label.affine)
    assert image.shape == label.shape


def test_masks_may_lie_in_the_folder_of_the_images(source, studies):
    write_picture(source / "a.png", pixels(1))
    write_picture(source / "labels" / "Ann" / "a.png", layer_mask())
    report = run_import(source, studies, ImportOptions())
    assert {image.image: image.tags for image in report.imported} == {"a": ("Ann", "final")}


def test_links_are_followed_once(source, studies, tmp_path):
    write_picture(tmp_path / "elsewhere" / "a.png", pixels(1))
    source.mkdir()
    (source / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(source)
    report = run_import(source, studies, ImportOptions())
    assert [image.image for image in report.imported] == ["link_a"]
    assert report.problems == []


def test_a_mask_that_does_not_fit_is_named_and_its_image_comes_in(source, studies, tmp_path):
    write_picture(source / "a.png", pixels(1))
    write_picture(source / "b.png", pixels(2))
    write_picture(tmp_path / "m" / "a.png", layer_mask()[:, :-1])
    write_picture(tmp_path / "m" / "b.png", layer_mask(7) + (layer_mask(2) == 0))
    report = run_import(source, studies, ImportOptions(masks=tmp_path / "m"))
    assert [image.tags for image in report.imported] == [(), ()]
    assert [
        "size of its frame" in problem.reason or "one other value" in problem.reason for problem in report.problems
    ] == [True] * 2
    assert not (studies / "labels").exists()


def test_an_empty_mask_becomes_a_label_and_is_named(source, studies, tmp_path):
    write_picture(source / "a.png", pixels(1))
    write_picture(tmp_path / "m" / "a.png", layer_mask(0))
    report = run_import(source, studies, ImportOptions(masks=tmp_path / "m"))
    assert [image.tags for image in report.imported] == [("final",)]
    assert stored_label_says_no_layer(studies / "labels" / "final" / "a.nii.gz")
    assert [(note.name, "no layer" in note.reason) for note in report.notes] == [("a.png", True)]


def test_readers_have_folders_of_their_own(source, studies, tmp_path):
    write_picture(source / "sub" / "a.png", pixels(1))
    for reader in ("Ann", "Ben"):
        write_picture(tmp_path / "m" / reader / "sub" / "a.png", layer_mask())
    report = run_import(source, studies, ImportOptions(masks=tmp_path / "m"))
    assert report.imported[0].tags == ("Ann", "Ben")
    assert (report.readers, report.final) == (["Ann", "Ben"], None)
    report = run_import(source, studies, ImportOptions(masks=tmp_path / "m", final="ben"))
    assert report.labels_added == [("sub_a", "final")]


def test_a_reader_called_final_does_not_pass_for_the_expert(source, studies, tmp_path):
    write_picture(source / "a.png", pixels(1))
    for reader in ("final", "Ben"):
        write_picture(tmp_path / "m" / reader / "a.png", layer_mask())
    run_import(source, studies, ImportOptions(masks=tmp_path / "m"))
    assert sorted(path.name for path in (studies / "labels").iterdir()) == ["Ben", "reader-final"]


def test_patients_come_from_a_table_or_a_pattern(source, studies):
    for index, name in enumerate(("p1_a", "p1_b", "p2_a", "x")):
        write_picture(source / f"{name}.png", pixels(index))
    (source / "patients.csv").write_text("image,patient\np1_b.png,someone\n")
    run_import(source, studies, ImportOptions(patient_pattern=r"^(?P<patient>p\d+)_"))
    assert (studies / "patients.csv").read_text() == "image,patient\np1_a,p1\np1_b,someone\np2_a,p2\n"


@pytest.mark.parametrize("pattern", ["(", "p\\d+"])
def test_a_pattern_without_a_patient_is_refused(source, studies, pattern):
    write_picture(source / "a.png", pixels())
    with pytest.raises(SettingsError, match="--patient-pattern"):
        run_import(source, studies, ImportOptions(patient_pattern=pattern))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ImportOptions(kind="cubs"), "hold CUBS"),
        (ImportOptions(masks="none"), "folder of masks"),
        (ImportOptions(patients="none.csv"), "--patients"),
        (ImportOptions(final="Ann"), "--final"),
    ],
)
def test_options_that_do_not_fit_the_source_are_refused(source, studies, options, message):
    write_picture(source / "a.png", pixels())
    paths = {name: source / getattr(options, name) for name in ("masks", "patients") if getattr(options, name)}
    with pytest.raises((SettingsError, StudyError), match=message):
        run_import(source, studies, replace(options, **paths))
    assert not list(studies.glob("*.nii.gz"))


def test_a_row_of_the_spacing_table_that_names_no_file_is_named(source, studies, tmp_path):
    write_picture(source / "sub" / "a.png", pixels(1))
    write_picture(source / "b.png", pixels(2))
    table = tmp_path / "spacing.csv"
    table.write_text("image,spacing_mm\nsub/A.png,0.06\nb,0.06\nbb.png,0.06\n")
    report = run_import(source, studies, ImportOptions(spacing_table=table))
    assert [image.calibration.spacing_mm for image in report.imported] == [(0.06, 0.06)] * 2
    assert [note.name for note in report.notes] == ["spacing.csv: bb.png"]
    assert "names none" in report.notes[0].reason


def test_source_and_study_must_be_apart(source):
    write_picture(source / "a.png", pixels())
    for study in (source, source.parent):
        with pytest.raises(StudyError, match="outside the study"):
            run_import(source, study, ImportOptions())
    with pytest.raises(StudyError, match="no such path"):
        run_import(source / "none", source.parent / "studies", ImportOptions())


def test_a_study_within_the_source_is_no_source(source):
    write_picture(source / "a.png", pixels())
    for _ in range(2):
        report = run_import(source, source / "study", ImportOptions())
    assert (report.known, report.problems) == (1, [])
