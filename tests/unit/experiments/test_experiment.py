import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sequal.experiments.cell as cell_module
from sequal.errors import CheckpointError, SettingsError, StudyError
from sequal.experiments import Cell, Experiment
from sequal.experiments.dataset import prepare_dataset
from sequal.experiments.readers import Readers
from sequal.experiments.report import write_report
from unit.commands.studies import random_checkpoint
from unit.experiments.miniature import make_images, options, play, results

APP = Path(cell_module.__file__).parents[2]


def test_every_cell_is_played_and_its_work_folder_deleted(played):
    found = results(played)
    names = [f"{strategy}-on-s0" for strategy in ("full", "pld", "random")]
    assert list(found) == [f"cells/{name}/round-0{number}.json" for name in names for number in (1, 2)]
    assert list((played / "work").iterdir()) == []


def test_a_round_holds_what_the_report_needs(played):
    first, second = (results(played)[f"cells/pld-on-s0/round-0{number}.json"] for number in (1, 2))
    assert (first["strategy"], first["refinement"], first["seed"], first["round"]) == ("pld", "on", 0, 1)
    assert len(first["labelled"]) == len(first["queried"]) == 2
    asked = {query["id"] for query in first["queried"]}
    assert set(second["labelled"]) == set(first["labelled"]) | asked
    assert not asked & set(first["labelled"])
    assert all(0 <= image["dice"] <= 1 and image["unit"] == "px" for image in second["test"]["images"])
    assert not {image["id"] for image in second["test"]["images"]} & set(second["labelled"])
    assert second["labels"]["images"] == 4
    assert 0.5 < second["labels"]["expert"] < 1  # noisy, and not nonsense
    assert second["instrument"]["pool_images"] == 3
    assert {"pld", "entropy", "margin", "least_confidence", "pld_kl"} <= set(first["instrument"]["scores"])
    assert "pld_kl_rounds" in second["instrument"]["scores"]
    assert first["training"]["published"]
    assert second["training"]["published"]
    assert second["training"]["validation_dice"] is None


def test_the_queried_images_have_the_highest_scores(played):
    first = results(played)["cells/pld-on-s0/round-01.json"]
    scores = [query["score"] for query in (*first["queried"], *first["last_ranked"])]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 5


def test_test_images_without_a_layer_are_counted_and_not_averaged(images, tmp_path):
    test = make_images(tmp_path / "test", count=3, first=90)
    bare = Path(test["masks"]) / "f91.png"
    Image.fromarray(np.zeros_like(np.asarray(Image.open(bare)))).save(bare)
    given = options(images, rounds=1, strategies="random", test_images=test["images"], test_masks=test["masks"])
    play(tmp_path / "e", given)
    (found,) = (record["test"] for record in results(tmp_path / "e").values())
    by_id = {image["id"]: image for image in found["images"]}
    assert {name: image["layer"] for name, image in by_id.items()} == {"f90": True, "f91": False, "f92": True}
    assert found["mean"]["dice"] == pytest.approx((by_id["f90"]["dice"] + by_id["f92"]["dice"]) / 2)
    assert found["mean"]["without_layer"] == 1
    assert found["mean"]["false_masks"] == (by_id["f91"]["dice"] == 0)


@pytest.fixture(scope="module")
def adapted(images, tmp_path_factory):
    """A finished experiment from starting weights, judged before any label, with two variants; only to be read."""
    folder = tmp_path_factory.mktemp("adapted")
    weights = random_checkpoint(folder / "weights.pt")
    given = options(images, labels="0,1,3,all", starting_weights=str(weights), splits="seed", gate="on")
    for name in ("start", "budget", "rounds"):
        given.pop(name)
    play(folder / "e", {**given, "strategies": "random,pld", "variants": {"slow": {"learning_rate": "1e-9"}}})
    return folder / "e"


