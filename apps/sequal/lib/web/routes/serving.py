"""All routes of a study in front of the server's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fastapi import FastAPI, params
from monailabel.interfaces.datastore import Datastore

from lib.configs import Study
from lib.web.dicomweb import FolderService, take_series_uids
from lib.web.ohif import LastPredictions
from lib.web.ohif.in_front import put_in_front
from lib.web.routes.address_page import address_routes
from lib.web.routes.annotator_page import page_routes
from lib.web.routes.curves import curve_routes
from lib.web.routes.dicomweb import dicomweb_routes
from lib.web.routes.frames import frame_list_routes
from lib.web.routes.measuring import measurement_routes
from lib.web.routes.models import model_routes
from lib.web.routes.overview import overview_routes
from lib.web.routes.showing import showing_routes
from lib.web.routes.skipping import skip_routes
from lib.web.routes.start_page import start_routes

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
    server: FastAPI,
    study: Study,
    datastore: Callable[[], Datastore],
    predictions: LastPredictions,
    access: Access,
    service: FolderService | None = None,
    *,
    studies: str = "",
    root: str = "",
) -> None:
    """Add the routes of a study to the server; called again, the new ones replace the old ones.

    Args:
        server: MONAI Label's FastAPI application.
        study: settings and state.
        datastore: gives the images and labels of the study.
        predictions: what the infer task said last.
        access: who may use which route.
        service: answers DICOMweb for a study that is a folder.
        studies: the studies folder, or the address of a PACS.
        root: what stands before the path of every endpoint of the server.
    """
    if service is not None:
        take_series_uids(server, service.study, service.uids)
    web = dicomweb_routes(service, access.read, root=root)
    skips = skip_routes(study, datastore, access.annotate)
    measurements = measurement_routes(study, datastore, predictions, access.read)
    pages = [
        *start_routes(study, studies, datastore, access.read, folder=service is not None),
        *address_routes(server, access.read),
    ]
    models = model_routes(study, access.read, access.train)
    looks = overview_routes(study, datastore, access.read)
    drawn = []
    if study.model.spatial_dims == 2:  # the page to annotate shows frames
        of_study = None if service is None else service.uids.image_of_study
        drawn = [
            *curve_routes(datastore, access.read),
            *frame_list_routes(study, datastore, of_study, access.read, access.annotate),
            *showing_routes(study, datastore, access.read),
            *page_routes(access.read),
        ]
    put_in_front(server, [*web, *skips, *measurements, *models, *looks, *drawn, *pages])
