import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sequal.anatomy.models.carotid import Carotid
from sequal.anatomy.models.volume import Volume
from sequal.anatomy.phantom.volumes import BODY_LABELS
from sequal.commands.annotating.annotate import CLIENT_ID, AnnotateOptions, annotate_command
from sequal.commands.annotating.client import AnnotationClient
from sequal.commands.annotating.evaluation import dice_of, served_model
from sequal.commands.annotating.picture import write_picture
from sequal.commands.annotating.plane import Plane
from sequal.commands.annotating.play import PlayOptions, play
from sequal.commands.annotating.truth import Truth, choose_test_images, exact_expert, noisy_expert
from sequal.errors import ServerError, SettingsError, StudyError
from sequal.experiments.volume_folder import make_volumes
from sequal.files.imaging import NOT_CALIBRATED, Frame, read_frame
from sequal.settings import Settings
from unit.commands.fake_server import FIRST_SHIFT, IMT_MM, FakeStudy, serving
from unit.commands.studies import make_folder
from unit.synthetic_study import write_label

THICKNESS_PX, THICKNESS_MM = 8, 8 * 0.06


@pytest.fixture
def studies(tmp_path):
    return make_folder(tmp_path / "studies", images=12, labelled=2, per_patient=2)


@pytest.fixture
def study(studies):
    """A server's view of the folder; it asks for the images from the last to the first."""
    images = {f"im{index}": studies / f"im{index}.nii.gz" for index in range(12)}
    masks = {
        name: np.asarray(nib.load(studies / "truth" / path.name).dataobj).astype(np.uint8)
        for name, path in images.items()
    }
    return FakeStudy(images, masks, labelled={"im0", "im1"}, order=sorted(images, key=lambda name: -int(name[2:])))


@pytest.fixture
def server(study):
    with serving(study) as address:
        yield address


@pytest.fixture
def client(server, tmp_path):
    (tmp_path / "downloads").mkdir()
    return AnnotationClient(server, "anna", tmp_path / "downloads", poll_s=0.01)


def patients():
    return {f"im{index}": f"p{index // 2}" for index in range(12)}


def run_play(client, studies, expert=exact_expert, **options):
    truth, model = Truth.open(studies / "truth"), served_model(client.info())
    return play(client, model, PlayOptions(**{"test_images": 3, **options}), truth, expert, patients())


def test_every_round_asks_submits_trains_and_judges(client, study, studies):
    result = run_play(client, studies, rounds=2, per_round=2)
    assert [played.labels for played in result.rounds] == [4, 6]
    asked = [answer.image for played in result.rounds for answer in played.answers]
    test = [image.id for image in result.test]
    assert sorted(study.submitted) == sorted(asked)
    assert study.rounds == 2
    # The server asks from the last to the first; what is kept for the test was passed over.
    assert asked == [name for name in study.order if name not in test][:4]
    assert study.clients == {"anna"}
    # Whole patients without labels, three images at least: two patients of two images.
    assert len(test) == 4
    assert {patients()[image] for image in test}.isdisjoint({patients()[image] for image in asked} | {"p0"})


def test_what_is_submitted_is_what_the_expert_draws_on_the_grid_of_the_image(client, study, studies):
    result = run_play(client, studies, rounds=1, per_round=1)
    answer = result.rounds[0].answers[0]
    assert study.submitted[answer.image].shape == (96, 64, 1)
    assert np.array_equal(study.submitted[answer.image], study.masks[answer.image])
    assert answer.auto_dice == pytest.approx(1 - FIRST_SHIFT / THICKNESS_PX)
    assert (answer.score, answer.reason) == (0.25, "entropy 0.25"), "the strategy that the server names first"


def test_the_strategy_that_was_named_is_asked(client, studies):
    result = run_play(client, studies, rounds=1, per_round=1, strategy="pld")
    assert result.rounds[0].answers[0].reason == "pld 0.25"


def test_figures_follow_the_model_from_round_to_round(client, studies):
    result = run_play(client, studies, rounds=2, per_round=1)
    expected = [1 - (FIRST_SHIFT - rounds) / THICKNESS_PX for rounds in range(3)]
    dice = [result.before.dice, *(played.evaluation.dice for played in result.rounds)]
    assert dice == [pytest.approx(value) for value in expected]
    assert result.before.imt_bias_mm == pytest.approx(IMT_MM - THICKNESS_MM)
    assert [played.stats["best_metric"] for played in result.rounds] == [pytest.approx(0.75), pytest.approx(0.8)]
    assert [played.stats["published"] for played in result.rounds] == [True, False]