def test_the_starting_weights_are_judged_before_any_label(adapted):
    found = results(adapted)
    names = [f"{name}-on-s0{variant}" for name in ("pld", "random") for variant in ("", "-slow")]
    assert list(found) == [f"cells/{name}/round-0{number}.json" for name in names for number in range(4)]
    before = [found[f"cells/{name}/round-00.json"] for name in names]
    assert all(record["test"] == before[0]["test"] and record["labelled"] == [] for record in before)
    assert before[0]["training"] is None
    pool = before[0]["instrument"]["pool_images"]
    assert [len(found[f"cells/pld-on-s0/round-0{n}.json"]["labelled"]) for n in range(4)] == [0, 1, 3, pool]
    assert before[0]["queried"][0]["score"] == max(q["score"] for q in before[0]["queried"] + before[0]["last_ranked"])
    first = found["cells/pld-on-s0/round-01.json"]
    assert first["labelled"] == [before[0]["queried"][0]["id"]]
    assert "pld_kl_rounds" in first["instrument"]["scores"]  # the round before is that of the starting weights
    assert list((adapted / "work").iterdir()) == []


def test_a_variant_is_played_with_its_own_settings_on_the_same_split(adapted):
    usual, slow = (results(adapted)[f"cells/random-on-s0{v}/round-01.json"] for v in ("", "-slow"))
    assert (usual["variant"], slow["variant"]) == ("default", "slow")
    assert usual["labelled"] == slow["labelled"]
    before = results(adapted)["cells/random-on-s0/round-00.json"]
    moved = [abs(r["test"]["mean"]["hd95"] - before["test"]["mean"]["hd95"]) for r in (usual, slow)]
    assert [image["id"] for image in usual["test"]["images"]] == [image["id"] for image in slow["test"]["images"]]
    assert moved[1] <= moved[0]


