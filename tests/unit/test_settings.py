import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequal.errors import SettingsError
from sequal.settings import (
    NETWORK_NAMES,
    STRATEGY_NAMES,
    Settings,
    per_request_keys,
    setting_keys,
    settings_table,
)


def test_defaults_meet_their_own_rules():
    plain = Settings()
    again = Settings.from_conf({key: str(getattr(plain, key)) for key in setting_keys()})
    assert again == plain


def test_strings_become_typed_values():
    settings = Settings.from_conf(
        {"epochs": "3", "learning_rate": "2e-3", "auto_scoring": "False", "network": "unet", "state": " a b "}
    )
    assert settings.epochs == 3
    assert settings.learning_rate == 0.002
    assert settings.auto_scoring is False
    assert settings.network == "unet"
    assert settings.state == "a b"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "-1"),
        ("seed", "1.5"),
        ("seed", "4294967296"),
        ("device", "cuda:0"),
        ("network", "resnet"),
        ("working_spacing_mm", "0.6"),
        ("working_spacing_mm", "nan"),
        ("max_working_pixels", "65535"),
        ("epochs", "0"),
        ("epochs", ""),
        ("iterations_per_epoch", "10001"),
        ("batch_unlabelled", "65"),
        ("patch", "100"),
        ("patch", "32"),
        ("learning_rate", "0"),
        ("learning_rate", "inf"),
        ("ramp_fraction", "0"),
        ("ema_alpha", "1"),
        ("fusion_lambda", "0.4"),
        ("validation_fraction", "0.51"),
        ("labels", "liver,,spleen"),
        ("labels", "liver,Liver"),
        ("labels", "kidney-left,kidney_left"),
        ("labels", "kidney\u2013left,kidney-left"),
        ("labels", "-liver,liver"),
        ("labels", "liver,-"),
        ("labels", "liver,Review"),
        ("labels", "liver,Not_annotated"),
        ("patient_pattern", "("),
        ("patient_pattern", r"^(\d+)"),
        ("lease_minutes", "0"),
        ("keep_checkpoints", "0"),
        ("auto_scoring", "maybe"),
        ("strategy", "PLD"),
        ("ledger", "ledger.db"),
        ("allowed_hosts", "*"),
        ("allowed_hosts", "labels.example.org:8000"),
        ("allowed_hosts", "http://labels.example.org"),
        ("allowed_hosts", "a,,b"),
        ("allowed_origins", "*"),
        ("allowed_origins", "null"),
        ("allowed_origins", "viewer.example.org"),
        ("allowed_origins", "https://viewer.example.org/ohif"),
        ("sessions", "perhaps"),
    ],
)
def test_bad_value_names_key_rule_and_value(key, value):
    with pytest.raises(SettingsError) as raised:
        Settings.from_conf({key: value})
    message = str(raised.value)
    assert message.startswith(f"Expected `{key}` to be ")
    assert f"got {value!r}" in message


@pytest.mark.parametrize("value", [True, None, [1], 2.5, math.nan, math.inf])
def test_bad_json_value_for_an_integer(value):
    with pytest.raises(SettingsError, match="epochs"):
        Settings().override({"epochs": value})


def test_lists_of_names_are_given_one_by_one():
    settings = Settings.from_conf({"allowed_hosts": "Labels.example.org, 10.0.0.5,[::2]"})
    assert settings.hosts == ("labels.example.org", "10.0.0.5", "[::2]")
    assert settings.origins == ()
    assert Settings.from_conf({"allowed_origins": "http://V.example:3000"}).origins == ("http://v.example:3000",)


def test_ends_of_ranges():
    settings = Settings.from_conf(
        {"ema_alpha": "0", "ramp_fraction": "1", "lease_minutes": "1440", "patch": "64", "epochs": "1000"}
    )
    assert (settings.ema_alpha, settings.ramp_fraction, settings.lease_minutes) == (0.0, 1.0, 1440.0)


def test_unknown_key_is_refused_with_a_suggestion():
    with pytest.raises(SettingsError, match="Did you mean `epochs`"):
        Settings.from_conf({"epoch": "3"})
    with pytest.raises(SettingsError, match="`modeles` to be a setting"):
        Settings.from_conf({"modeles": "carotid"})


