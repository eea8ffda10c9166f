import pytest

from sequal.acquisition import EXTRAS, STRATEGIES, extras_for, parse_extras
from sequal.errors import SettingsError


def test_what_each_strategy_needs():
    needs = {name: set(extras_for(name)) for name in STRATEGIES if extras_for(name)}
    assert needs == {
        "bald": {"bald"},
        "coreset": {"features"},
        "badge": {"features"},
        "pld_diverse": {"features"},
        "sqa": {"sqa"},
    }


@pytest.mark.parametrize(
    ("text", "names"), [("", set()), ("bald", {"bald"}), (" features , bald,sqa", set(EXTRAS)), ("bald,bald", {"bald"})]
)
def test_names_of_a_request(text, names):
    assert parse_extras(text) == names


def test_an_unknown_name_is_refused():
    with pytest.raises(SettingsError, match=r"`acquisitions`.*bald, features.*'bald,dropout'"):
        parse_extras("bald,dropout")
