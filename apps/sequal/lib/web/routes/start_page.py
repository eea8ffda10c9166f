"""`/`: what the server serves, how far the study is, and the way to the viewer."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from fastapi import params
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from monailabel.interfaces.datastore import Datastore

from lib.configs import Study
from lib.endpoints.safe_route import SafeRoute
from lib.web.routes.annotator_page import PAGE_PATH
from lib.web.routes.dicomweb import DICOMWEB_PATH
from lib.web.routes.no_layer_count import NoLayerCount
from lib.web.routes.pages import page
from sequal.study.address import model_path
from sequal.study.state import STARTING, RoundRecord, StudyModels, state_warnings, study_warnings
from sequal.study.trust import snapshot, study_trust, trust_words

__all__ = ["DOCS_PATH", "START_PATH", "VIEWER_PATH", "start_routes"]

START_PATH: Final = "/"
DOCS_PATH: Final = "/docs"
#: Where the viewer opens with its list of studies.
VIEWER_PATH: Final = "/ohif/"
_SHOWN_ROUNDS: Final = 10
#: Unlabelled images up to which the page says how many masks are good: it must come at once. `status` always does.
_QUICKLY_COUNTED: Final = 20_000
_OUTCOMES: Final = {
    "running": "it is running",
    "published": "its model was put into service",
    "rejected": "its model was held back",
    "failed": "it failed",
}


def start_routes(
    served: Sequence[tuple[Study, Callable[[], Datastore]]],
    place: str,
    dependencies: Sequence[params.Depends] = (),
    *,
    folder: bool,
    warnings: Callable[[], Sequence[str]] = tuple,
    prefix: str = "",
) -> list[APIRoute]:
    """The start page.

    Args:
        served: each study, whose state tells of skips, leases and rounds, and what gives its images and labels.
        place: the studies folder, or the address of a PACS.
        dependencies: who may see it.
        folder: whether the app answers DICOMweb itself.
        warnings: what is not well beside the studies themselves.
        prefix: of the links to pages of the server; OHIF has none.
    """
    counters = [NoLayerCount(files=folder and study.model.is_layer) for study, _ in served]

    def start() -> HTMLResponse:
        parts = [
            _part(study, datastore(), no_layer, several=len(served) > 1)
            for (study, datastore), no_layer in zip(served, counters, strict=True)
        ]
        content = page(
            "start",
            study=_name(place),
            pacs="://" in place,
            warnings=[*warnings(), *(told for study, _ in served for told in _warnings(study))],
            parts=parts,
            frames=next((part for part in parts if part["layer"]), None),
            others=[part for part in parts if not part["layer"]],
            annotate=f"{prefix}{PAGE_PATH}/",
            viewer=VIEWER_PATH,
            docs=prefix + DOCS_PATH,
            dicomweb=prefix + DICOMWEB_PATH if folder else "",
        )
        return HTMLResponse(content, headers={"Cache-Control": "no-store"})

    route = SafeRoute(
        START_PATH,
        start,
        methods=["GET"],
        dependencies=list(dependencies),
        include_in_schema=False,
        response_model=None,
    )
    return [route]


def _part(study: Study, store: Datastore, no_layer: NoLayerCount, *, several: bool) -> dict[str, Any]:
    """What the page shows of one study."""
    return {
        "several": several,
        "folder": Path(study.studies).name if several and "://" not in study.studies else "",
        "id": f"{study.model.name}-" if several else "",
        "address": model_path(study.model.name),
        "counts": _counts(study, store, no_layer),
        "layer": study.model.is_layer,
        "volumes": study.model.spatial_dims == 3,
        "labels": ", ".join(study.model.labels),
        "shows": study.model.description[:1].lower() + study.model.description[1:],
        "trust": _trust(study, store),
        **_model(study),
    }


def _trust(study: Study, store: Datastore) -> list[str]:
    """How far masks can be trusted, in sentences; nothing before a label has judged one, or of a very large study."""
    pool, lock = study.pool(store)
    if not study.state.ledger.checks() or len(pool.unlabelled) > _QUICKLY_COUNTED:
        return []
    with lock:
        pool = snapshot(pool)
    return trust_words(study_trust(study.state, study.served.digest, pool, study.settings.seed))


def _name(studies: str) -> str:
    """The name of a folder, or the address of a PACS without who may log in."""
    if "://" in studies:
        scheme, _, rest = studies.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"
    return Path(studies).expanduser().resolve().name


def _warnings(study: Study) -> list[str]:
    """What is not well with the studies folder and the state."""
    of_folder = [] if "://" in study.studies else study_warnings(Path(study.studies).expanduser())
    return [*of_folder, *state_warnings(study.state.root)]


def _counts(study: Study, store: Datastore, no_layer: NoLayerCount) -> dict[str, Any]:
    labelled, unlabelled = set(store.get_labeled_images()), set(store.get_unlabeled_images())
    skipped = unlabelled & study.state.ledger.skipped()
    found, complete = no_layer.of(store, sorted(labelled))
    return {
        "images": len(labelled) + len(unlabelled),
        "labelled": len(labelled),
        "skipped": len(skipped),
        "open": len(unlabelled) - len(skipped),
        "leased": len(unlabelled.intersection(study.state.ledger.leased())),
        "no_layer": found,
        "no_layer_complete": complete,
    }


def _model(study: Study) -> dict[str, Any]:
    records = study.state.ledger.rounds()
    shown = records[::-1][:_SHOWN_ROUNDS]
    return {
        "model": _in_service(study),
        "rounds": [_round(record) for record in shown],
        "more_rounds": len(records) - len(shown),
    }


def _in_service(study: Study) -> str:
    if study.served.path is None:
        return "none: the first training makes one"
    model = StudyModels(study.state, study.starting_weights).in_service()
    if model is None:
        return "one of another study"
    return "the starting weights" if model.round == STARTING else f"that of round {model.round}"


def _round(record: RoundRecord) -> dict[str, object]:
    dice = (record.metrics or {}).get("metric")
    reason = f": {record.reason}" if record.reason and record.status != "published" else ""
    return {
        "number": record.round,
        "began": time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started_at)),
        "labels": len(record.train_ids),
        "dice": f"{dice:.3f}" if isinstance(dice, float) else "-",
        "outcome": f"{_OUTCOMES[record.status]}{reason}",
    }