def test_the_report_follows_the_figures_and_compares_the_variants(adapted, tmp_path):
    summary = write_report(adapted, tmp_path)
    assert list(summary) == ["random", "pld", "random, slow", "pld, slow"]
    slow = summary["pld, slow"]
    assert [round(row["labels"]) for row in slow["figures"]][:3] == [0, 1, 3]
    assert slow["against_default"]["dice"][0]["mean"] == 0
    assert slow["against_random"]["dice"][0]["mean"] == 0
    assert summary["random"]["against_random"] is summary["pld"]["against_default"] is None
    none, one, three = (row["dice"]["mean"] for row in slow["figures"][:3])
    assert slow["auc"] == pytest.approx(((none + one) / 2 + (one + three)) / 3), "without the round of the whole pool"
    text = (tmp_path / "report.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("| pld, slow |")]
    assert len(table) == 1 + 4 + 1
    assert "`--variant slow` | --set learning_rate=1e-9 |" in text
    assert "`--start`" not in text


def test_the_pool_is_predicted_only_where_that_is_needed(images, tmp_path):
    weights = str(random_checkpoint(tmp_path / "weights.pt"))
    given = options(images, labels="0,1,2", starting_weights=weights, scores="needed", seeds="0,1")
    for name in ("start", "budget", "rounds"):
        given.pop(name)
    play(tmp_path / "e", {**given, "strategies": "random,entropy"})
    found = results(tmp_path / "e")
    for seed in (0, 1):
        random, entropy = (
            [found[f"cells/{name}-on-s{seed}/round-0{n}.json"]["instrument"] for n in range(3)]
            for name in ("random", "entropy")
        )
        assert [entry["pool_images"] for entry in random] == [7, 0, 0]
        assert [entry["pool_images"] for entry in entropy] == [7, 6, 5]
        assert set(entropy[1]["scores"]) == {"entropy", "layer_entropy", "least_confidence", "margin", "pld", "sqa"}
    before = [found[f"cells/{name}-on-s{seed}/round-00.json"] for name in ("random", "entropy") for seed in (0, 1)]
    assert all(record["test"] == before[0]["test"] for record in before), "the same for every seed"
    assert list((tmp_path / "e" / "work").iterdir()) == []


def test_only_the_cells_that_are_wanted_are_played(images, tmp_path):
    experiment = Experiment.open(tmp_path, options(images, rounds=1, strategies="random,pld", seeds="0,1"))
    assert experiment.play("cpu", wanted=lambda cell: cell == Cell("random", "on", 1)) == []
    assert [cell.name for cell in experiment.unfinished()] == ["random-on-s0", "pld-on-s0", "pld-on-s1"]


def test_truth_that_nobody_traced_is_neither_learnt_nor_judged(tmp_path):
    """In half of the columns the truth is 255, and the frame shows a second band there."""
    given = make_images(tmp_path / "source")
    for path in Path(given["masks"]).iterdir():
        mask = (np.asarray(Image.open(path)) > 0).astype(np.uint8)
        mask[:, 48:] = 255
        Image.fromarray(mask).save(path)
    play(tmp_path / "e", options(given, rounds=1, strategies="random", noise="none", traced=(1, 1)))
    (found,) = results(tmp_path / "e").values()
    assert found["labels"]["expert"] == 1.0
    assert found["training"]["left_out"] == {}
    assert all(image["layer"] for image in found["test"]["images"])
    experiment = Experiment.open(tmp_path / "e", {})
    dataset = prepare_dataset(tmp_path / "e" / "data", experiment.plan)
    for image in dataset.frames["pool"]:
        label = dataset.drawn_by(Readers(experiment.plan, 0), image)
        assert (label[48:] == 255).all()
        assert np.array_equal(label[:48], dataset.truth("pool", image)[:48])


def test_an_image_that_nobody_traced_has_no_error_that_a_score_could_find(tmp_path):
    given = make_images(tmp_path / "source")
    for path in Path(given["masks"]).iterdir():
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8)).save(path)
    experiment = Experiment.open(tmp_path / "e", options(given))
    unknown = sorted(prepare_dataset(tmp_path / "e" / "data", experiment.plan).frames["pool"])[3:]
    for image in unknown:
        Image.fromarray(np.full((64, 96), 255, np.uint8)).save(Path(given["masks"]) / f"{image}.png")
    play(tmp_path / "f", options(given, rounds=1, strategies="random"))
    (found,) = results(tmp_path / "f").values()
    assert not set(found["labelled"]) & set(unknown)
    assert (len(unknown), found["instrument"]["pool_images"]) == (4, 1)


def test_a_form_of_pld_queries_by_its_own_score(images, tmp_path):
    play(tmp_path / "e", options(images, rounds=1, strategies="pld,pld_kl,pld_pseudo_label,pld_layer"))
    found = {record["strategy"]: record for record in results(tmp_path / "e").values()}
    assert found["pld_kl"]["queried"] == found["pld"]["queried"]  # the default form
    assert found["pld_pseudo_label"]["queried"] != found["pld"]["queried"]
    layer = [query["score"] for query in found["pld_layer"]["queried"]]
    assert layer == sorted(layer, reverse=True)
    assert layer[0] > found["pld_pseudo_label"]["queried"][0]["score"]  # by the layer's area, not by the frame's


def test_strategies_of_a_seed_begin_alike(played):
    first = {name: results(played)[f"cells/{name}-on-s0/round-01.json"] for name in ("random", "pld")}
    assert first["random"]["labelled"] == first["pld"]["labelled"]
    assert first["random"]["test"] == first["pld"]["test"]


def test_the_full_cell_is_trained_on_the_whole_pool(played):
    full = results(played)["cells/full-on-s0/round-01.json"]
    assert len(full["labelled"]) == 7
    assert full["queried"] == []
    assert full["instrument"]["pool_images"] == 0


