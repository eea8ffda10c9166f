import os
import re
import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_pixel_data_frame

from sequal.errors import StudyError
from sequal.files.imaging import read_frame
from sequal.files.importing import ImportOptions, run_import
from sequal.files.importing.dicom_region import image_region
from sequal.files.importing.pseudonyms import SALT_NAME
from sequal.study.folder import StudyFiles
from unit.files.importing.sources import pixels, region, write_dicom, write_picture

#: On a user's machine a missing program skips the test; continuous integration has it.
needs_dcmtk = pytest.mark.skipif(
    shutil.which("dcmcjpeg") is None and not (os.environ.get("CI") or os.environ.get("SEQUAL_CI")),
    reason="dcmcjpeg of dcmtk, which makes the compressed file, is not installed",
)


@pytest.fixture
def source(tmp_path):
    return tmp_path / "source"


@pytest.fixture
def studies(tmp_path):
    return tmp_path / "studies"


def only(report, studies):
    """The frame of the only image."""
    assert report.problems == []
    assert len(report.imported) == 1
    return read_frame(studies / f"{report.imported[0].image}.nii.gz")


def reason(report):
    """Why the only file was left out."""
    assert report.imported == []
    assert len(report.problems) == 1
    return report.problems[0].reason


def test_a_frame_is_cut_to_its_region_and_calibrated_by_it(source, studies):
    stored = pixels()
    write_dicom(source / "IM1", stored, [region((4, 10, 43, 37))], PixelSpacing=[0.05, 0.06])
    frame = only(run_import(source, studies, ImportOptions()), studies)
    assert frame.shape == (40, 28, 1)
    np.testing.assert_array_equal(frame.pixels[:, :, 0].T, stored[10:38, 4:44])
    assert frame.calibration.spacing_mm == pytest.approx((0.06, 0.05))


def test_a_clip_lies_along_the_third_axis(source, studies):
    stored = np.stack([pixels(seed) for seed in range(3)])
    write_dicom(source / "a.dcm", stored, [region((4, 10, 43, 37))])
    frame = only(run_import(source, studies, ImportOptions()), studies)
    assert frame.shape == (40, 28, 3)
    np.testing.assert_array_equal(frame.pixels.T, stored[:, 10:38, 4:44])


def test_colour_becomes_grey_and_pixel_spacing_counts_without_a_region(source, studies):
    grey = pixels()
    write_dicom(source / "a.dcm", np.stack([grey] * 3, axis=-1), PixelSpacing=[0.05, 0.06])
    report = run_import(source, studies, ImportOptions())
    frame = only(report, studies)
    np.testing.assert_array_equal(frame.pixels[:, :, 0].T, grey)
    assert frame.calibration.spacing_mm == pytest.approx((0.06, 0.05))
    assert "whole picture is kept" in report.notes[0].reason


def test_a_frame_that_is_stored_twice_comes_in_once(source, studies):
    for name in ("a.dcm", "b.dcm"):
        write_dicom(source / name, pixels(), [region()])
    write_dicom(source / "other.dcm", pixels(), [region()], patient="another")
    report = run_import(source, studies, ImportOptions())
    assert [image.name for image in report.imported] == ["a.dcm", "other.dcm"]
    assert "pixels of `a.dcm` again" in report.problems[0].reason
    report = run_import(source, studies, ImportOptions())
    assert (report.known, report.imported) == (2, [])
    assert "of the study again" in report.problems[0].reason


def test_a_given_spacing_rules_over_the_file(source, studies):
    write_dicom(source / "a.dcm", pixels(), [region()])
    report = run_import(source, studies, ImportOptions(spacing_mm=(0.08, 0.07)))
    assert only(report, studies).calibration.spacing_mm == pytest.approx((0.08, 0.07))


def test_a_report_beside_the_file_is_no_sidecar(source, studies):
    write_dicom(source / "a.dcm", pixels(), [region()]).with_suffix(".txt").write_text("No plaque.")
    assert only(run_import(source, studies, ImportOptions()), studies).calibration.calibrated


