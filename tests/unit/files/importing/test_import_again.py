import json
import threading

import nibabel as nib
import numpy as np
import pytest
from filelock import FileLock

from sequal.errors import StudyError
from sequal.files.importing import ImportOptions, run_import
from sequal.files.importing.journal import JOURNAL_NAME, ImportRecord, Journal
from sequal.files.importing.writing import StudyWriter
from sequal.study.folder import StudyFiles
from sequal.study.state import freeze_split
from unit.files.importing.sources import layer_mask, pixels, write_cubs, write_dicom, write_picture


@pytest.fixture
def source(tmp_path):
    for index, name in enumerate("abc"):
        write_picture(tmp_path / "source" / "images" / f"{name}.png", pixels(index))
    write_picture(tmp_path / "source" / "masks" / "a.png", layer_mask())
    return tmp_path / "source"


@pytest.fixture
def studies(tmp_path):
    return tmp_path / "studies"


def contents(folder):
    """Content by path, without the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".import.lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_second_run_changes_nothing(source, studies):
    run_import(source, studies, ImportOptions(spacing_mm=(0.06, 0.06)))
    before = contents(studies)
    report = run_import(source, studies, ImportOptions(spacing_mm=(0.06, 0.06)))
    assert (report.imported, report.known, report.problems, report.notes) == ([], 3, [], [])
    assert contents(studies) == before


def test_only_what_is_new_comes_in(source, studies):
    run_import(source, studies, ImportOptions())
    write_picture(source / "images" / "d.png", pixels(9))
    write_picture(source / "masks" / "b.png", layer_mask())
    report = run_import(source, studies, ImportOptions())
    assert [image.image for image in report.imported] == ["d"]
    assert report.labels_added == [("b", "final")]
    assert StudyFiles.open(studies).labelled == ["a", "b"]


def test_a_renamed_file_is_known_by_its_content(source, studies):
    run_import(source, studies, ImportOptions())
    (source / "images" / "c.png").rename(source / "images" / "z.png")
    assert run_import(source, studies, ImportOptions()).known == 3


def test_an_image_taken_out_of_the_study_comes_in_anew(source, studies):
    run_import(source, studies, ImportOptions())
    (studies / "b.nii.gz").unlink()
    assert [image.image for image in run_import(source, studies, ImportOptions()).imported] == ["b"]


def test_changed_content_never_replaces_an_image(source, studies):
    run_import(source, studies, ImportOptions())
    before = contents(studies)
    write_picture(source / "images" / "a.png", pixels(77))
    report = run_import(source, studies, ImportOptions())
    assert [problem.name for problem in report.problems] == ["a.png"]
    assert "`a` to be free" in report.problems[0].reason
    assert contents(studies) == before


def test_another_spacing_is_named_and_changes_nothing(source, studies):
    run_import(source, studies, ImportOptions())
    before = contents(studies)
    report = run_import(source, studies, ImportOptions(spacing_mm=(0.06, 0.06)))
    assert len(report.problems) == 3
    assert "no calibration" in report.problems[0].reason
    assert contents(studies) == before


def test_the_experts_label_is_never_overwritten(source, studies):
    drawn = np.zeros((48, 40, 1), np.uint8)
    drawn[3:30, 8:12] = 1
    final = studies / "labels" / "final"
    final.mkdir(parents=True)
    nib.save(nib.Nifti1Image(drawn, np.eye(4)), final / "a.nii.gz")
    (final / "b.seg.nrrd").write_bytes(b"drawn in Slicer")
    write_picture(source / "masks" / "b.png", layer_mask())
    before = contents(final)
    report = run_import(source, studies, ImportOptions())
    assert contents(final) == before
    assert [image.tags for image in report.imported] == [(), (), ()]
    assert [note.name for note in report.notes] == ["a.png", "b.png"]
    assert all("stays as it is" in note.reason for note in report.notes)
    assert run_import(source, studies, ImportOptions()).notes == []


def test_a_label_edited_after_the_import_stays(source, studies):
    run_import(source, studies, ImportOptions())
    edited = studies / "labels" / "final" / "a.nii.gz"
    edited.write_bytes(b"the server replaced it")
    write_picture(source / "masks" / "a.png", layer_mask()[::-1].copy())
    report = run_import(source, studies, ImportOptions())
    assert edited.read_bytes() == b"the server replaced it"
    assert len(report.notes) == 1


def test_a_label_that_was_removed_does_not_come_back(source, studies):
    run_import(source, studies, ImportOptions())
    (studies / "labels" / "final" / "a.nii.gz").unlink()
    assert run_import(source, studies, ImportOptions()).labels_added == []
    assert StudyFiles.open(studies).labelled == []


def test_images_of_the_study_are_left_alone(source, studies):
    studies.mkdir()
    (studies / "a.png").write_bytes(b"was here before")
    report = run_import(source, studies, ImportOptions())
    assert [image.image for image in report.imported] == ["b", "c"]
    assert not (studies / "a.nii.gz").exists()
    assert (studies / "a.png").read_bytes() == b"was here before"
    assert not (studies / "labels").exists()


def test_rows_of_the_manifest_stay_as_they_are(source, studies):
    studies.mkdir()
    (studies / "patients.csv").write_text("image,patient\na.nii.gz,mine\nother,theirs")
    run_import(source, studies, ImportOptions(patient_pattern="(?P<patient>[abc])"))
    # A patient named as its image needs no row.
    assert (studies / "patients.csv").read_text() == "image,patient\na.nii.gz,mine\nother,theirs"
    (source / "patients.csv").write_text("image,patient\na,someone\nb,p2\n")
    for path in studies.glob("*.nii.gz"):
        path.unlink()
    run_import(source, studies, ImportOptions())
    assert (studies / "patients.csv").read_text() == "image,patient\na.nii.gz,mine\nother,theirs\nb,p2\n"


def test_a_malformed_manifest_stops_before_anything_is_written(source, studies):
    studies.mkdir()
    (studies / "patients.csv").write_text("image,patient\na\n")
    with pytest.raises(StudyError, match="line 2"):
        run_import(source, studies, ImportOptions())
    assert not list(studies.glob("*.nii.gz"))


def test_the_split_keeps_imported_patients_apart(tmp_path, studies):
    stems = [f"clin_{number:04d}_{side}" for number in range(6) for side in "LR"]
    run_import(write_cubs(tmp_path / "cubs", stems), studies, ImportOptions())
    files = StudyFiles.open(studies)
    patients = files.patients()
    split = freeze_split(tmp_path / "split.json", {image: patients[image] for image in files.labelled}, 0.3, 0)
    part = split.partition(files.labelled, patients)
    assert split.images
    assert {image[:9] for image in part.train_ids}.isdisjoint({image[:9] for image in part.validation_ids})
    assert {*part.train_ids, *part.validation_ids} == set(stems)


@pytest.mark.parametrize("moment", ["before the image", "before the record"])
def test_an_interrupted_import_leaves_a_study_and_goes_on(tmp_path, studies, monkeypatch, moment):
    source = write_cubs(tmp_path / "cubs", readers=("Manual-A1", "Manual-A2"))
    whole = tmp_path / "whole"
    run_import(source, whole, ImportOptions(final="Manual-A1"))

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "before the record":
            patch.setattr(Journal, "add", interrupt)
        else:
            put = StudyWriter._put

            def refuse_images(self, target, content):
                return interrupt() if target.parent == studies else put(self, target, content)

            patch.setattr(StudyWriter, "_put", refuse_images)
        with pytest.raises(KeyboardInterrupt):
            run_import(source, studies, ImportOptions(final="Manual-A1"))
    images = sorted(studies.glob("*.nii.gz"))
    assert len(images) == (moment == "before the record")
    if images:
        assert StudyFiles.open(studies).patients() == {"clin_0001_L": "clin_0001"}
    report = run_import(source, studies, ImportOptions(final="Manual-A1"))
    assert (len(report.imported), report.problems, report.notes) == (3, [], [])
    skip = JOURNAL_NAME  # holds times
    assert {k: v for k, v in contents(studies).items() if k != skip} == {
        k: v for k, v in contents(whole).items() if k != skip
    }


def test_patients_are_named_before_their_images_come(tmp_path, studies, monkeypatch):
    source = write_cubs(tmp_path / "cubs")
    seen = []
    monkeypatch.setattr(
        StudyWriter, "add_image", lambda self, item: seen.append((studies / "patients.csv").read_text()) or None
    )
    run_import(source, studies, ImportOptions())
    assert seen[0].splitlines()[1:] == ["clin_0001_L,clin_0001", "clin_0001_R,clin_0001", "clin_0002_L,clin_0002"]
    # None of them came, so none stays in the manifest.
    assert (studies / "patients.csv").read_text() == "image,patient\n"


def test_a_full_disk_ends_with_a_message_and_what_came_stays(source, studies, monkeypatch):
    add = Journal.add
    calls = []

    def full(self, record):
        calls.append(record.image)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        add(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", full)
        with pytest.raises(StudyError, match=r"No space left on device.*run the import again"):
            run_import(source, studies, ImportOptions())
    assert [record.image for record in Journal(studies / JOURNAL_NAME).records()] == ["a"]
    assert len(run_import(source, studies, ImportOptions()).imported) == 2


def test_a_torn_record_is_recognised_by_the_image(source, studies):
    run_import(source, studies, ImportOptions())
    journal = studies / JOURNAL_NAME
    journal.write_bytes(journal.read_bytes()[:-20])
    report = run_import(source, studies, ImportOptions())
    assert (report.known, [image.image for image in report.imported], report.problems) == (2, ["c"], [])
    assert run_import(source, studies, ImportOptions()).known == 3
    lines = journal.read_text().splitlines()
    assert json.loads(lines[-1])["image"] == "c"


def test_a_dry_run_reads_everything_and_writes_nothing(source, studies):
    (source / "images" / "broken.png").write_bytes(b"no image")
    write_picture(source / "masks" / "b.png", layer_mask()[:, :-1])
    write_dicom(source / "images" / "d.dcm", pixels(5))
    report = run_import(source, studies, ImportOptions(), dry_run=True)
    assert not studies.exists()
    assert [image.name for image in report.imported] == ["a.png", "b.png", "c.png", "d.dcm"]
    assert sorted(problem.name for problem in report.problems) == ["b.png", "broken.png"]


def test_a_dry_run_sees_the_experts_label(source, studies):
    (studies / "labels" / "final").mkdir(parents=True)
    (studies / "labels" / "final" / "a.nii.gz").write_bytes(b"drawn")
    report = run_import(source, studies, ImportOptions(), dry_run=True)
    assert [note.name for note in report.notes] == ["a.png"]
    assert sorted(contents(studies)) == ["labels/final/a.nii.gz"]


def test_two_imports_at_once_are_refused(source, studies):
    studies.mkdir()
    refused = []

    def second():
        try:
            run_import(source, studies, ImportOptions())
        except StudyError as error:
            refused.append(str(error))

    with FileLock(studies / ".import.lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "other import" in refused[0]
    assert len(run_import(source, studies, ImportOptions()).imported) == 3


def test_the_journal_gives_back_what_it_was_given(tmp_path):
    record = ImportRecord("a", "d1", "given", (0.06, 0.05), {"final": "x"}, "ä.png", "p", "key", {"sex": "1"}, 3.5)
    journal = Journal(tmp_path / JOURNAL_NAME)
    journal.add(record)
    journal.add(ImportRecord("b", "d2", "none"))
    again = Journal(tmp_path / JOURNAL_NAME)
    assert again.find("d1") == record
    assert again.find("d2").spacing_mm is None
    assert again.find("d3") is None


def test_a_damaged_line_is_left_out(tmp_path, caplog):
    journal = Journal(tmp_path / JOURNAL_NAME)
    journal.add(ImportRecord("a", "d1", "none"))
    with (tmp_path / JOURNAL_NAME).open("ab") as file:
        file.write(b'{"image": 1}\n\xff\xfe\n')
    journal = Journal(tmp_path / JOURNAL_NAME)
    assert [record.image for record in journal.records()] == ["a"]
    assert "Line 2" in caplog.text
    assert "Line 3" in caplog.text