@pytest.mark.parametrize("stop_at", [1, 2])
def test_a_stopped_experiment_gives_what_it_would_have_given(played, images, tmp_path, monkeypatch, stop_at):
    """Stopped within the first round, which is shared, or the second, after training, before it is judged."""
    run, calls = cell_module.run_round, []

    def stopping(*arguments, **keywords):
        report = run(*arguments, **keywords)
        calls.append(report)
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        return report

    given = options(images, strategies="random,pld", full=stop_at == 1)
    monkeypatch.setattr(cell_module, "run_round", stopping)
    with pytest.raises(KeyboardInterrupt):
        play(tmp_path, given)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").rglob("*.json")}
    monkeypatch.setattr(cell_module, "run_round", run)
    play(tmp_path, given)
    expected = results(played)
    assert results(tmp_path) == {name: expected[name] for name in results(tmp_path)}
    assert len(results(tmp_path)) == (6 if stop_at == 1 else 4)
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    assert len(before) == stop_at - 1


def test_a_cell_whose_work_folder_is_lost_is_played_again_and_nothing_is_rewritten(played, images, tmp_path):
    given = options(images, strategies="random")
    experiment = Experiment.open(tmp_path, given)
    source = played / "cells" / "random-on-s0" / "round-01.json"
    kept = tmp_path / "cells" / "random-on-s0" / "round-01.json"
    kept.parent.mkdir()
    kept.write_bytes(source.read_bytes())
    assert experiment.play("cpu") == []
    assert kept.read_bytes() == source.read_bytes()
    expected = results(played)["cells/random-on-s0/round-02.json"]
    assert results(tmp_path)["cells/random-on-s0/round-02.json"] == expected


_HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_cell_that_another_process_plays_is_left_to_it_until_it_dies(images, tmp_path):
    experiment = Experiment.open(tmp_path, options(images, rounds=1))
    held = Cell("pld", "on", 0)
    lock = tmp_path / "locks" / f"{held.name}.lock"
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert experiment.play("cpu") == [held]
        assert experiment.finished_rounds(Cell("random", "on", 0)) == 1
        other.kill()
    assert experiment.play("cpu") == []


#: On a machine that has only what the rounds need.
_PLAY = """
import sys
from pathlib import Path

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"monailabel", "matplotlib", "pydicom", "requests", "SimpleITK", "fastapi"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocker())
import sequal.commands.simulate
from sequal.experiments import Experiment
from sequal.experiments.cell import CellPlayer

folder, play = Path(sys.argv[1]), CellPlayer.play

def noted(self):
    with (folder / "played.txt").open("a") as file:
        file.write(f"{self.cell.name} other\\n")
    play(self)

CellPlayer.play = noted
experiment = Experiment.open(folder, {})
print("ready", flush=True)
sys.stdin.readline()
experiment.play("cpu")
"""


