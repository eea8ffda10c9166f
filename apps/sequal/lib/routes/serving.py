"""All routes of a study in front of the server's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fastapi import FastAPI, params
from monailabel.interfaces.datastore import Datastore

from lib.configs import Study
from lib.ohif import LastPredictions
from lib.ohif.in_front import put_in_front
from lib.routes.measuring import measurement_routes
from lib.routes.models import model_routes
from lib.routes.skipping import skip_routes

__all__ = ["Access", "serve_study"]


@dataclass(frozen=True)
class Access:
    """Who may do what, as MONAI Label's own endpoints have it.

    Attributes:
        read: of whoever only looks.
        annotate: of whoever submits labels.
        train: of whoever starts trainings.
    """

    read: Sequence[params.Depends] = field(default_factory=tuple)
    annotate: Sequence[params.Depends] = field(default_factory=tuple)
    train: Sequence[params.Depends] = field(default_factory=tuple)


def serve_study(
    server: FastAPI, study: Study, datastore: Callable[[], Datastore], predictions: LastPredictions, access: Access
) -> None:
    """Add the routes of a study to the server; called again, the new ones replace the old ones.

    Args:
        server: MONAI Label's FastAPI application.
        study: settings and state.
        datastore: gives the images and labels of the study.
        predictions: what the infer task said last.
        access: who may use which route.
    """
    skips = skip_routes(study, datastore, access.annotate)
    measurements = measurement_routes(study, datastore, predictions, access.read)
    put_in_front(server, [*skips, *measurements, *model_routes(study, access.read, access.train)])