def test_progress_shows_this_round_and_not_the_stats_of_the_one_before(client, studies):
    steps = []
    play(
        client,
        served_model(client.info()),
        PlayOptions(rounds=2, per_round=1, test_images=2),
        Truth.open(studies / "truth"),
        exact_expert,
        patients(),
        progress=lambda *step: steps.append(step),
    )
    second = [done for what, done, _ in steps if what == "Round 2: training"]
    assert second[0] == 0
    assert second == sorted(second)
    assert ("Round 1: labelling", 0, 1) in steps


def test_the_play_ends_when_nothing_is_left(client, study, studies, caplog):
    result = run_play(client, studies, rounds=4, per_round=3, test_images=2)
    # Ten images without a label; asking for twelve leaves none for a test.
    assert [len(played.answers) for played in result.rounds] == [3, 3, 3, 1]
    assert result.test == []
    assert result.before.dice is None
    study.labelled = {"im0", "im1", *(f"im{index}" for index in range(6, 12))}
    study.offered.clear()
    result = run_play(client, studies, rounds=2, per_round=4, test_images=0)
    assert [len(played.answers) for played in result.rounds] == [4]
    assert "after 1 rounds" in caplog.text


def test_an_image_that_is_unreadable_or_whose_truth_is_unknown_is_skipped(client, study, studies, caplog):
    study.images["im11"].write_bytes(b"no image")
    nib.save(nib.Nifti1Image(np.full((96, 64, 1), 255, np.uint8), np.eye(4)), studies / "truth" / "im10.nii.gz")
    result = run_play(client, studies, rounds=1, per_round=2, test_images=0)
    assert [answer.image for answer in result.rounds[0].answers] == ["im9", "im8"]
    assert "Skipping image im11" in caplog.text
    assert "im10: its truth is not known" in caplog.text


def test_a_frame_without_a_layer_gets_an_empty_label(client, study, studies):
    nib.save(nib.Nifti1Image(np.zeros((96, 64, 1), np.uint8), np.eye(4)), studies / "truth" / "im11.nii.gz")
    result = run_play(client, studies, rounds=1, per_round=1, test_images=0)
    (answer,) = result.rounds[0].answers
    assert answer.image == "im11"
    assert not answer.label.any()
    assert "im11" in study.labelled


def test_columns_that_the_truth_does_not_know_are_neither_judged_nor_drawn(client, study, studies):
    """Untraced columns of every truth; there the server finds a layer twice as thick."""
    for image, mask in study.masks.items():
        truth = mask.copy()
        truth[:48] = 255
        write_label(studies / "truth" / f"{image}.nii.gz", truth)
        study.masks[image] = mask.copy()
        study.masks[image][:48] |= np.roll(mask[:48], -THICKNESS_PX, axis=1)
    result = run_play(client, studies, rounds=1, per_round=2)
    expected = [1 - (FIRST_SHIFT - rounds) / THICKNESS_PX for rounds in range(2)]
    assert [result.before.dice, result.rounds[0].evaluation.dice] == [pytest.approx(value) for value in expected]
    assert result.before.imt_bias_mm == pytest.approx(0.0)
    for answer in result.rounds[0].answers:
        assert answer.auto_dice == pytest.approx(expected[0])
        assert (study.submitted[answer.image][:48] == 255).all()
        assert (study.submitted[answer.image][48:] < 255).all()


def test_what_nobody_traced_is_not_judged(client, study, studies):
    unknown = np.full((96, 64, 1), 255, np.uint8)
    tested = [image.id for image in run_play(client, studies, rounds=1, per_round=1).test]
    write_label(studies / "truth" / f"{tested[0]}.nii.gz", unknown)
    study.offered.clear()
    result = run_play(client, studies, rounds=1, per_round=1)
    assert [image.id for image in result.test] == tested[1:]
    assert set(result.before.dice_by_image) == set(tested[1:])


def test_of_a_clip_only_the_frames_that_were_traced_count():
    truth = np.full((4, 5, 3), 255, np.uint8)
    truth[:, :, 1] = [[0, 1, 1, 0, 0]] * 4
    mask = np.roll(np.where(truth == 1, 1, 0), 1, axis=1).astype(np.uint8)
    model = served_model({"trainers": {"carotid": {}}})
    assert dice_of(model, mask, truth) == pytest.approx(0.5)