def test_two_processes_share_an_experiment_without_playing_a_cell_twice(images, tmp_path, monkeypatch):
    experiment = Experiment.open(tmp_path, options(images, rounds=1, strategies="random,pld", seeds="0,1"))
    play_cell, mine = cell_module.CellPlayer.play, []

    def noted(self):
        mine.append(self.cell.name)
        play_cell(self)

    monkeypatch.setattr(cell_module.CellPlayer, "play", noted)
    program = [sys.executable, "-c", _PLAY, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(program, cwd=APP, **pipes) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        experiment.play("cpu")
        other.communicate(timeout=120)
    assert other.returncode == 0
    theirs = [line.split()[0] for line in (tmp_path / "played.txt").read_text().splitlines()]
    assert sorted([*mine, *theirs]) == sorted(cell.name for cell in experiment.plan.cells())
    assert mine
    assert theirs
    assert experiment.unfinished() == []


def test_other_options_are_refused_with_the_difference_and_no_options_go_on(played, images):
    with pytest.raises(SettingsError, match=r"--rounds 3 \(recorded: 2\).*--strategies pld \(recorded: random,pld\)"):
        Experiment.open(played, options(images, rounds=3, strategies="pld"))
    assert Experiment.open(played, {}).unfinished() == []
    assert Experiment.open(played, {"budget": "2"}).plan.budget == 2


def test_seeds_may_be_added_and_what_is_finished_stays(played, images, tmp_path):
    folder = tmp_path / "e"
    shutil.copytree(played, folder)
    before = results(folder)
    grown = Experiment.open(folder, options(images, seeds="1,0"))
    assert [cell.name for cell in grown.unfinished()] == [f"{name}-on-s1" for name in ("random", "pld", "full")]
    assert Experiment.open(folder, {}).plan == grown.plan
    assert grown.play("cpu") == []
    after = results(folder)
    assert before.items() <= after.items()
    assert len(after) == 2 * len(before)
    with pytest.raises(SettingsError, match=r"--seeds 1 \(recorded: 1,0\)"):
        Experiment.open(folder, {"seeds": "1"})
    with pytest.raises(SettingsError, match=r"--rounds 3 \(recorded: 2\)"):
        Experiment.open(folder, {"seeds": "0,1,2", "rounds": 3})
    assert Experiment.open(folder, {}).plan.seeds == (1, 0)


def test_refinement_off_never_refines_and_with_the_gate_all_labels_teach_and_judge(images, tmp_path):
    # Four epochs at a learning rate at which nothing is learnt: flat from the start, so that the paper's rule fires.
    fusing = {
        "trigger": "paper",
        "epochs": 4,
        "fusion_lambda": 0.5,
        "fusion_min_foreground": 0,
        "fusion_min_agreement": 0,
        "fusion_scope": "all",
    }
    settings = {"patch": 64, "iterations_per_epoch": 1, "batch_labelled": 1, "batch_unlabelled": 0, **fusing}
    given = options(images, rounds=1, strategies="random", refinement="both", gate="on", start=4, settings=settings)
    play(tmp_path, given)
    on, off = (results(tmp_path)[f"cells/random-{kind}-s0/round-01.json"] for kind in ("on", "off"))
    assert off["training"]["refinement"]["epoch"] is None
    assert off["labels"]["refined_images"] == 0
    assert off["labels"]["before"] is None
    assert on["training"]["refinement"]["epoch"] is not None
    assert on["labels"]["refined_images"] == on["training"]["refinement"]["images"] > 0
    assert on["labels"]["after"] != on["labels"]["before"]
    assert on["training"]["trained_on"] == 4
    assert on["training"]["validation_dice"] is not None


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"images": "/nowhere"}, StudyError, "to hold images"),
        ({"starting_weights": "/nowhere.pt"}, CheckpointError, "to be a checkpoint"),
        ({"start": 6}, SettingsError, "Expected the pool to hold 8 images"),
    ],
)
def test_what_cannot_be_played_is_refused(images, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        Experiment.open(tmp_path / "e", options(images, **changes)).play("cpu")


def test_the_command_line_plays_and_reports(images, tmp_path):
    from typer.testing import CliRunner

    import cli

    folder = str(tmp_path / "e")
    settings = [part for key, value in options({})["settings"].items() for part in ("--set", f"{key}={value}")]
    arguments = ["--images", images["images"], "--masks", images["masks"], "--start", "2", "--budget", "1"]
    arguments += ["--rounds", "1", "--strategies", "pld", "--traced", "1", "1", "--noise", "none", "--size", "48x48"]
    done = CliRunner().invoke(cli.app, ["simulate", folder, *arguments, *settings, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert "pld-on-s0" in done.stdout
    record = json.loads((tmp_path / "e/cells/pld-on-s0/round-01.json").read_text())
    assert record["labels"]["expert"] == 1.0
    assert CliRunner().invoke(cli.app, ["simulate", folder]).exit_code == 0
    again = CliRunner().invoke(cli.app, ["simulate", folder, "--budget", "2"])
    assert again.exit_code == 2
    assert "--budget 2 (recorded: 1)" in again.stderr
    started = time.time()
    assert CliRunner().invoke(cli.app, ["report", folder]).exit_code == 0
    assert (tmp_path / "e/report/index.html").stat().st_mtime >= started - 1
    refused = CliRunner().invoke(cli.app, ["report", str(tmp_path)])
    assert refused.exit_code == 2
    assert "experiment.json" in refused.stderr
