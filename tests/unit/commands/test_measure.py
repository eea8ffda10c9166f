import csv
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sequal.commands.measuring.measure import parse_spacing
from sequal.commands.measuring.source import MeasureSource
from sequal.errors import SettingsError
from sequal.files.dicom.series_list import ListedSeries
from sequal.files.dicom.text import short_text
from unit.commands.studies import random_checkpoint, words
from unit.synthetic_study import band, write_image, write_label

THICK_MM = 8 * 0.06


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_labels_are_measured_by_frame_and_by_patient(run, studies, tmp_path):
    out = tmp_path / "out"
    result = run("measure", studies, "--labels", studies / "truth", "--out", out)
    assert result.exit_code == 0, result.output
    frames = rows(out / "frames.csv")
    assert [row["image"] for row in frames] == [f"im{index}" for index in range(6)]
    assert all(float(row["imt_mean_mm"]) == pytest.approx(THICK_MM) for row in frames)
    assert all(row["imt_mean_px"] == "" and row["calibration_source"] == "nifti spacing" for row in frames)
    assert [float(row["length_mm"]) for row in frames] == [pytest.approx(96 * 0.06)] * 6
    patients = rows(out / "patients.csv")
    assert [(row["patient"], row["images"]) for row in patients] == [("p0", "2"), ("p1", "2"), ("p2", "2")]
    assert float(patients[0]["imt_mean_mm"]) == pytest.approx(THICK_MM)
    assert patients[0]["frames_measured_px"] == ""
    assert sorted(path.name for path in out.glob("*.png")) == [f"im{index}.png" for index in range(6)]
    assert "thickness of the labels in" in words(result.output)
    assert "Saved labels were not measured" not in words(result.output)


def test_sparse_labels_are_measured_where_they_are_drawn(run, studies, tmp_path):
    run("measure", studies, "--labels", studies / "labels" / "final", "--out", tmp_path, "--no-overlays")
    frames = rows(tmp_path / "frames.csv")
    assert [(row["image"], row["columns"]) for row in frames] == [("im0", "70"), ("im1", "70")]


def test_the_picture_shows_both_boundaries(run, studies, tmp_path):
    run("measure", studies, "--labels", studies / "truth", "--out", tmp_path)
    colours = np.asarray(Image.open(tmp_path / "im0.png").convert("RGB")).reshape(-1, 3).astype(int)
    for colour in ((255, 212, 0), (255, 90, 54)):
        assert (np.abs(colours - colour).sum(axis=1) < 120).sum() > 100


def test_without_calibration_there_are_pixels_and_no_millimetres(run, tmp_path):
    folder = tmp_path / "images"
    (folder / "labels").mkdir(parents=True)
    pixels, mask = band(np.random.default_rng(0))
    Image.fromarray(pixels[:, :, 0].T.astype(np.uint8)).save(folder / "a.png")
    write_label(folder / "labels" / "a.nii.gz", mask)
    run("measure", folder, "--labels", folder / "labels", "--out", tmp_path)
    row = rows(tmp_path / "frames.csv")[0]
    assert float(row["imt_mean_px"]) == 8.0
    assert "not_calibrated" in row["flags"]
    assert [row[name] for name in row if name.endswith("_mm")] == [""] * 7
    patient = rows(tmp_path / "patients.csv")[0]
    assert (patient["imt_mean_px"], patient["imt_mean_mm"]) == ("8", "")
    run(
        "measure", folder, "--labels", folder / "labels", "--out", tmp_path, "--spacing-mm", "0.1,0.05", "--no-overlays"
    )
    row = rows(tmp_path / "frames.csv")[0]
    assert float(row["imt_mean_mm"]) == pytest.approx(0.4)
    assert float(row["length_mm"]) == pytest.approx(9.6)
    assert row["imt_mean_px"] == ""