def test_missing_truth_is_told_before_anything_is_asked(client, study, studies):
    (studies / "truth" / "im7.nii.gz").unlink()
    with pytest.raises(StudyError, match="none of im7"):
        run_play(client, studies)
    assert study.clients == set()


def test_a_server_of_another_app_is_refused(client, study, studies):
    study.trainers = ("spleen",)
    with pytest.raises(ServerError, match="one of carotid, volume, got spleen"):
        run_play(client, studies)


def test_a_server_without_a_model_gets_one_by_its_first_round(client, study, studies):
    study.models = ()
    result = run_play(client, studies, rounds=2, per_round=1)
    assert result.before.dice is None
    assert study.tasks["scoring"] == [], "there is nothing to score with"
    assert [played.answers[0].auto_dice is None for played in result.rounds] == [True, False]
    assert result.rounds[0].evaluation.dice == pytest.approx(1 - (FIRST_SHIFT - 1) / THICKNESS_PX)


def test_volumes_are_annotated_and_judged_by_structure(tmp_path):
    """The server's masks lie off along one axis, so that volumes are right and Dice is not."""
    studies = tmp_path / "studies"
    make_volumes(studies, count=6, shape=(20, 20, 16))
    images = {path.name.partition(".")[0]: path for path in sorted(studies.glob("*.nii.gz"))}
    masks = {i: np.asarray(nib.load(studies / "truth" / path.name).dataobj) for i, path in images.items()}
    for path in images.values():  # as a program writes them that turns a volume before it segments it
        truth = nib.load(studies / "truth" / path.name)
        nib.save(truth.as_reoriented(np.array([[2, -1], [0, 1], [1, 1]])), studies / "truth" / path.name)
    names = tuple(BODY_LABELS["heart"])
    study = FakeStudy(images, masks, set(), order=sorted(images), models=(), trainers=("volume",), labels=names)
    (tmp_path / "downloads").mkdir()
    with serving(study) as address:
        client = AnnotationClient(address, "anna", tmp_path / "downloads", poll_s=0.01)
        result = run_play(client, studies, rounds=2, per_round=1, test_images=2)
    asked = [answer.image for played in result.rounds for answer in played.answers]
    assert all(np.array_equal(study.submitted[image], masks[image]) for image in asked)
    first, second = (played.evaluation for played in result.rounds)
    assert 0 < first.dice < second.dice < 1
    assert first.imt_bias_mm is None
    assert abs(first.volume_bias_ml) < 1
    assert result.rounds[0].answers[0].label.ndim == 2
    assert (result.rounds[0].answers[0].label > 0).any()
    write_picture(tmp_path / "play.png", result)
    with Image.open(tmp_path / "play.png") as picture:
        assert picture.width > 1000


def test_a_volume_is_looked_at_from_one_side_whatever_way_it_is_stored():
    """A mark to the front and the left of the patient, in the slice with most of the structure."""
    model = Volume(Settings(models="volume", labels="cube"))
    mask = np.zeros((12, 10, 8), np.uint8)
    mask[2:4, 7:9, 5] = 1  # in RAS: left (low x), front (high y)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    seen = []
    for codes in ("RAS", "LPS", "PIR"):
        turned = nib.Nifti1Image(mask, affine).as_reoriented(
            nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes))
        )
        array = np.asarray(turned.dataobj)
        frame = Frame(array.astype(np.float32), turned.affine, array.shape, NOT_CALIBRATED, Path("x.nii.gz"))
        plane = Plane.of(model, frame, array)
        seen.append(plane.cut(array))
        assert plane.calibration.spacing_mm == (1.0, 2.0)
    assert all(np.array_equal(one, seen[0]) for one in seen)
    columns, rows = np.nonzero(seen[0])
    assert (columns.min(), rows.max()) == (8, 2), "the patient's left is on the right, the front above"


def test_nothing_to_label_is_refused(client, study, studies):
    study.labelled = set(study.images)
    with pytest.raises(StudyError, match="unlabelled"):
        run_play(client, studies)


def test_a_failed_training_ends_the_play_with_its_reason(client, study, studies):
    study.training_error = "the disk is full"
    with pytest.raises(ServerError, match="ERROR: the disk is full"):
        run_play(client, studies)


def test_a_refused_label_ends_the_play_with_the_reason_of_the_server(client, study, studies):
    study.refuse_labels = True
    with pytest.raises(ServerError, match="400: The label was not accepted"):
        run_play(client, studies)


