"""What a study of volumes in a PACS decides once, from the headers of its series."""

from collections.abc import Iterator
from pathlib import Path

from monailabel.config import Settings as ServerSettings

from lib.datastores.archive import ImageArchive, Series
from lib.datastores.connection import open_archive, search_filter
from sequal.anatomy.models import model_of
from sequal.errors import ImageError
from sequal.files.imaging.volume_slices import volume_slices
from sequal.settings import Settings
from sequal.study.volume_plan import Geometry, with_plan

__all__ = ["with_pacs_plan"]


def with_pacs_plan(url: str, server: ServerSettings, settings: Settings, kept: Path) -> Settings:
    """As `with_plan`, of the series of a PACS; their pixels are not fetched.

    Args:
        url: of the PACS.
        server: MONAI Label's settings.
        settings: of the study.
        kept: file that the plan is kept in.

    Raises:
        SettingsError: the PACS has no volume, or as `search_filter`.
        PacsError: a plan is wanted for the first time, and the PACS does not answer.
        StudyError: the plan cannot be read or kept, or `url` is no address.
    """

    def listed() -> Iterator[tuple[ImageArchive, Series]]:
        archive, model = open_archive(url, server), model_of(settings)
        found = archive.series(search_filter(server, model))
        yield from ((archive, series) for series in found if series.modality in model.modalities)

    return with_plan(settings, listed(), kept, geometry=_geometry)


def _geometry(where: tuple[ImageArchive, Series]) -> Geometry:
    archive, series = where
    headers = archive.headers(series)
    if not headers:
        raise ImageError(f"Expected series {series.uid} to hold instances, got none. Look at it in the PACS.")
    slices = volume_slices(headers, series.uid)
    return slices.grid, slices.affine