PAPER = {
    "strategy": "pld",
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "dice_weight": 0.0,
    "extent_weight": 0.0,
    "quality_weight": 0.0,
    "max_wall_angle": 90.0,
    "fusion_min_agreement": 0.0,
    "ema_alpha": 0.9,
    "trigger": "paper",
    "after_fusion": "stop",
    "pld_at": "trigger",
    "ramp": "paper",
    "iterations_per_epoch": 250,
    "batch_unlabelled": 2,
    "rehearsal": 0,
    "frozen_statistics": False,
    "anchor_labels": 0.0,
    "match_thickness": False,
    "fusion_scope": "all",
}


def test_paper_preset_changes_exactly_the_published_settings():
    default, paper = Settings(), Settings.from_conf({"preset": "paper"})
    changed = {key: getattr(paper, key) for key in setting_keys() if getattr(paper, key) != getattr(default, key)}
    assert changed == {"preset": "paper", **PAPER}


def test_given_keys_win_over_the_preset_even_when_they_equal_the_default():
    settings = Settings.from_conf({"optimizer": "adamw", "preset": "paper"})
    assert (settings.optimizer, settings.learning_rate) == ("adamw", 0.01)
    request = settings.override({"learning_rate": 0.5})
    assert (request.optimizer, request.learning_rate, request.trigger) == ("adamw", 0.5, "paper")


def test_preset_of_a_request_leaves_what_the_server_was_given():
    server = Settings.from_conf({"learning_rate": "0.02", "epochs": "9"})
    paper = server.override({"preset": "paper", "pld_form": "pseudo_label"})
    assert (paper.learning_rate, paper.epochs, paper.optimizer, paper.pld_form) == (
        0.02,
        9,
        "sgd",
        "pseudo_label",
    )
    assert paper.override({"preset": "default"}).optimizer == "adamw"


@pytest.mark.parametrize("method", ["sequal", "cross"])
def test_preset_of_a_request_keeps_networks_patch_and_strategy_of_the_server(method):
    for server, preset in (({}, "paper"), ({"preset": "paper"}, "default")):
        before = Settings.from_conf({"method": method, **server})
        after = before.override({"preset": preset})
        changed = {key for key in setting_keys() if getattr(after, key) != getattr(before, key)}
        assert {"preset", "optimizer", "learning_rate"} <= changed <= per_request_keys()


def test_override_keeps_the_rest_and_the_original():
    server = Settings.from_conf({"epochs": "9", "state": "x"})
    request = server.override({"epochs": 2, "seed": "7"})
    assert (request.epochs, request.seed, request.state) == (2, 7, "x")
    assert server.epochs == 9


@pytest.mark.parametrize("key", ["state", "ledger", "strategy", "lease_minutes", "network", "validation_fraction"])
def test_requests_may_not_change_what_belongs_to_the_server(key):
    with pytest.raises(SettingsError, match=f"`{key}` to be set when the server starts"):
        Settings().override({key: "x"})


def test_training_settings_are_per_request():
    assert {
        "seed",
        "preset",
        "epochs",
        "pld_form",
        "pld_pair",
        "pld_at",
        "fusion_lambda",
    } <= per_request_keys()


def test_record_is_plain_and_holds_no_places():
    record = Settings.from_conf({"ledger": "postgresql://u:secret@h/d", "epochs": "3"}).record()
    assert record["epochs"] == 3
    assert "secret" not in str(record)
    places = {"state", "ledger", "other_states", "allowed_hosts", "allowed_origins", "sessions"}
    assert set(record) == set(setting_keys()) - places


def test_table_has_one_row_for_each_setting():
    rows = settings_table().splitlines()
    assert [row.split("`")[1] for row in rows[2:-2]] == list(setting_keys())
    cells = [row.replace("\\|", "").count("|") for row in rows[:-2]]
    assert set(cells) == {5}
    assert any("`learning_rate` †" in row and "(paper: `0.01`)" in row for row in rows)


def test_names_are_spelled_once():
    from sequal.acquisition import PLD_FORMS, STRATEGIES

    assert set(STRATEGIES) == set(STRATEGY_NAMES)
    for form in PLD_FORMS:
        assert Settings.from_conf({"pld_form": form}).pld_form == form
    assert Settings().network in NETWORK_NAMES


@given(st.dictionaries(st.sampled_from(setting_keys()), st.text(max_size=8), max_size=3))
def test_any_string_gives_settings_or_a_settings_error(conf):
    blamed = None
    try:
        settings = Settings.from_conf(conf)
    except SettingsError as error:
        blamed = str(error)
    if blamed is None:
        assert settings.given == frozenset(conf)
    else:
        assert any(f"`{key}`" in blamed for key in conf)
