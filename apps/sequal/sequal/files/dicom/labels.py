"""A label on its way to a PACS: whose it is, when it was made, what to say about it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequal.files.imaging import Frame, check_label, clean_label, read_label, says_no_layer
from sequal.study.state import Provenance

__all__ = ["LabelKind", "OutgoingLabel", "final_label"]

LabelKind = Literal["final", "refined"]


@dataclass(frozen=True, eq=False)
class OutgoingLabel:
    """A label of one image.

    Attributes:
        kind: `final` is the expert's, `refined` what training made of it.
        values: uint8 `(W, H, F)`: 0 background, 1 intima-media or numbers of `structures`, 255 not annotated.
        created_at: seconds since the epoch (UTC): when the expert's file was written, when the round refined it.
        provenance: of a refined label; None of the expert's.
        structures: number of each structure of a volume by its name; None of a frame or a clip.
    """

    kind: LabelKind
    values: NDArray[np.uint8]
    created_at: float
    provenance: Provenance | None = None
    structures: Mapping[str, int] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of kind, grid and values; another label of the same image has another one."""
        content = hashlib.sha256(repr((self.kind, self.values.shape)).encode())
        content.update(np.ascontiguousarray(self.values).tobytes())
        return content.hexdigest()

    @property
    def no_layer(self) -> bool:
        """Whether it says that the frame shows no layer."""
        return says_no_layer(self.values)

    @property
    def date(self) -> str:
        """DICOM date (UTC)."""
        return self._moment.strftime("%Y%m%d")

    @property
    def time(self) -> str:
        """DICOM time (UTC), whole seconds."""
        return self._moment.strftime("%H%M%S")

    @property
    def title(self) -> str:
        """For the series description; at most 64 characters."""
        if self.provenance is None:
            empty = "no layer in this frame" if self.structures is None else "nothing in this volume"
            return "Label of the annotator" + (f": {empty}" if self.no_layer else "")
        return f"Refined label, automatic, round {self.provenance.round}"

    @property
    def story(self) -> str:
        """Where it came from, in a sentence; ASCII."""
        if self.provenance is None:
            if self.no_layer and self.structures is not None:
                return f"Submitted by the annotator: this volume does not show {' or '.join(self.structures)}."
            if self.no_layer:
                return "Submitted by the annotator: this frame shows no intima-media layer."
            return "Submitted by the annotator: drawn by hand, or corrected from a prediction."
        origin = self.provenance
        return (
            f"Made automatically in training round {origin.round} from the annotator's label "
            f"{origin.label_digest[:12]} and the prediction of checkpoint {origin.checkpoint_digest[:12]} "
            f"(lambda {origin.fusion_lambda:g}); {100 * origin.fraction_changed:.2f} % of the pixels differ. "
            "No expert has approved it."
        )

    @property
    def _moment(self) -> datetime:
        return datetime.fromtimestamp(int(self.created_at), UTC)


def final_label(path: Path, frame: Frame) -> OutgoingLabel:
    """The annotator's label from its file.

    Args:
        path: the file, as it lies in the study.
        frame: its image.

    Raises:
        LabelError: it cannot be read, does not fit the image, or is none.
    """
    values, dropped = clean_label(read_label(path, frame.grid, layout=frame.layout))
    check_label(values, frame, dropped)
    return OutgoingLabel("final", values, path.stat().st_mtime)
