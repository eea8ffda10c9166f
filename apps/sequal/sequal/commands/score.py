"""`score`: score what the model in service has not scored yet, as the server's scoring does, without a server."""

from functools import partial

from sequal.acquisition import extras_for
from sequal.commands.console import OUT, progress_bar, table
from sequal.commands.place import StudyPlace
from sequal.errors import CheckpointError
from sequal.prediction import PoolScores, ServedModel, check_serves, choose_device, score_pool, unscored_items
from sequal.study.state import StudyState

__all__ = ["score_study", "show_scores"]


def score_study(place: StudyPlace) -> PoolScores:
    """Score the unlabelled images that the checkpoint in service has not scored into the ledger.

    Raises:
        CheckpointError: there is no checkpoint, or it cannot be used.
        StudyError: the state cannot be written.
    """
    device = choose_device(place.settings.device)
    check = partial(check_serves, settings=place.settings, name="the model in service")
    served = ServedModel(place.published, place.starting_weights, device, check=check)
    if served.digest is None:
        raise CheckpointError(
            f"Expected a published checkpoint or starting weights, got neither `{place.published}` nor "
            f"`{place.starting_weights}`. Train once, or run `cli.py pretrain`."
        )
    state = StudyState.open(place.state, place.settings)
    wanted = set(place.files.unlabelled) - state.ledger.skipped()
    pool = place.files.items(sorted(wanted), place.settings.patient_pattern)
    extras = extras_for(place.settings.strategy)
    items = unscored_items(pool, served.digest, state.ledger, extras)
    if not items:
        return PoolScores({}, {})
    with progress_bar() as bar:
        task = bar.add_task("Scoring", total=len(items))
        loaded, settings = served.load(), place.settings
        return score_pool(
            items, loaded, state.ledger, settings, device, lambda _: bar.update(task, advance=1), acquisitions=extras
        )


def show_scores(place: StudyPlace) -> None:
    """Score, and print what was scored and what could not be read.

    Raises:
        SequalError: as `score_study`.
    """
    result = score_study(place)
    if not result.scores and not result.unreadable:
        OUT.print("Nothing to score: the model in service has scored every unlabelled image that nobody skipped.")
        return
    ranked = sorted(result.scores.items(), key=lambda entry: -entry[1]["pld"])
    if ranked:
        names = list(ranked[0][1])
        rows = [(image, *(scores[name] for name in names)) for image, scores in ranked]
        OUT.print(table(f"Scored {len(rows)} images, higher is asked for first", ("image", *names), rows))
    if result.unreadable:
        OUT.print(table("Left out", ("image", "reason"), list(result.unreadable.items())))
