"""All routes of the studies in front of the server's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from fastapi import FastAPI, params
from fastapi.routing import APIRoute
from monailabel.interfaces.datastore import Datastore

from lib.configs import Study
from lib.web.dicomweb import FolderService, take_series_uids
from lib.web.ohif import LastPredictions
from lib.web.ohif.in_front import put_in_front
from lib.web.routes.address_page import address_routes
from lib.web.routes.annotator_page import page_routes
from lib.web.routes.by_model import names_a_model, of_models
from lib.web.routes.curves import curve_routes
from lib.web.routes.dicomweb import dicomweb_routes
from lib.web.routes.frames import frame_list_routes
from lib.web.routes.measuring import measurement_routes
from lib.web.routes.models import model_routes
from lib.web.routes.overview import overview_routes
from lib.web.routes.showing import showing_routes
from lib.web.routes.skipping import skip_routes
from lib.web.routes.start_page import start_routes

__all__ = ["Access", "Served", "serve_studies"]


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

    def with_dependency(self, another: params.Depends) -> "Access":
        """The same with one more condition for everybody."""
        return replace(
            self,
            read=[*self.read, another],
            annotate=[*self.annotate, another],
            train=[*self.train, another],
        )


@dataclass(frozen=True)
class Served:
    """A study and its images.

    Attributes:
        study: settings and state.
        datastore: gives the images and labels of the study.
    """

    study: Study
    datastore: Callable[[], Datastore]


def serve_studies(
    server: FastAPI,
    served: Sequence[Served],
    predictions: LastPredictions,
    access: Access,
    service: FolderService | None = None,
    *,
    place: str = "",
    model_of: Callable[[str], str | None] = lambda _: None,
    warnings: Callable[[], Sequence[str]] = tuple,
    prefix: str = "",
) -> None:
    """Add the routes of the studies to the server; called again, the new ones replace the old ones.

    Args:
        server: MONAI Label's FastAPI application.
        served: the study of each model; the first answers where a request names neither a model nor an image.
        predictions: what the infer tasks said last.
        access: who may use which route.
        service: answers DICOMweb for a study of frames that is a folder.
        place: the studies folder, or the address of a PACS.
        model_of: the model of an image, None for an unknown one.
        warnings: what is not well beside the studies themselves.
        prefix: as `Prefix` takes it; the pages have it in their links.
    """
    if service is not None:
        take_series_uids(server, service.study, service.uids)
    names = [one.study.model.name for one in served]
    own = access.with_dependency(names_a_model(names))
    routes = {name: _of_study(one, predictions, own, service) for name, one in zip(names, served, strict=True)}
    whole = [
        *dicomweb_routes(service, access.read),
        *start_routes(
            [(one.study, one.datastore) for one in served],
            place,
            access.read,
            folder=service is not None,
            warnings=warnings,
            prefix=prefix,
        ),
        *address_routes(server, access.read, prefix),
    ]
    put_in_front(server, [*whole, *of_models(routes, model_of)])


def _of_study(
    served: Served, predictions: LastPredictions, access: Access, service: FolderService | None
) -> list[APIRoute]:
    study, datastore = served.study, served.datastore
    routes = [
        *skip_routes(study, datastore, access.annotate),
        *measurement_routes(study, datastore, predictions, access.read),
        *model_routes(study, access.read, access.train),
        *overview_routes(study, datastore, access.read),
    ]
    if not study.model.is_layer:  # the page to annotate draws two curves
        return routes
    of_study = None if service is None else service.uids.image_of_study
    return [
        *routes,
        *curve_routes(datastore, access.read),
        *frame_list_routes(study, datastore, of_study, access.read, access.annotate),
        *showing_routes(study, datastore, access.read),
        *page_routes(study.model.name, access.read),
    ]
