import numpy as np
import pytest

from sequal.anatomy.measurement import boundaries_from_mask, measure_imt
from sequal.errors import SettingsError, StudyError
from sequal.files.imaging import read_frame, read_label
from sequal.files.importing import ImportOptions, run_import
from sequal.study.folder import StudyFiles
from unit.files.importing.sources import pixels, profile, write_cubs, write_picture, write_profile

READERS = ("Manual-A1", "Manual-A2", "Computerised TUM")


@pytest.fixture
def studies(tmp_path):
    return tmp_path / "studies"


def label(studies, tag, image):
    return read_label(studies / "labels" / tag / f"{image}.nii.gz", (48, 40, 1))[:, :, 0]


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_come_in_with_calibration_and_labels(tmp_path, studies, version):
    report = run_import(write_cubs(tmp_path / "cubs", version=version), studies, ImportOptions())
    assert [image.image for image in report.imported] == ["clin_0001_L", "clin_0001_R", "clin_0002_L"]
    assert (report.problems, report.final) == ([], "Manual-A1")
    frame = read_frame(studies / "clin_0001_R.nii.gz")
    assert frame.calibration.spacing_mm == pytest.approx((0.06, 0.06))
    np.testing.assert_array_equal(frame.pixels[:, :, 0].T, pixels(1))
    for image in ("clin_0001_L", "clin_0001_R"):  # one layout each
        imt = measure_imt(boundaries_from_mask(label(studies, "final", image)), frame.calibration)
        assert imt.mean == pytest.approx(6 * 0.06)
        assert imt.columns == 36


def test_arteries_of_one_patient_stay_together(tmp_path, studies):
    run_import(write_cubs(tmp_path / "cubs"), studies, ImportOptions())
    patients = StudyFiles.open(studies).patients()
    assert patients == {"clin_0001_L": "clin_0001", "clin_0001_R": "clin_0001", "clin_0002_L": "clin_0002"}


def test_technical_images_are_their_own_patients(tmp_path, studies):
    run_import(write_cubs(tmp_path / "cubs", ("tech_001", "tech_002"), version=2), studies, ImportOptions())
    assert StudyFiles.open(studies).patients() == {"tech_001": "tech_001", "tech_002": "tech_002"}
    assert not (studies / "patients.csv").exists()


def test_readers_become_tags_and_none_is_the_expert_until_chosen(tmp_path, studies):
    cubs = write_cubs(tmp_path / "cubs", readers=READERS)
    report = run_import(cubs, studies, ImportOptions())
    assert report.imported[0].tags == ("Computerised_TUM", "Manual-A1", "Manual-A2")
    assert StudyFiles.open(studies).labelled == []
    report = run_import(cubs, studies, ImportOptions(final="manual-a2"))
    assert (len(report.imported), report.known) == (0, 3)
    assert [tag for _, tag in report.labels_added] == ["final"] * 3
    assert StudyFiles.open(studies).labelled == ["clin_0001_L", "clin_0001_R", "clin_0002_L"]
    np.testing.assert_array_equal(label(studies, "final", "clin_0001_L"), label(studies, "Manual-A2", "clin_0001_L"))
    assert (label(studies, "Manual-A2", "clin_0001_L") != label(studies, "Manual-A1", "clin_0001_L")).any()


def test_nobody_may_be_chosen(tmp_path, studies):
    run_import(write_cubs(tmp_path / "cubs"), studies, ImportOptions(final="none"))
    assert sorted(path.name for path in (studies / "labels").iterdir()) == ["Manual-A1"]


def test_an_unknown_reader_is_refused_with_those_there_are(tmp_path, studies):
    with pytest.raises(SettingsError, match=r"'Manual-A9'\. It has: Computerised TUM, Manual-A1, Manual-A2"):
        run_import(write_cubs(tmp_path / "cubs", readers=READERS), studies, ImportOptions(final="Manual-A9"))


def test_bad_parts_are_named_and_the_rest_comes_in(tmp_path, studies):
    cubs = write_cubs(tmp_path / "cubs", ("clin_0001_L", "clin_0002_L", "clin_0003_L", "clin_0004_L"))
    (cubs / "CF" / "clin_0001_L_CF.txt").write_text("0.06 0.07")
    (cubs / "CF" / "clin_0002_L_CF.txt").unlink()
    reader = cubs / "SEGMENTATIONS" / "Manual-A1"
    (reader / "clin_0002_L-MA.txt").unlink()
    write_profile(reader / "clin_0003_L-LI.txt", profile(35.0))
    write_profile(reader / "clin_0009_L-LI.txt", profile(35.0))
    report = run_import(cubs, studies, ImportOptions())
    calibrated = {image.image: image.calibration.calibrated for image in report.imported}
    assert calibrated == {"clin_0002_L": False, "clin_0003_L": True, "clin_0004_L": True}
    assert [image.tags for image in report.imported] == [(), (), ("Manual-A1", "final")]
    reasons = {problem.name: problem.reason for problem in report.problems}
    assert "one number" in reasons["IMAGES/clin_0001_L.tiff"]
    assert "`clin_0002_L-MA.txt` beside it" in reasons["SEGMENTATIONS/Manual-A1/clin_0002_L-LI.txt"]
    assert "MA to lie below LI" in reasons["Manual-A1/clin_0003_L-LI.txt"]
    assert "image that it belongs to" in reasons["SEGMENTATIONS/Manual-A1/clin_0009_L-LI.txt"]
    assert len(report.problems) == 4


def test_both_versions_may_lie_in_one_folder(tmp_path, studies):
    write_cubs(tmp_path / "all" / "v1")
    write_cubs(tmp_path / "all" / "v2", ("tech_001",), version=2)
    write_picture(tmp_path / "all" / "v2" / "images" / "tech_001.tiff", pixels(9))
    report = run_import(tmp_path / "all", studies, ImportOptions())
    assert len(report.imported) == 4
    assert report.imported[-1].name == "v2/images/tech_001.tiff"
    assert StudyFiles.open(studies).labelled == ["clin_0001_L", "clin_0001_R", "clin_0002_L", "tech_001"]


def test_a_spacing_table_rules_over_the_calibration_files(tmp_path, studies):
    table = tmp_path / "spacing.csv"
    table.write_text("image,dx_mm,dy_mm\nclin_0001_L.tiff,0.07,0.05\n")
    report = run_import(write_cubs(tmp_path / "cubs"), studies, ImportOptions(spacing_table=table))
    spacings = {image.image: image.calibration.spacing_mm for image in report.imported}
    assert spacings["clin_0001_L"] == (0.07, 0.05)
    assert spacings["clin_0001_R"] == (0.06, 0.06)


def test_masks_beside_the_profiles_are_refused(tmp_path, studies):
    (tmp_path / "masks").mkdir()
    with pytest.raises(StudyError, match="--kind files"):
        run_import(write_cubs(tmp_path / "cubs"), studies, ImportOptions(masks=tmp_path / "masks"))


def test_the_layout_can_be_ignored(tmp_path, studies):
    report = run_import(write_cubs(tmp_path / "cubs"), studies, ImportOptions(kind="files"))
    assert [(image.tags, image.calibration.calibrated, image.patient) for image in report.imported] == [
        ((), False, "")
    ] * 3
