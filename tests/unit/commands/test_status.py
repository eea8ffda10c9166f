import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sequal.commands.looking import next_queries as ranked
from sequal.commands.place import StudyPlace
from sequal.settings import Settings
from sequal.study.state import LabelCheck, RefinedRecord, StudyState, file_digest
from unit.commands.studies import make_folder, random_checkpoint, words


@pytest.fixture
def state(tmp_path):
    return StudyState.open(tmp_path / "state", Settings())


def next_queries(*arguments):
    return list(ranked(*arguments))


def place_of(studies, app_folder, state=None):
    return StudyPlace.find(studies, app_folder, state and state.root, ())


def test_a_new_study_is_counted_and_left_untouched(run, studies, app_folder):
    result = run("status", studies, "--app", app_folder)
    assert result.exit_code == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in result.stdout.splitlines()]
    assert ["images", "6"] in rows
    assert ["labelled", "2"] in rows
    assert ["of these without a layer", "0"] in rows
    assert ["unlabelled", "4"] in rows
    assert "No round yet." in result.stdout
    assert "cold start" in result.stdout
    assert list((app_folder / "model").iterdir()) == []
    assert not (studies / "datastore_v2.json").exists()


def test_what_is_kept_of_refused_and_replaced_labels_and_what_was_damaged_is_shown(run, studies, app_folder, state):
    refused = studies.parent / "refused.nii.gz"
    refused.write_bytes(bytes(1_500_000))
    state.rejected.put("im3", refused, "nothing was drawn")
    (state.root / "replaced").mkdir()
    (state.root / "replaced" / "im0.20260101T000000-000000001.nii.gz").write_bytes(bytes(2_500_000))
    (state.root / "shown").mkdir()
    (state.root / "shown" / "im4.npz").write_bytes(b"cut")
    assert state.shown.get("im4") is None
    result = run("status", studies, "--app", app_folder, "--state", state.root)
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in result.stdout.splitlines()]
    assert ["labels refused, in rejected/", "2 files, 1.4 MiB"] in rows  # the label, and why
    assert ["labels, images replaced, in replaced/", "1 files, 2.4 MiB"] in rows
    assert "shown/im4.npz.damaged" in result.stdout.replace("\n", "")


def test_labels_to_look_at_again_are_shown(run, studies, app_folder):
    def entry(*warnings):
        return {"image": {}, "labels": {"final": {"info": {"warnings": list(warnings)}}}}

    listed = {"im0": entry("two walls"), "im1": entry("many pieces"), "im2": {"labels": {}}}
    (studies / "datastore_v2.json").write_text(json.dumps({"objects": listed}))
    changes = [{"image": "im1", "entry": entry()}, {"image": "im3", "entry": entry("too thick")}]
    text = "\n".join(json.dumps(change) for change in [*changes, {"image": "im9", "entry": None}])
    (studies / "datastore_v2.changes.jsonl").write_text(f"{text}\n{{cut off")
    shown = run("status", studies, "--app", app_folder).stdout
    assert "two walls" in shown
    assert "too thick" in shown
    assert "many pieces" not in shown


def test_leases_rounds_and_refined_labels_are_shown(run, studies, app_folder, state):
    state.ledger.acquire_lease(["im3"], "[anna]", 3600)
    number = state.ledger.start_round(
        settings={}, seed=0, versions={}, train_ids=["im0"], validation_ids=["im1"], unlabelled_count=4
    )
    state.ledger.finish_round(number, status="rejected", reason="does not beat it", metrics={"metric": 0.8125})
    records = [RefinedRecord("im0", round_, "a", "b", fraction, 0.8, 1.0) for round_, fraction in ((1, 0.5), (2, 0.25))]
    state.ledger.put_refined(records)
    out = run("status", studies, "--app", app_folder, "--state", state.root).stdout
    assert "[anna]" in out
    assert "does not beat it" in out
    assert "0.8125" in out
    assert "0.2500" in out  # the newest record of the image counts
    assert "im3" in out.split("Next")[0]
    assert "im3" not in out.split("Next")[1]


def test_skipped_images_are_shown_and_not_among_the_next(run, studies, app_folder, state):
    state.ledger.skip("im3", "anna", "a transverse cut")
    result = run("status", studies, "--app", app_folder, "--state", state.root)
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in result.stdout.splitlines()]
    assert ["skipped", "1"] in rows
    assert any(row[:2] == ["im3", "anna"] and row[-1] == "a transverse cut" for row in rows)
    queries = next_queries(place_of(studies, app_folder, state), state, "random")
    assert {query.id for query in queries} == {"im2", "im4", "im5"}


