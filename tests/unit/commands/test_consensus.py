import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sequal.anatomy.phantom import SimulatedExpert
from sequal.commands.consensus.readers import without_bias
from sequal.files.imaging import Calibration, Frame, read_label
from unit.commands.studies import SPACING_MM, words
from unit.synthetic_study import SIZE, band, write_label

#: Second readings of real frames, beside the project where somebody has them; never in CI.
_PLACES = (parent / "shared" / "data" / "carotid" for parent in Path(__file__).parents)
REAL = next((place for place in _PLACES if (place / "second_reading").is_dir()), None)
SPACING = (SPACING_MM, SPACING_MM)
CAREFUL = SimulatedExpert(jitter_mm=0.02, coarse_probability=0.0, traced=(0.6, 0.9))


def truth(index):
    return band(np.random.default_rng(0), top=20 + index)[1]


def read(studies, reader, label, images=range(6)):
    """The labels of one reader, drawn by `label(index)`, in the study."""
    folder = studies / "labels" / reader
    folder.mkdir(parents=True)
    for index in images:
        write_label(folder / f"im{index}.nii.gz", label(index))


def simulated(studies, name, expert, images=range(6)):
    def label(index):
        rng = np.random.default_rng([len(name), index])
        return expert.annotate_mask(truth(index)[:, :, 0], SPACING, rng)[:, :, None]

    read(studies, name, label, images)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def labels_in(out):
    return {path.name[:-7]: read_label(path, (*SIZE, 1)) for path in sorted((out / "labels").iterdir())}


def files_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def two(studies):
    """Readers of whom the second draws 0.12 mm thicker."""
    simulated(studies, "anna", CAREFUL)
    simulated(studies, "ben", replace(CAREFUL, bias_li_mm=-0.06, bias_ma_mm=0.06))
    return studies


