import csv
import json

import nibabel as nib
import numpy as np
import pydicom
import pytest
import requests
from PIL import Image

from pacs import running_orthanc
from sequal.files.dicom import pseudonym
from sequal.files.imaging import read_frame
from sequal.settings import Settings
from sequal.study.state import Provenance, StudyState, file_digest
from unit.files.dicom.frames import validator_errors
from unit.synthetic_study import band, write_image, write_label

THICK_MM = 8 * 0.06


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def table(folder):
    with (folder / "measurements.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def refine(state_folder, studies, image, digest=None):
    """A refined label of an image, as a round leaves it."""
    state = StudyState.open(state_folder, Settings())
    label = studies / "labels" / "final" / f"{image}.nii.gz"
    values = np.asanyarray(nib.load(label).dataobj).copy()
    values[:10] = values[80:] = 0
    state.refined.put(image, values, Provenance(digest or file_digest(label), 2, "c" * 64, 0.5, 0.1, 1.7e9))


def test_a_study_becomes_dicom_with_its_labels_and_tables(run, studies, app_folder, tmp_path):
    before = contents(studies)
    refine(tmp_path / "state", studies, "im0")
    out = tmp_path / "out"
    result = run("to-dicom", studies, "--out", out, "--app", app_folder, "--state", tmp_path / "state")
    assert result.exit_code == 0, result.output
    assert "6 images, 3 segmentations and 3 reports (18 DICOM objects)" in result.output
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == [f"im{index}" for index in range(6)]
    assert sorted(path.name for path in (out / "im0").iterdir()) == [
        "image_0001.dcm",
        "image_0002.dcm",
        "imt_final.dcm",
        "imt_refined.dcm",
        "label_final.dcm",
        "label_refined.dcm",
    ]
    assert sorted(path.name for path in (out / "im5").iterdir()) == ["image_0001.dcm", "image_0002.dcm"]
    assert [problem for file in sorted((out / "im0").iterdir()) for problem in validator_errors(file)] == []
    image = pydicom.dcmread(out / "im2" / "image_0001.dcm")
    assert (image.PatientID, image.StudyDescription) == ("p1", "im2")
    assert np.array_equal(image.pixel_array.T, read_frame(studies / "im2.nii.gz").pixels[:, :, 0])
    assert contents(studies) == before


def test_the_tables_hold_each_label(run, studies, app_folder, tmp_path):
    refine(tmp_path / "state", studies, "im0")
    run("to-dicom", studies, "--out", tmp_path / "out", "--app", app_folder, "--state", tmp_path / "state")
    rows = table(tmp_path / "out")
    assert [(row["image"], row["patient"], row["label"]) for row in rows] == [
        ("im0", "p0", "final"),
        ("im0", "p0", "refined"),
        ("im1", "p0", "final"),
    ]
    assert [float(row["mean_mm"]) for row in rows] == [pytest.approx(THICK_MM)] * 3
    assert [row["mean_px"] for row in rows] == ["", "", ""]
    assert [row["columns"] for row in rows] == ["70", "70", "70"]
    entries = json.loads((tmp_path / "out" / "measurements.json").read_text())
    assert [entry["mean_mm"] for entry in entries] == [pytest.approx(THICK_MM)] * 3
    assert entries[0]["flags"] == ["short_length"]
    report = pydicom.dcmread(tmp_path / "out" / "im0" / "imt_final.dcm")
    assert (rows[0]["report_uid"], rows[0]["study_uid"]) == (report.SOPInstanceUID, report.StudyInstanceUID)


def test_a_second_run_writes_the_same(run, studies, app_folder, tmp_path):
    for name in ("once", "twice"):
        run("to-dicom", studies, "--out", tmp_path / name, "--app", app_folder)
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")
    assert len(contents(tmp_path / "once")) == 6 * 2 + 2 * 2 + 2


def test_each_image_is_a_study_and_patients_are_held_together(run, studies, app_folder, tmp_path):
    run("to-dicom", studies, "--out", tmp_path, "--app", app_folder)
    images = [pydicom.dcmread(path) for path in sorted(tmp_path.glob("*/image_0001.dcm"))]
    assert len({image.StudyInstanceUID for image in images}) == 6
    assert [image.PatientID for image in images] == ["p0", "p0", "p1", "p1", "p2", "p2"]


def test_a_salt_hides_names_in_the_objects(run, studies, app_folder, tmp_path):
    out = tmp_path / "out"
    result = run("to-dicom", studies, "--out", out, "--app", app_folder, "--salt", "secret")
    assert "keep them apart" in result.output
    names = {pseudonym(f"im{index}", "secret") for index in range(6)}
    assert {path.name for path in out.iterdir() if path.is_dir()} == names
    patients = {pseudonym(f"p{index}", "secret") for index in range(3)}
    for file in out.rglob("*.dcm"):
        dataset = pydicom.dcmread(file)
        assert dataset.PatientID in patients
        assert dataset.StudyDescription in names
        assert b"im0" not in file.read_bytes()
    assert {row["image"] for row in table(out)} == {"im0", "im1"}


def test_a_stale_refined_label_is_left_where_it_is_and_not_exported(run, studies, app_folder, tmp_path):
    refine(tmp_path / "state", studies, "im0", digest="f" * 64)
    before = contents(tmp_path / "state" / "refined")
    run("to-dicom", studies, "--out", tmp_path / "out", "--app", app_folder, "--state", tmp_path / "state")
    assert not (tmp_path / "out" / "im0" / "label_refined.dcm").exists()
    assert contents(tmp_path / "state" / "refined") == before


def test_refined_labels_can_be_left_out(run, studies, app_folder, tmp_path):
    refine(tmp_path / "state", studies, "im0")
    out = tmp_path / "out"
    options = ("--app", app_folder, "--state", tmp_path / "state")
    run("to-dicom", studies, "--out", out, *options)
    run("to-dicom", studies, "--out", out, *options, "--no-refined")
    assert {row["label"] for row in table(out)} == {"final"}
    assert list(out.rglob("*refined*")) == []


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(run, studies, app_folder, tmp_path):
    (studies / "im3.nii.gz").write_bytes(b"no image")
    (studies / "labels" / "final" / "im0.nii.gz").write_bytes(b"no label")
    result = run("to-dicom", studies, "--out", tmp_path, "--app", app_folder)
    assert result.exit_code == 0, result.output
    assert "5 images, 1 segmentations and 1 reports" in result.output
    assert "Left out" in result.output
    assert "im3" in result.output
    assert "label of im0" in result.output
    assert sorted(path.name for path in (tmp_path / "im0").iterdir()) == ["image_0001.dcm", "image_0002.dcm"]


def test_clips_and_pictures_without_calibration(run, app_folder, tmp_path):
    studies = tmp_path / "studies"
    (studies / "labels" / "final").mkdir(parents=True)
    pixels, mask = band(np.random.default_rng(0), frames=3)
    write_image(studies / "clip.nii.gz", pixels)
    mask[:, :, 2] = 0
    write_label(studies / "labels" / "final" / "clip.nii.gz", mask)
    Image.fromarray(pixels[:, :, 0].T.astype(np.uint8)).save(studies / "still.png")
    write_label(studies / "labels" / "final" / "still.nii.gz", mask[:, :, 0])
    result = run("to-dicom", studies, "--out", tmp_path / "out", "--app", app_folder)
    assert result.exit_code == 0, result.output
    rows = table(tmp_path / "out")
    assert [(row["image"], row["frame"], row["columns"]) for row in rows] == [
        ("clip", "0", "96"),
        ("clip", "1", "96"),
        ("clip", "2", "0"),
        ("still", "0", "96"),
    ]
    assert (rows[3]["mean_px"], rows[3]["mean_mm"], rows[3]["calibrated"]) == ("8", "", "False")
    assert "not_calibrated" in rows[3]["flags"]
    assert rows[2]["flags"] == "no_layer"
    assert len(list((tmp_path / "out" / "clip").glob("image_*.dcm"))) == 3
    assert "NOT CALIBRATED" in pydicom.dcmread(tmp_path / "out" / "still" / "image_0001.dcm").SeriesDescription


def test_bad_options_end_with_the_reason(run, studies, app_folder, tmp_path):
    result = run("to-dicom", studies, "--app", app_folder)
    assert result.exit_code == 2
    assert "Expected --out DIR or --stow URL, got neither" in result.output
    result = run("to-dicom", studies, "--app", app_folder, "--stow", "nowhere")
    assert result.exit_code == 2
    assert "address of a DICOMweb service" in result.output
    (tmp_path / "file").touch()
    result = run("to-dicom", studies, "--app", app_folder, "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert "to be a folder to write to" in result.output
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.nii.gz").write_bytes(b"no image")
    result = run("to-dicom", tmp_path / "bad", "--app", app_folder, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "at least one image" in result.output


def test_a_study_goes_to_a_pacs_and_its_tables_to_a_folder(run, studies, app_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with running_orthanc(tmp_path / "orthanc") as url:
        for _ in range(2):
            result = run("to-dicom", studies, "--stow", url, "--app", app_folder)
            assert result.exit_code == 0, result.output
        statistics = requests.get(url.replace("/dicom-web", "/statistics"), timeout=10).json()
        found = requests.get(f"{url}/series?Modality=US", timeout=10).json()
    assert statistics["CountInstances"] == 6 * 2 + 2 * 2
    assert (statistics["CountPatients"], statistics["CountStudies"]) == (3, 6)
    assert len(found) == 6
    assert len(table(tmp_path / "measurements")) == 2
    assert list(tmp_path.glob("**/*.dcm")) == []
    former = contents(tmp_path / "measurements")
    result = run("to-dicom", studies, "--stow", url, "--app", app_folder)
    assert result.exit_code == 2
    assert "run the command again" in result.output
    assert contents(tmp_path / "measurements") == former