def test_no_server_is_told_as_such(tmp_path):
    with pytest.raises(ServerError, match="make serve"):
        AnnotationClient("http://127.0.0.1:9", "anna", tmp_path).info()


def test_a_proxy_is_not_asked_for_this_machine(client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    assert "carotid" in client.info()["models"]


def test_a_scoring_that_runs_already_is_waited_for(client, study):
    study.start("scoring")
    client.score("pld")
    assert [task["status"] for task in study.tasks["scoring"]] == ["DONE"]


def test_the_noisy_expert_is_sparse_noisy_and_replayable(studies):
    frame = read_frame(studies / "im3.nii.gz")
    mask = Truth.open(studies / "truth").mask("im3", frame, Carotid(Settings()))
    label = noisy_expert(5)(mask, frame)
    assert label.shape == mask.shape
    assert set(np.unique(label)) == {0, 1, 255}
    assert not np.array_equal(label[label != 255], mask[label != 255])
    assert np.array_equal(label, noisy_expert(5)(mask, frame))
    assert not np.array_equal(label, noisy_expert(6)(mask, frame))


def test_test_images_are_whole_patients_and_leave_enough_to_label():
    ids = [f"im{index}" for index in range(12)]
    rng = np.random.default_rng
    chosen = choose_test_images(ids[2:], ids[:2], patients(), 3, 4, rng(0))
    assert len(chosen) == 4
    assert chosen == choose_test_images(ids[2:], ids[:2], patients(), 3, 4, rng(0))
    assert chosen == choose_test_images(ids[:1:-1], ids[:2], patients(), 3, 4, rng(0))
    assert len(choose_test_images(ids[2:], ids[:2], patients(), 8, 4, rng(0))) == 6
    assert choose_test_images(ids[2:], ids[:2], patients(), 8, 10, rng(0)) == []
    # A patient with labels is taken only when there is no other.
    assert choose_test_images(["im1", "im2", "im3"], ["im0"], patients(), 1, 1, rng(0)) == ["im2", "im3"]
    assert choose_test_images(["im1"], ["im0"], patients(), 1, 0, rng(0)) == ["im1"]


def test_the_command_leaves_table_json_and_picture(run, server, study, studies, tmp_path, monkeypatch):
    monkeypatch.setattr("sequal.commands.annotating.client._POLL_S", 0.01)
    out = tmp_path / "out"
    options = ("--rounds", 2, "--per-round", 2, "--test-images", 2, "--out", out)
    result = run("annotate", "--server", server, "--studies", studies, *options, "epochs=4", "--models", "carotid")
    assert result.exit_code == 0, result.output
    assert [(asked["epochs"], asked["client_id"]) for asked in study.trained_with] == [("4", CLIENT_ID)] * 2
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in result.stdout.splitlines() if "│" in line]
    assert [row[:2] for row in rows] == [["start", "2"], ["1", "4"], ["2", "6"]]
    assert rows[1][2:5] == ["0.75", "yes", "3"]
    assert rows[2][3] == "no"
    assert "Its model is not in service: does not beat it" in " ".join(result.output.split())
    saved = json.loads((out / "annotate.json").read_text())
    assert (saved["expert"], saved["options"]["rounds"]) == ("noisy", 2)
    assert saved["server"] == f"{server}/sequal/carotid"
    assert [len(entry["answers"]) for entry in saved["rounds"]] == [2, 2]
    assert saved["rounds"][0]["stats"]["refinement"]["images"] == 3
    assert saved["start"]["evaluation"]["dice"] == pytest.approx(1 - FIRST_SHIFT / THICKNESS_PX)
    with Image.open(out / "annotate.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 100


def test_of_several_models_one_has_to_be_named():
    with pytest.raises(ServerError, match=r"annotate for \(carotid or volume\), got none\. Add .* `--models volume`"):
        served_model({"trainers": {"carotid": {}, "volume": {}}, "labels": ["intima-media", "liver"]})


def test_a_model_without_a_simulator_has_no_demo(tmp_path, monkeypatch):
    monkeypatch.setattr("sequal.commands.annotating.annotate._DEMOS", ("carotid",))
    options = AnnotateOptions(
        tmp_path,
        "",
        None,
        None,
        tmp_path / "out",
        tmp_path / "demo",
        False,
        PlayOptions(),
        ["models=volume", "labels=a"],
    )
    with pytest.raises(SettingsError, match=r"a demo of carotid, .* got volume\. Name a study with --studies"):
        annotate_command(options)
    assert not (tmp_path / "demo").exists()
