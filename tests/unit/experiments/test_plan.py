import json

import pytest

from sequal.acquisition import STRATEGIES
from sequal.errors import SettingsError, StudyError
from sequal.experiments import Cell, Plan
from sequal.settings import Settings

PHANTOMS = {"phantom": 40, "phantom_test": 4}


def test_cells_come_seed_by_seed_with_the_full_one_last():
    plan = Plan.of({**PHANTOMS, "strategies": "random,pld", "refinement": "both", "seeds": "0,5", "full": True})
    first = ["random-on-s0", "pld-on-s0", "random-off-s0", "pld-off-s0", "full-on-s0"]
    assert [cell.name for cell in plan.cells()] == [*first, *(name.replace("s0", "s5") for name in first)]


def test_every_strategy_of_the_server_and_every_form_of_pld_can_be_played():
    names = {*STRATEGIES, "pld_kl", "pld_pseudo_label", "pld_layer"}
    plan = Plan.of({**PHANTOMS, "strategies": ",".join(names)})
    assert {cell.strategy for cell in plan.cells()} == names


def test_settings_follow_from_the_cell():
    plan = Plan.of({**PHANTOMS, "network": "dynunet", "settings": {"epochs": "3"}, "refinement": "both"})
    off = plan.settings_of(Cell("pld", "off", 7), "cpu")
    assert (off.seed, off.network, off.device, off.epochs, off.trigger) == (7, "dynunet", "cpu", 3, "never")
    assert off.validation_fraction == 0
    assert plan.settings_of(Cell("pld", "on", 7)).trigger == Settings().trigger
    gated = Plan.of({**PHANTOMS, "gate": "on", "settings": {"validation_fraction": 0.1}})
    assert gated.settings_of(Cell("pld", "on", 0)).validation_fraction == 0.1


def test_a_recorded_plan_comes_back_as_it_was(tmp_path):
    given = {**PHANTOMS, "traced": (0.5, 1.0), "seeds": "3,1", "size": "64X48", "settings": {"epochs": 2}}
    plan = Plan.open(tmp_path / "experiment.json", given)
    assert (plan.traced, plan.seeds, plan.size, plan.settings) == ((0.5, 1.0), (3, 1), "64x48", {"epochs": "2"})
    assert Plan.load(tmp_path / "experiment.json") == plan == Plan.open(tmp_path / "experiment.json", given)


def test_labels_say_what_each_round_has():
    plan = Plan.of({**PHANTOMS, "labels": "2,5,10,all"})
    assert [plan.labels_at(number, 40) for number in plan.round_numbers] == [2, 5, 10, 40]
    assert list(plan.round_numbers) == [1, 2, 3, 4]
    assert plan.batch == 3
    from_none = Plan.of({**PHANTOMS, "labels": "0,4,8", "starting_weights": "some.pt"})
    assert list(from_none.round_numbers) == [0, 1, 2]
    steps = Plan.of({**PHANTOMS, "start": 6, "budget": 4, "rounds": 3})
    assert [steps.labels_at(number, 40) for number in steps.round_numbers] == [6, 10, 14]


def test_a_variant_has_settings_of_its_own_over_those_of_all():
    variants = {"firm": {"epochs": "9", "trigger": "never"}}
    plan = Plan.of({**PHANTOMS, "settings": {"epochs": "3", "patch": "64"}, "variants": variants})
    names = [cell.name for cell in plan.cells()]
    assert names == [f"{name}-on-s0{variant}" for variant in ("", "-firm") for name in ("random", "entropy", "pld")]
    usual, firm = (plan.settings_of(Cell("pld", "on", 0, variant)) for variant in ("default", "firm"))
    assert (usual.epochs, usual.patch, firm.epochs, firm.patch, firm.trigger) == (3, 64, 9, 64, "never")