@needs_dcmtk
@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_is_decoded(source, studies, colour):
    smooth = np.add.outer(np.arange(40) * 2, np.arange(48)).astype(np.uint8)
    stored = np.stack([smooth, smooth // 2, smooth // 3], axis=-1) if colour else smooth
    plain = write_dicom(studies.parent / "plain.dcm", stored)
    source.mkdir()
    subprocess.run(["dcmcjpeg", "+eb", plain, source / "a.dcm"], check=True)
    frame = only(run_import(source, studies, ImportOptions()), studies)
    assert np.abs(frame.pixels - read_frame(plain).pixels).max() <= 4


@needs_dcmtk
@pytest.mark.parametrize("compress", [("dcmcjpeg", "+e1"), ("dcmcjpeg", "+el"), ("dcmcjpls",)])
@pytest.mark.parametrize("kind", ["grey", "16 bit", "inverted", "RGB", "YBR_FULL", "clip"])
def test_what_scanners_compress_without_loss_is_decoded(source, studies, compress, kind):
    frames = np.stack([pixels(seed) for seed in range(3)])
    chroma = np.full((40, 48), 120, np.uint8)
    stored, tags, rounding = {
        "grey": (frames[0], {}, 0),
        "16 bit": (frames[0].astype(np.uint16) * 200, {}, 0),
        "inverted": (frames[0], {"PhotometricInterpretation": "MONOCHROME1"}, 0),
        "RGB": (np.moveaxis(frames, 0, -1), {}, 0.5),
        "YBR_FULL": (np.stack([frames[0] + 20, chroma, 248 - chroma], -1), {"PhotometricInterpretation": kind}, 1.5),
        "clip": (frames, {}, 0),
    }[kind]
    plain = write_dicom(studies.parent / "plain.dcm", stored, [region()], **tags)
    source.mkdir()
    subprocess.run([compress[0], *compress[1:], plain, source / "no suffix"], check=True)
    frame = only(run_import(source, studies, ImportOptions()), studies)
    x0, y0 = 4, 10  # of the region
    expected = read_frame(plain).pixels[x0 : x0 + frame.grid[0], y0 : y0 + frame.grid[1]]
    assert np.abs(frame.pixels - expected).max() <= rounding  # YCbCr goes through RGB
    assert frame.calibration.spacing_mm == (0.06, 0.05)


@needs_dcmtk
@pytest.mark.parametrize("compress", [("dcmcjpeg", "+e1"), ("dcmcjpls",)])
def test_damaged_compressed_pixels_are_named(source, studies, compress):
    plain = write_dicom(studies.parent / "plain.dcm", pixels(), [region()])
    source.mkdir()
    subprocess.run([*compress, plain, source / "a.dcm"], check=True)
    dataset = pydicom.dcmread(source / "a.dcm")
    (whole,) = generate_pixel_data_frame(dataset.PixelData, 1)
    dataset.PixelData = encapsulate([whole[: len(whole) // 2]])
    dataset.save_as(source / "a.dcm")
    (problem,) = run_import(source, studies, ImportOptions()).problems
    assert "damaged or cut off" in problem.reason


def test_the_region_that_calibrates_is_kept():
    dataset = pydicom.Dataset()
    dataset.Rows, dataset.Columns = 40, 48
    assert image_region(dataset) is None
    doppler = region((0, 0, 47, 39), unit=4)
    small, large = region((0, 0, 19, 19)), region((10, 5, 60, 60))
    for regions, bounds in [
        ([doppler], (0, 0, 48, 40)),
        ([doppler, small], (0, 0, 20, 20)),
        ([doppler, small, large], (10, 5, 48, 40)),
        ([region((0, 0, 47, 39), data_type=2), small], (0, 0, 20, 20)),
        ([region((0, 0, 47, 39), data_type=3), region((0, 0, 19, 19), delta_cm=(0, 0))], (0, 0, 20, 20)),
        ([region((0, 0, 47, 39), delta_cm=(float("nan"), 0.01)), small], (0, 0, 20, 20)),
        ([region((0, 0, 5, 39))], None),
        ([region((30, 30, 10, 10))], None),
    ]:
        dataset.SequenceOfUltrasoundRegions = regions
        assert image_region(dataset) == bounds
    del small.RegionLocationMinX0
    dataset.SequenceOfUltrasoundRegions = [small]
    assert image_region(dataset) is None


def test_the_study_holds_nothing_that_tells_the_patient(source, studies):
    write_dicom(source / "DOE_JANE" / "a.dcm", pixels(), [region()], patient="SECRET-77")
    run_import(source, studies, ImportOptions())
    for path in studies.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for secret in (b"SECRET", b"DOE", b"Doe", b"1950"):
            assert secret not in path.name.encode() + content
    patient = next(iter(StudyFiles.open(studies).patients().values()))
    assert re.fullmatch("pt[0-9a-f]{10}", patient)
    assert (studies / SALT_NAME).exists()


def test_every_hash_of_an_image_depends_on_the_salt(source, studies):
    write_dicom(source / "a.dcm", pixels(), [region()])
    images = [run_import(source, studies / str(n), ImportOptions()).imported[0] for n in range(2)]
    ours, theirs = (image.image.split("_") for image in images)
    assert ours[0] != theirs[0]
    assert ours[1] != theirs[1]


def test_images_of_one_patient_stay_together_over_runs_and_options(source, studies):
    write_dicom(source / "1" / "a.dcm", pixels(1), [region()], patient="77")
    write_dicom(source / "1" / "b.dcm", pixels(2), [region()], patient="78")
    run_import(source, studies, ImportOptions())
    write_dicom(source / "2" / "c.dcm", pixels(3), [region()], patient="77 ")
    run_import(source, studies, ImportOptions(keep_patient_ids=True))
    patients = list(StudyFiles.open(studies).patients().values())
    assert sorted(patients.count(patient) for patient in set(patients)) == [1, 2]


def test_a_patient_renamed_by_hand_keeps_the_new_name(source, studies):
    write_dicom(source / "a.dcm", pixels(1), [region()], patient="77")
    first = run_import(source, studies, ImportOptions()).imported[0].image
    (studies / "patients.csv").write_text(f"image,patient\n{first},renamed\n")
    write_dicom(source / "b.dcm", pixels(2), [region()], patient="77")
    second = run_import(source, studies, ImportOptions()).imported[0].image
    assert StudyFiles.open(studies).patients() == {first: "renamed", second: "renamed"}


def test_a_lost_salt_stops_dicom_only(source, studies):
    write_dicom(source / "a.dcm", pixels(1), [region()])
    run_import(source, studies, ImportOptions())
    (studies / SALT_NAME).unlink()
    with pytest.raises(StudyError, match="Restore it from a backup"):
        run_import(source, studies, ImportOptions())
    picture = write_picture(source / "b.png", pixels(2))
    assert len(run_import(picture, studies, ImportOptions()).imported) == 1


def test_patient_ids_are_kept_when_asked_for(source, studies):
    write_dicom(source / "a.dcm", pixels(), [region()], patient="77/A")
    image = run_import(source, studies, ImportOptions(keep_patient_ids=True)).imported[0]
    assert image.patient == "77/A"
    assert image.image.startswith("77_A_")
    assert StudyFiles.open(studies).patients() == {image.image: "77/A"}


def test_equal_ids_of_two_issuers_are_two_patients(source, studies):
    for name in ("A", "B"):
        write_dicom(source / f"{name}.dcm", pixels(), [region()], IssuerOfPatientID=name)
    run_import(source, studies, ImportOptions())
    assert len(set(StudyFiles.open(studies).patients().values())) == 2


def test_without_an_id_the_dicom_study_stands_for_the_patient(source, studies):
    for index, study in enumerate(("1.2", "1.2", "1.3")):
        write_dicom(source / f"{index}.dcm", pixels(index), [region()], patient="", StudyInstanceUID=study)
    run_import(source, studies, ImportOptions())
    assert len(set(StudyFiles.open(studies).patients().values())) == 2


def test_two_persons_under_one_id_are_named_and_kept_together(source, studies):
    write_dicom(source / "a.dcm", pixels(1), [region()])
    write_dicom(source / "b.dcm", pixels(2), [region()], PatientName="Jane^DOE")
    assert run_import(source, studies, ImportOptions()).notes == []
    write_dicom(source / "c.dcm", pixels(3), [region()], PatientName="Roe^Richard", PatientBirthDate="19700101")
    report = run_import(source / "c.dcm", studies, ImportOptions())
    assert len(report.imported) == 1
    assert re.search(r"another name and birth date than in image pt\w+ of the study", report.notes[0].reason)
    assert "patients.csv" in report.notes[0].reason
    assert len(set(StudyFiles.open(studies).patients().values())) == 1


def test_a_burned_in_name_that_cannot_be_cut_off_is_refused(source, studies):
    write_dicom(source / "a.dcm", pixels(), BurnedInAnnotation="YES")
    assert "BurnedInAnnotation" in reason(run_import(source, studies, ImportOptions()))
    assert len(run_import(source, studies, ImportOptions(keep_patient_ids=True)).imported) == 1


@pytest.mark.parametrize("modality", ["CT", "SEG", "OT", ""])
def test_other_modalities_are_left_out(source, studies, modality):
    write_dicom(source / "a.dcm", pixels(), Modality=modality, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert f"(Modality US or IVUS), got {modality or 'no modality'}." in reason(
        run_import(source, studies, ImportOptions())
    )


def test_the_class_stands_for_a_missing_modality(source, studies):
    write_dicom(source / "a.dcm", pixels(), [region()], Modality="")
    only(run_import(source, studies, ImportOptions()), studies)


def test_a_report_without_pixels_is_named(source, studies):
    path = write_dicom(source / "a.dcm", pixels(), Modality="SR")
    dataset = pydicom.dcmread(path)
    del dataset.PixelData, dataset.Rows
    dataset.save_as(path)
    assert "got SR without pixels" in reason(run_import(source, studies, ImportOptions()))


@pytest.mark.parametrize("part", [0.05, 0.1, 0.2, 0.4, 0.7, 0.95])
def test_a_truncated_file_is_named_wherever_it_ends(source, studies, part):
    whole = write_dicom(studies.parent / "whole.dcm", pixels(), [region()]).read_bytes()
    source.mkdir()
    (source / "a.dcm").write_bytes(whole[: int(len(whole) * part)])
    write_picture(source / "b.png", pixels(1))
    report = run_import(source, studies, ImportOptions())
    assert [image.image for image in report.imported] == ["b"]
    assert [problem.name for problem in report.problems] == ["a.dcm"]
    assert re.search("cut off|[Oo]pen it in a viewer", report.problems[0].reason)


def test_a_truncated_copy_gives_way_to_the_whole_file(source, studies):
    whole = write_dicom(source / "b.dcm", pixels(), [region()]).read_bytes()
    (source / "a.dcm").write_bytes(whole[:-100])
    report = run_import(source, studies, ImportOptions())
    assert [image.name for image in report.imported] == ["b.dcm"]
    assert [problem.name for problem in report.problems] == ["a.dcm"]


def test_a_private_transfer_syntax_is_named(source, studies):
    path = write_dicom(source / "a.dcm", pixels(), [region()])
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = "1.2.3.4.5.6"
    dataset.PixelData = encapsulate([bytes(64)])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    assert "1.2.3.4.5.6" in reason(run_import(source, studies, ImportOptions()))


def test_a_file_that_only_claims_to_be_dicom_is_named(source, studies):
    source.mkdir()
    (source / "a.dcm").write_bytes(b"hello")
    (source / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    report = run_import(source, studies, ImportOptions())
    assert "readable DICOM" in reason(report)
    assert "without DICOM's mark" in reason(report)
    assert "force" not in reason(report)  # a word for programmers
    assert not (studies / SALT_NAME).exists()