def test_two_readers_become_one_and_it_is_said_who_draws_thicker(run, two, tmp_path):
    before = files_of(two)
    result = run("consensus", two, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (pair,) = rows(tmp_path / "out" / "pairs.csv")
    assert (pair["first"], pair["second"], pair["images"], pair["unit"]) == ("anna", "ben", "6", "mm")
    assert float(pair["difference"]) == pytest.approx(-0.12, abs=0.03)
    assert float(pair["limits_low"]) < float(pair["difference"]) < float(pair["limits_high"])
    assert 0.7 < float(pair["dice"]) < 0.95
    anna, ben = rows(tmp_path / "out" / "readers.csv")
    assert "thinner" in anna["words"]
    assert "thicker" in ben["words"]
    assert float(ben["li"]) == pytest.approx(-0.03, abs=0.015)
    told = json.loads((tmp_path / "out" / "consensus.json").read_text())
    assert told["pairs"][0]["size"]["pairs"] == 6
    assert "6 labels of 2 readers by majority" in words(result.output)
    assert files_of(two) == before


def test_what_only_one_of_two_drew_is_unknown_and_the_rest_is_theirs(run, two, tmp_path):
    run("consensus", two, "--out", tmp_path / "out")
    made = labels_in(tmp_path / "out")
    assert sorted(made) == [f"im{index}" for index in range(6)]
    for name, label in made.items():
        drawn = [read_label(two / "labels" / reader / f"{name}.nii.gz", (*SIZE, 1)) for reader in ("anna", "ben")]
        assert ((label == 1) <= ((drawn[0] == 1) | (drawn[1] == 1))).all()
        differ = (drawn[0] != drawn[1]) & (drawn[0] != 255) & (drawn[1] != 255)
        assert (label[differ] == 255).all()


def test_weights_and_staple_leave_no_tie_and_a_label_can_be_learnt_from(run, two, tmp_path):
    for method, more in (("weights", ("--weights", "0.6,0.4")), ("staple", ())):
        result = run("consensus", two, "--method", method, *more, "--out", tmp_path / method)
        assert result.exit_code == 0, result.output
        label = labels_in(tmp_path / method)["im0"]
        traced = (label != 255).all(axis=1)[:, 0]
        assert traced.sum() > 20
        assert (label[traced] == 1).any(axis=1).all()
    heavier = labels_in(tmp_path / "weights")["im0"]
    anna = read_label(two / "labels" / "anna" / "im0.nii.gz", (*SIZE, 1))
    assert np.array_equal(heavier[anna != 255], anna[anna != 255])


def test_each_readers_own_bias_is_taken_away_also_where_he_labelled_alone(run, studies, tmp_path):
    exact = replace(CAREFUL, jitter_mm=0.0, traced=(1.0, 1.0))
    simulated(studies, "anna", exact, range(4))
    simulated(studies, "ben", replace(exact, bias_li_mm=0.24, bias_ma_mm=0.24), range(6))
    for remove in ((), ("--remove-bias",)):
        assert run("consensus", studies, *remove, "--out", tmp_path / f"out{len(remove)}").exit_code == 0
    as_drawn, moved = labels_in(tmp_path / "out0"), labels_in(tmp_path / "out1")
    # Ben is 2 rows below the mean of both; four images count 4 / 6 of it: 1.33 rows, 1 or 2 in a label.
    for name in ("im4", "im5"):
        before, after = ((found[name][0, :, 0] == 1).nonzero()[0] for found in (as_drawn, moved))
        assert before[0] - after[0] in (1, 2)
        assert before[-1] - after[-1] in (1, 2)
    # Where both drew, they now disagree on fewer pixels.
    assert sum((moved[n] == 255).sum() for n in moved) < sum((as_drawn[n] == 255).sum() for n in as_drawn)


def test_a_bias_of_part_of_a_pixel_is_taken_away_on_average_and_unknown_stays_unknown():
    frame = Frame(np.zeros((20, 30, 1), np.float32), np.eye(4), (20, 30), Calibration((0.1, 0.1), "given"), Path("x"))
    label = np.zeros((20, 30, 1), np.uint8)
    label[:10, 10:15], label[10:] = 1, 255
    draws = [without_bias(label, {"mm": (-0.03, 0.05)}, frame, np.random.default_rng(seed)) for seed in range(400)]
    layers = np.mean([(drawn[0, :, 0] == 1) for drawn in draws], axis=0)
    assert layers[9] == pytest.approx(0.3, abs=0.07)
    assert layers[15] == pytest.approx(0.5, abs=0.07)
    assert all((drawn[10:] == 255).all() and not (drawn[:10] == 255).any() for drawn in draws)
    assert without_bias(label, {"px": (5.0, 5.0)}, frame, np.random.default_rng(0)) is label


def test_a_frame_that_one_reader_labelled_keeps_his_label_or_is_left_out(run, studies, tmp_path):
    simulated(studies, "anna", CAREFUL, range(3))
    simulated(studies, "ben", CAREFUL, range(2, 5))
    result = run("consensus", studies, "--out", tmp_path / "all")
    assert "5 labels of 2 readers by majority" in words(result.output)
    assert "4 of them of one reader alone" in words(result.output)
    anna = read_label(studies / "labels" / "anna" / "im0.nii.gz", (*SIZE, 1))
    assert np.array_equal(labels_in(tmp_path / "all")["im0"], anna)
    result = run("consensus", studies, "--least", 2, "--out", tmp_path / "both")
    assert list(labels_in(tmp_path / "both")) == ["im2"]
    assert "Lower --least" in words(result.output)


def test_a_frame_that_nobody_labelled_gets_no_label_and_a_study_without_any_is_told_so(run, studies, tmp_path):
    for name in ("anna", "ben"):
        simulated(studies, name, CAREFUL, [0])
    assert run("consensus", studies, "--out", tmp_path / "out").exit_code == 0
    assert (studies / "im1.nii.gz").exists()
    assert list(labels_in(tmp_path / "out")) == ["im0"]
    for name in ("anna", "ben"):
        (studies / "labels" / name / "im0.nii.gz").rename(studies / "labels" / name / "another.nii.gz")
    result = run("consensus", studies, "--out", tmp_path / "none")
    assert result.exit_code == 2
    assert "to be named as images" in words(result.output)


def test_readers_who_share_no_frame_are_joined_but_not_compared(run, studies, tmp_path):
    simulated(studies, "anna", CAREFUL, [0])
    simulated(studies, "ben", CAREFUL, [1])
    result = run("consensus", studies, "--remove-bias", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "No image has labels of two readers" in words(result.output)
    assert list(labels_in(tmp_path / "out")) == ["im0", "im1"]


def test_a_label_on_another_grid_is_left_out_with_its_reason(run, two, tmp_path):
    write_label(two / "labels" / "ben" / "im0.nii.gz", np.ones((10, 10, 1)))
    result = run("consensus", two, "--out", tmp_path / "out")
    assert result.exit_code == 0
    told = json.loads((tmp_path / "out" / "consensus.json").read_text())
    assert "size of its frame" in told["left_out"]["im0, ben"]
    assert told["images"]["im0"]["readers"] == ["anna"]


def test_empty_masks_say_no_layer_together_and_contradict_a_drawn_one(run, studies, tmp_path):
    nothing = np.zeros((*SIZE, 1))
    read(studies, "anna", lambda _: nothing, range(2))
    read(studies, "ben", lambda index: truth(1) if index else nothing, range(2))
    result = run("consensus", studies, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert not labels_in(tmp_path / "out")["im0"].any()
    assert "im1" not in labels_in(tmp_path / "out")
    assert "agree on some pixels" in words(result.output)
    (pair,) = rows(tmp_path / "out" / "pairs.csv")
    assert (float(pair["dice"]), pair["difference"]) == (0.5, "")


def test_bad_input_ends_with_a_sentence_and_writes_nothing(run, two, tmp_path):
    shutil.copytree(two / "labels" / "anna", tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    cases = {
        "two or more readers": ["--reader", "anna"],
        "of different names": ["--reader", "anna", "--reader", f"anna={tmp_path / 'elsewhere'}"],
        "hold labels named as the images": ["--reader", "anna", "--reader", f"carl={tmp_path / 'empty'}"],
        "NAME=FOLDER": ["--reader", "anna", "--reader", "=x"],
        "together with --method weights": ["--weights", "1,2"],
        "numbers with commas": ["--method", "weights", "--weights", "heavy"],
        "2 numbers over 0": ["--method", "weights", "--weights", "1,2,3"],
    }
    for message, options in cases.items():
        result = run("consensus", two, *options, "--out", out)
        assert result.exit_code == 2, message
        assert message in words(result.output)
        assert not out.exists()
    assert run("consensus", two, "--out", tmp_path / "elsewhere").exit_code == 2
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == [f"im{i}.nii.gz" for i in range(6)]


def test_structures_of_volumes_are_fused_class_by_class(run, tmp_path):
    studies = tmp_path / "volumes"
    (studies / "labels").mkdir(parents=True)
    nib.save(
        nib.Nifti1Image(np.random.default_rng(0).random((8, 8, 8)), np.diag([2.0, 2.0, 2.0, 1.0])), studies / "v.nii"
    )
    label = np.zeros((8, 8, 8), np.uint8)
    label[1:4], label[5:7] = 1, 2
    for name, moved in (("a", 0), ("b", 0), ("c", 1)):
        (studies / "labels" / name).mkdir()
        write_label(studies / "labels" / name / "v.nii.gz", np.roll(label, moved, axis=0))
    conf = ("--conf", "models=volume", "--conf", "labels=liver,spleen")
    result = run("consensus", studies, *conf, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    made = read_label(tmp_path / "out" / "labels" / "v.nii.gz", (8, 8, 8), labels={"liver": 1, "spleen": 2})
    assert np.array_equal(made, label)
    found = {(row["first"], row["second"], row["label"]): row for row in rows(tmp_path / "out" / "pairs.csv")}
    assert float(found["a", "c", "liver"]["dice"]) == pytest.approx(2 / 3, abs=1e-4)
    assert float(found["a", "c", "spleen"]["difference"]) == 0.0
    assert found["a", "c", "liver"]["unit"] == "ml"
    assert run("consensus", studies, *conf, "--remove-bias", "--out", tmp_path / "no").exit_code == 2


def test_a_structure_that_one_reader_did_not_find_counts_as_background_of_his(run, tmp_path):
    studies = tmp_path / "volumes"
    (studies / "labels").mkdir(parents=True)
    nib.save(
        nib.Nifti1Image(np.random.default_rng(0).random((8, 8, 8)), np.diag([2.0, 2.0, 2.0, 1.0])), studies / "v.nii"
    )
    label = np.zeros((8, 8, 8), np.uint8)
    label[1:4], label[5:7] = 1, 2
    for name, drawn in (("a", label), ("b", label), ("c", np.where(label == 2, 0, label).astype(np.uint8))):
        (studies / "labels" / name).mkdir()
        write_label(studies / "labels" / name / "v.nii.gz", drawn)
    conf = ("--conf", "models=volume", "--conf", "labels=liver,spleen")
    assert run("consensus", studies, *conf, "--out", tmp_path / "out").exit_code == 0
    made = read_label(tmp_path / "out" / "labels" / "v.nii.gz", (8, 8, 8), labels={"liver": 1, "spleen": 2})
    assert np.array_equal(made, label)
    found = {(row["first"], row["second"], row["label"]): row for row in rows(tmp_path / "out" / "pairs.csv")}
    assert float(found["a", "c", "spleen"]["dice"]) == 0.0
    assert float(found["a", "c", "spleen"]["difference"]) == pytest.approx(1.024)  # millilitres
    assert float(found["a", "c", "liver"]["dice"]) == 1.0


@pytest.mark.skipif(REAL is None, reason="the real carotid frames with second readings are not on this machine")
def test_the_second_readings_of_real_frames_agree_as_published(run, tmp_path):
    readers = ("--reader", f"first={REAL / 'truth'}", "--reader", f"second={REAL / 'second_reading'}")
    result = run("consensus", REAL / "study", *readers, "--least", 2, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (pair,) = rows(tmp_path / "out" / "pairs.csv")
    # Of all nineteen second readings the set's own figures are 0.893 and 0.053 mm; seven of them are here.
    assert pair["images"] == "7"
    assert float(pair["dice"]) == pytest.approx(0.893, abs=0.03)
    assert float(pair["mean_absolute_error"]) == pytest.approx(0.053, abs=0.015)
    assert len(list((tmp_path / "out" / "labels").iterdir())) == 7