def test_strategies_and_variants_may_be_added_and_a_variant_stays_what_it_is(tmp_path):
    path = tmp_path / "experiment.json"
    given = {**PHANTOMS, "strategies": "random"}
    Plan.open(path, given)
    Plan.open(path, {"variants": {"firm": {"epochs": "9"}}})
    plan = Plan.open(path, {"strategies": "pld,random", "variants": {"soft": {"epochs": "2"}}})
    assert plan == Plan.load(path)
    assert plan.strategies == ("pld", "random")
    assert plan.variants == {"firm": {"epochs": "9"}, "soft": {"epochs": "2"}}
    assert Plan.open(path, {"variants": {"firm": {"epochs": "9"}}}) == plan
    with pytest.raises(SettingsError, match=r"--variant .*recorded"):
        Plan.open(path, {"variants": {"firm": {"epochs": "8"}}})
    with pytest.raises(SettingsError, match="epochz"):
        Plan.open(path, {"variants": {"hard": {"epochz": "8"}}})
    assert Plan.load(path) == plan


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"phantom": 0, "phantom_test": 0}, "--phantom"),
        ({"images": "a"}, "--images"),
        ({"phantom_test": 0}, "--phantom-test"),
        ({"test_images": "a"}, "--test-images"),
        ({"start": 0}, "--start"),
        ({"start": 20}, "pool"),
        ({"strategies": "random,psychic"}, "psychic"),
        ({"strategies": "random,random"}, "--strategies"),
        ({"strategies": "full"}, "--strategies"),
        ({"seeds": "0,-1"}, "--seeds"),
        ({"size": "64"}, "--size"),
        ({"size": "8x8"}, "--size"),
        ({"traced": (0.9, 0.4)}, "--traced"),
        ({"traced": (0.4, 1.4)}, "--traced"),
        ({"fusion": "staple"}, "--readers"),
        ({"network": "transformer"}, "--network"),
        ({"refinement": "maybe"}, "--refinement"),
        ({"settings": {"epochz": "1"}}, "epochz"),
        ({"settings": {"epochs": "0"}}, "epochs"),
        ({"settings": {"seed": "1"}}, "--seeds"),
        ({"settings": {"device": "cpu"}}, "--device"),
        ({"settings": {"validation_fraction": "0.1"}}, "--gate on"),
        ({"settings": {"trigger": "never"}}, "--refinement off"),
        ({"colour": "red"}, "colour"),
        ({"labels": "5,2"}, "--labels"),
        ({"labels": "5,all,10"}, "--labels"),
        ({"labels": "5,50"}, "pool"),
        ({"labels": "5,10", "rounds": 3}, "--rounds"),
        ({"labels": "0,5"}, "--starting-weights"),
        ({"splits": "seed"}, "--splits"),
        ({"noise": "loud"}, "--noise"),
        ({"variants": {"a b": {}}}, "--variant"),
        ({"variants": {"default": {}}}, "--variant"),
        ({"variants": {"firm": {"epochz": "1"}}}, "epochz"),
        ({"variants": {"firm": {"seed": "1"}}}, "--seeds"),
    ],
)
def test_a_broken_option_is_named_and_nothing_is_written(tmp_path, changes, named):
    with pytest.raises(SettingsError, match="Expected ") as refused:
        Plan.open(tmp_path / "experiment.json", {**PHANTOMS, **changes})
    assert named in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "rounds": 0}'])
def test_a_damaged_record_is_refused(tmp_path, content):
    path = tmp_path / "experiment.json"
    path.write_text(content)
    with pytest.raises(StudyError, match="options of an experiment"):
        Plan.load(path)


def test_the_record_is_plain_json():
    plan = Plan.of(PHANTOMS)
    assert json.loads(json.dumps(plan.record())) == plan.record()


def test_some_strategies_are_played_with_and_without_refinement():
    options = {**PHANTOMS, "strategies": "random,entropy,pld", "refinement": "both", "both_for": "random,pld"}
    names = [cell.name for cell in Plan.of(options).cells()]
    assert names == ["random-on-s0", "entropy-on-s0", "pld-on-s0", "random-off-s0", "pld-off-s0"]
    with pytest.raises(SettingsError, match="--both-for"):
        Plan.of({**options, "refinement": "on"})
