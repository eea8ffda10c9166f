"""`GET /sequal/status`: how the study stands, as `cli.py status` shows it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from fastapi import params
from fastapi.routing import APIRoute
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.configs import Study, not_found, refusal
from lib.datastores.label_guard import NO_LAYER, WARNINGS
from sequal.acquisition import STRATEGIES, Query
from sequal.errors import SequalError
from sequal.study.overview import NEXT_SHOWN, StudyOverview
from sequal.study.pool import query_generator
from sequal.study.state import state_warnings, study_warnings
from sequal.study.trust import snapshot, study_trust

__all__ = ["STATUS_PATH", "overview_routes"]

STATUS_PATH: Final = "/sequal/status"


def overview_routes(
    study: Study, datastore: Callable[[], Datastore], dependencies: Sequence[params.Depends] = ()
) -> list[APIRoute]:
    """`GET` tells how many images have what, leases, skips, rounds and what is next; nothing is changed.

    Args:
        study: settings and state.
        datastore: gives images and labels.
        dependencies: who may ask.
    """

    def overview(strategy: str | None = None) -> dict[str, Any]:
        name = strategy or study.settings.strategy
        if name not in STRATEGIES:
            raise not_found("strategy", name, STRATEGIES)
        try:
            return _overview(study, datastore(), name).as_json()
        except SequalError as error:
            raise refusal(error) from error

    return [APIRoute(STATUS_PATH, overview, methods=["GET"], tags=["SEQUAL"], dependencies=list(dependencies))]


def _overview(study: Study, store: Datastore, strategy: str) -> StudyOverview:
    tag = DefaultLabelTag.FINAL
    labelled = store.get_labeled_images()
    noted = {image: store.get_label_info(store.get_label_by_image_id(image, tag), tag) or {} for image in labelled}
    folder = study.manifest.parent if study.manifest is not None else None
    pool, lock = study.pool(store)
    with lock:
        pool = snapshot(pool)
    # Names, not paths: whoever annotates need not know where on the server they are.
    seen = StudyOverview.of(
        study.state,
        studies=folder.resolve().name if folder is not None else store.name(),
        root=study.state.root.name,
        starting_weights=study.starting_weights,
        counts=(len(store.list_images()), len(labelled), sum(bool(info.get(NO_LAYER)) for info in noted.values())),
        doubts={image: info[WARNINGS] for image, info in sorted(noted.items()) if info.get(WARNINGS)},
        strategy=strategy,
        queries=list(islice(_queries(study, store, strategy), NEXT_SHOWN)),
        warnings=[*(study_warnings(folder) if folder is not None else []), *state_warnings(study.state.root)],
        trust=study_trust(study.state, study.served.digest, pool, study.settings.seed),
    )
    return replace(seen, checkpoint=seen.checkpoint and Path(seen.checkpoint).name)


def _queries(study: Study, store: Datastore, strategy: str) -> Iterator[Query]:
    pool, lock = study.pool(store)
    leased = study.state.ledger.leased()
    with lock:
        ranked = STRATEGIES[strategy].queries(pool, query_generator(study.settings.seed, pool))
        yield from [query for query in islice(ranked, NEXT_SHOWN + len(leased)) if query.id not in leased]