def test_next_images_follow_the_scores_of_the_checkpoint_in_service(studies, app_folder, state):
    checkpoint = random_checkpoint(state.published)
    scores = {"im2": 0.1, "im3": 0.9, "im4": float("nan"), "im5": 0.4}
    state.ledger.put_scores(file_digest(checkpoint), {"pld": scores})
    state.ledger.put_scores("another checkpoint", {"pld": {"im2": 5.0}})
    queries = next_queries(place_of(studies, app_folder, state), state, "pld")
    assert [query.id for query in queries] == ["im3", "im5", "im2", "im4"]
    assert queries[0].score == 0.9


def test_next_images_come_in_the_order_in_which_a_server_gives_them(studies, app_folder, state):
    place = place_of(studies, app_folder, state)
    expected = [query.id for query in next_queries(place, state, "random")]
    pool = np.random.default_rng([0, 2]).permutation(4)
    assert expected == [f"im{2 + index}" for index in pool]
    state.ledger.acquire_lease([expected[0]], "anna", 60)
    assert [query.id for query in next_queries(place, state, "random")] == expected[1:]


def test_lease_terms_tell_holder_and_end(state):
    state.ledger.acquire_lease(["im3"], "anna", 60, now=100)
    assert state.ledger.lease_terms(now=110) == {"im3": ("anna", 160.0)}
    assert state.ledger.lease_terms(now=160) == {}


def judge(state, digest, count=8):
    """Labels that judged masks, and a pool that the same model has scored."""
    rng = np.random.default_rng(0)
    for number in range(count):
        predicted, thick = float(rng.uniform(0.7, 0.95)), float(rng.uniform(0.5, 0.9))
        dice = predicted - float(rng.uniform(0.0, 0.1))
        sizes = [{"label": "intima-media", "unit": "mm", "predicted": thick, "drawn": thick - 0.05}]
        state.ledger.put_check(LabelCheck(f"im{number}", digest, predicted, dice, sizes, float(number)))
    state.ledger.put_scores(digest, {"predicted_dice": {f"im{n}": 0.9 for n in range(count, count + 4)}})


def test_it_says_how_many_masks_of_the_unlabelled_are_good_and_plots_it(run, app_folder, state, tmp_path):
    studies = make_folder(tmp_path / "judged", images=12, labelled=8)
    judge(state, file_digest(random_checkpoint(state.published)))
    for name in ("trust.png", "trust.svg"):
        result = run("status", studies, "--app", app_folder, "--state", state.root, "--plot", tmp_path / "new" / name)
        assert result.exit_code == 0, result.output
    told = words(result.stdout)
    assert "Of the 4 images still unlabelled," in told
    assert "(95 % interval" in told
    assert "8 labels were compared with the mask" in told
    assert "+0.050 mm" in told
    svg = (tmp_path / "new" / "trust.svg").read_text()
    assert "#1f6fb2" in svg
    pixels = np.asarray(Image.open(tmp_path / "new" / "trust.png").convert("RGB")).reshape(-1, 3).astype(int)
    assert (np.abs(pixels - (31, 111, 178)).sum(axis=1) < 150).sum() > 300  # the points of the model in service


def test_without_a_label_that_judged_there_is_no_picture(run, studies, app_folder, tmp_path):
    result = run("status", studies, "--app", app_folder, "--plot", tmp_path / "trust.png")
    assert result.exit_code == 2
    assert "got none yet" in words(result.stderr)
    assert "0 labels could be compared with a mask, and 5 are needed" in words(result.stdout)
    assert not (tmp_path / "trust.png").exists()


def test_a_picture_that_cannot_be_written_is_named(run, app_folder, state, tmp_path):
    studies = make_folder(tmp_path / "judged", images=12, labelled=8)
    judge(state, "former")
    result = run("status", studies, "--app", app_folder, "--state", state.root, "--plot", tmp_path / "trust.doc")
    assert result.exit_code == 2
    assert "Name a .png" in words(result.stderr)


def test_each_model_of_a_server_has_its_own_study(run, studies, app_folder):
    place = studies.parent / "both"
    place.mkdir()
    studies.rename(place / "carotid")
    (place / "volume").mkdir()
    nib.save(nib.Nifti1Image(np.zeros((32, 32, 32), np.int16), np.diag([2, 2, 2, 1])), place / "volume" / "ct.nii.gz")
    both = (
        "--app",
        app_folder,
        "--models",
        "carotid,volume",
        "--labels",
        "liver",
        "--conf",
        "volume.strategy",
        "random",
    )
    shown = run("status", place, *both).stdout
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in shown.splitlines()]
    assert [row[1] for row in rows if row[0] == "images"] == ["6", "1"]
    assert shown.count("by random") == 1
    assert run("status", place, *both, "--plot", "trust.png").exit_code == 2
    refused = run("report", place / "carotid", *both)
    assert refused.exit_code == 2
    assert "`STUDIES/volume --models volume`" in refused.stderr.replace("\n", " ")