def test_a_clip_counts_as_much_as_a_still(run, tmp_path):
    folder = tmp_path / "images"
    (folder / "labels").mkdir(parents=True)
    for name, frames, thickness in (("clip", 3, 10), ("still", 1, 6)):
        pixels, mask = band(np.random.default_rng(0), frames=frames, thickness=thickness)
        write_image(folder / f"{name}.nii.gz", pixels)
        write_label(folder / "labels" / f"{name}.nii.gz", mask)
    (folder / "patients.csv").write_text("image,patient\nclip,p\nstill,p\n")
    run("measure", folder, "--labels", folder / "labels", "--out", tmp_path, "--no-overlays")
    assert [(row["image"], row["frame"]) for row in rows(tmp_path / "frames.csv")] == [
        ("clip", "0"),
        ("clip", "1"),
        ("clip", "2"),
        ("still", "0"),
    ]
    patient = rows(tmp_path / "patients.csv")[0]
    assert float(patient["imt_mean_mm"]) == pytest.approx(8 * 0.06)
    assert (patient["frames"], patient["frames_measured_mm"]) == ("4", "4")
    assert not list(tmp_path.glob("*.png"))


def test_what_cannot_be_measured_is_named_and_the_rest_goes_on(run, studies, tmp_path):
    (studies / "broken.png").write_bytes(b"no image")
    (studies / "truth" / "im1.nii.gz").unlink()
    result = run("measure", studies, "--labels", studies / "truth", "--out", tmp_path, "--no-overlays")
    assert result.exit_code == 0
    left_out = result.stdout.split("Left out")[1]
    assert "broken" in left_out
    assert "im1" in left_out
    assert len(rows(tmp_path / "frames.csv")) == 5


def test_nothing_measured_is_an_error(run, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "labels").mkdir()
    write_label(folder / "labels" / "broken.nii.gz", np.zeros((4, 4, 1)))
    result = run("measure", folder, "--labels", folder / "labels", "--out", tmp_path)
    assert result.exit_code == 2
    assert "1 left out" in result.stderr


def test_a_model_measures_too(run, studies, app_folder, tmp_path):
    weights = random_checkpoint(tmp_path / "model.pt")
    result = run("measure", studies, "--checkpoint", weights, "--out", tmp_path, "--no-overlays")
    frames = rows(tmp_path / "frames.csv")
    assert len(frames) == 6
    assert all(0 <= float(row["image_confidence"]) <= 1 and float(row["image_pld"]) > 0 for row in frames)
    if result.exit_code == 0:
        assert "thickness of the model's masks" in words(result.output)
        assert "Saved labels were not measured. --labels" in words(result.output)
    # Random weights may find a layer or not; the exit code says which.
    assert result.exit_code == (0 if any(int(row["columns"]) for row in frames) else 2)


@pytest.mark.parametrize("text", ["", "six", "1,2,3", "0.06;0.05"])
def test_a_spacing_is_one_or_two_numbers(text):
    with pytest.raises(SettingsError, match="--spacing-mm"):
        parse_spacing(text)


def test_a_decimal_comma_is_not_taken_for_two_numbers():
    with pytest.raises(SettingsError, match=r"a point in each number, got '0,06'\. .*--spacing-mm 0\.06\.$"):
        parse_spacing("0,06")


@pytest.mark.parametrize("command", ["measure", "export"])
def test_a_study_of_volumes_is_refused_by_commands_that_know_frames_alone(run, studies, app_folder, command, tmp_path):
    conf = ("--conf", "models", "volume", "--conf", "labels", "liver")
    result = run(command, studies, "--app", app_folder, "--out", tmp_path / "out", *conf)
    assert result.exit_code == 2
    assert f"Expected `models` to be carotid for `{command}`, got volume" in words(result.output)
    assert not (tmp_path / "out").exists()


def test_the_patients_of_a_server_on_a_folder(monkeypatch):
    """It shows each file as a study of that name; where it knows no patient, the name is the PatientID."""
    known = {"a^1": "ann", "n" * 80: "ben"}
    ids = [*known, "p07_left", "p07_" + "r" * 80]
    series = [
        ListedSeries(f"1.{n}", f"2.{n}", patient=short_text(known.get(one, one)), descriptions=(short_text(one), ""))
        for n, one in enumerate(ids)
    ]
    monkeypatch.setattr("sequal.commands.measuring.source.series_at_server", lambda _: series)
    client = SimpleNamespace(labelled=lambda: dict.fromkeys(ids, False))
    patients = MeasureSource.server("http://server", client, r"^(?P<patient>p\d+)_").patients
    assert patients == known | {image: "p07" for image in ids[2:]}
    assert MeasureSource.server("http://server", client).patients == known | {image: image for image in ids[2:]}
