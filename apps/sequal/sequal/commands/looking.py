"""How a study stands, wherever it is: a folder, a PACS, or a running server."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from sequal.acquisition import STRATEGIES, Query
from sequal.anatomy.models import MODELS
from sequal.commands.address import is_server, series_at_server
from sequal.commands.annotating.client import AnnotationClient
from sequal.commands.place import StudyPlace
from sequal.commands.spelling import setting_pairs
from sequal.errors import SettingsError
from sequal.files.dicom.series_list import series_names
from sequal.files.imaging import stored_label_says_no_layer
from sequal.settings import Settings
from sequal.study.label_notes import noted_warnings
from sequal.study.overview import NEXT_SHOWN, StudyOverview
from sequal.study.pool import query_generator, study_pool
from sequal.study.state import StudyState, file_digest, state_warnings, study_warnings
from sequal.study.trust import study_trust

__all__ = ["look_at_study", "next_queries"]


def look_at_study(
    studies: str, app: Path, state: Path | None, conf: Sequence[str], strategy: str | None = None
) -> StudyOverview:
    """Look at a study; nothing in it is changed.

    Args:
        studies: a folder, the DICOMweb address of a PACS, or the address of a server.
        app: folder of the app, for the state of a folder or a PACS.
        state: the state folder; None: as the server finds it.
        conf: `key=value` settings of the server; of a running one `models` alone, to look at one of its models.
        strategy: for the next images; None: the one in the settings.

    Raises:
        SettingsError: a setting is wrong, there is no such strategy, or a running server was given other settings.
        SequalError: the study, its state, the PACS or the server cannot be read.
    """
    if strategy is not None and strategy not in STRATEGIES:
        known = ", ".join(sorted(STRATEGIES))
        raise SettingsError(f"Expected `--strategy` to be one of {known}, got {strategy!r}. Name one of these.")
    if "://" not in studies:
        return _of_place(StudyPlace.find(studies, app, state, conf), strategy)
    if not is_server(studies):
        return _of_place(StudyPlace.in_pacs(studies, app, state, conf), strategy)
    settings = setting_pairs(conf)
    model = settings.pop("models", None)
    if state is not None or settings:
        raise SettingsError(
            f"Expected no --state and no settings but `models` for {studies}, got some. A running server has its own; "
            "leave them out."
        )
    with tempfile.TemporaryDirectory() as folder:
        client = AnnotationClient(studies, "status", Path(folder))
        overview = client.overview(strategy, model)
        of_first = next((name for name in client.info().get("trainers", ()) if name in MODELS), Settings.models)
    return replace(overview, names=series_names(series_at_server(studies, MODELS[model or of_first].modalities)))


def next_queries(place: StudyPlace, state: StudyState, strategy: str) -> Iterator[Query]:
    """What the strategy would ask a new annotator for, the most wanted first, leased images left out."""
    pool = study_pool(state, _digest(place), place.files.unlabelled, place.files.labelled, place.patients)
    leased = state.ledger.leased()
    ranked = STRATEGIES[strategy].queries(pool, query_generator(place.settings.seed, pool))
    return (query for query in ranked if query.id not in leased)


def _digest(place: StudyPlace) -> str | None:
    """Of the checkpoint in service; None without one."""
    return None if place.checkpoint is None else file_digest(place.checkpoint)


def _of_place(place: StudyPlace, strategy: str | None) -> StudyOverview:
    name = strategy or place.settings.strategy
    with _state(place) as state:
        pool = study_pool(state, _digest(place), place.files.unlabelled, place.files.labelled, place.patients)
        folder_warnings = [] if place.pacs else study_warnings(place.files.folder)
        return StudyOverview.of(
            state,
            studies=place.studies,
            root=str(place.state) if place.state.is_dir() else f"{place.state} (not there yet)",
            starting_weights=place.starting_weights,
            counts=(len(place.files.images), len(place.files.labelled), _without_layer(place)),
            doubts=noted_warnings(place.files.folder),
            strategy=name,
            queries=list(islice(next_queries(place, state, name), NEXT_SHOWN)),
            warnings=[*folder_warnings, *state_warnings(place.state)],
            names=place.pacs.names if place.pacs else None,
            trust=study_trust(state, _digest(place), pool, place.settings.seed),
        )


def _without_layer(place: StudyPlace) -> int:
    said = place.pacs.without_layer() if place.pacs else set()
    files = place.files.labels.items()
    return sum(image in said if not file.exists() else stored_label_says_no_layer(file) for image, file in files)


@contextmanager
def _state(place: StudyPlace) -> Iterator[StudyState]:
    """The state of the study; an empty one elsewhere when there is none yet, since a look makes no folders."""
    if place.state.is_dir():
        yield StudyState.open(place.state, place.settings)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield StudyState.open(Path(folder), place.settings)
