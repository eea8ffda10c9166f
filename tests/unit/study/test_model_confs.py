import pytest

from sequal.errors import SettingsError
from sequal.study.model_confs import confs_by_model

BOTH = {"models": "carotid,volume"}


def test_one_model_takes_every_pair_as_it_is():
    conf = {"models": "volume", "labels": "liver", "state": "there", "epochs": "2"}
    assert confs_by_model(conf) == {"volume": conf}
    assert confs_by_model({"epochs": "2"}) == {"carotid": {"models": "carotid", "epochs": "2"}}


def test_a_pair_for_one_model_counts_before_one_for_all_wherever_it_stands():
    for conf in ({"volume.seed": "2", "seed": "1"}, {"seed": "1", "volume.seed": "2"}):
        confs = confs_by_model(BOTH | conf)
        assert (confs["carotid"]["seed"], confs["volume"]["seed"]) == ("1", "2")


def test_each_model_has_a_state_of_its_own():
    confs = confs_by_model(BOTH | {"state": "there"})
    assert (confs["carotid"]["state"], confs["volume"]["state"]) == ("there/carotid", "there/volume")
    named = confs_by_model(BOTH | {"state": "there", "volume.state": "elsewhere"})
    assert (named["carotid"]["state"], named["volume"]["state"]) == ("there/carotid", "elsewhere")
    assert "state" not in confs_by_model(BOTH)["carotid"]


def test_the_names_of_structures_are_for_the_volumes():
    confs = confs_by_model({"models": "volume, carotid", "labels": "liver"})
    assert list(confs) == ["volume", "carotid"]
    assert "labels" not in confs["carotid"]
    assert confs["volume"]["labels"] == "liver"


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        (
            {"models": "carotid,liver"},
            "one of carotid and volume, or several, each once, with commas between them, got 'carotid,liver'",
        ),
        ({"models": "volume,volume"}, "got 'volume,volume'"),
        ({"models": "carotid", "volume.seed": "1"}, "Serve it with `--conf models carotid,volume`"),
        ({"volume.labels": "liver"}, "for a model that is served \\(carotid\\), got one for volume"),
        (BOTH | {"volume.allowed_hosts": "a"}, "Use `--conf allowed_hosts VALUE`"),
        (BOTH | {"carotid.models": "volume"}, "set for the whole server"),
        (BOTH | {"carotid.max_image_pixels": "9"}, "set for the whole server"),
    ],
)
def test_what_cannot_be_meant_is_refused(conf, words):
    with pytest.raises(SettingsError, match=words):
        confs_by_model(conf)
