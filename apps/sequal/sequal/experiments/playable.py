"""What a cell can query by: the server's strategies, and each form of PLD on its own."""

from typing import Final

from sequal.acquisition import PLD_FORMS, STRATEGIES, QueryStrategy, ScoredStrategy

__all__ = ["FORM_SCORES", "PLAYABLE"]

#: Name of a form's score, as every experiment records it whatever `pld_form` is set.
FORM_SCORES: Final = {form: f"pld_{form}" for form in PLD_FORMS}

#: So the forms can be compared in one experiment, with the first rounds they share.
PLAYABLE: Final[dict[str, QueryStrategy]] = {
    **STRATEGIES,
    **{name: ScoredStrategy(name) for name in FORM_SCORES.values()},
}
