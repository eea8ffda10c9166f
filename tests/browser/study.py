"""Frames of the sample data in a PACS, and the server on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from integration.server import REPOSITORY, Server, running
from sequal.files.dicom import ImageIdentity
from sequal.files.imaging import Frame, read_frame

#: The smallest frames of four patients: what is tested is the viewer, not the model.
NAMES = ("p02_f1", "p04_f1", "p08_f2", "p10_f1")
CLIP = "p02_clip"


@dataclass(frozen=True, eq=False)
class Stored:
    """A frame as it went to the PACS."""

    name: str
    frame: Frame
    identity: ImageIdentity

    @property
    def study_uid(self) -> str:
        return self.identity.study_uid


def _frame(name: str) -> Frame:
    return read_frame(REPOSITORY / "sample-data" / f"{name}.nii.gz")


def _clip(names: tuple[str, ...]) -> Frame:
    """A clip whose frames are all different, cut to the size of the smallest."""
    frames = [_frame(name) for name in names]
    width, height = (min(frame.grid[axis] for frame in frames) for axis in (0, 1))
    pixels = np.concatenate([frame.pixels[:width, :height] for frame in frames], axis=2)
    return replace(frames[0], pixels=pixels, shape=pixels.shape)


def _stored(name: str, frame: Frame) -> Stored:
    return Stored(name, frame, ImageIdentity.of(frame, patient=name[:3], image=name))


STUDY = {name: _stored(name, _frame(name)) for name in NAMES}
STUDY[CLIP] = _stored(CLIP, _clip(("p02_f1", "p02_f2", "p02_f3")))


@contextmanager
def serving(pacs: str, folder: Path, **conf: object) -> Iterator[Server]:
    """Start the server on a PACS as the README shows it, with a cache of its own."""
    variables = {
        "MONAI_LABEL_DICOMWEB_CONVERT_TO_NIFTI": "true",
        "MONAI_LABEL_DICOMWEB_SEARCH_FILTER": '{"Modality":"US"}',
        "MONAI_LABEL_DICOMWEB_CACHE_EXPIRY": "0",
        "MONAI_LABEL_DICOMWEB_CACHE_PATH": str(folder / "cache"),
    }
    with running(pacs, folder / "state", variables=variables, **conf) as server:
        yield server
