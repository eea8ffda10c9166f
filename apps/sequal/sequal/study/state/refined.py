"""Refined labels: what fusion made of the expert's labels, beside them and never over them."""

import gzip
import hashlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from sequal.errors import LabelError, StudyError
from sequal.study.state.atomic import atomic_write
from sequal.study.state.names import file_stem

__all__ = ["Provenance", "RefinedStore"]

logger = logging.getLogger(__name__)

_LABEL, _SIDECAR = ".nii.gz", ".json"


@dataclass(frozen=True)
class Provenance:
    """Where a refined label came from.

    Attributes:
        label_digest: digest of the expert's label; another one makes the refined label stale.
        round: number of the round.
        checkpoint_digest: digest of the checkpoint whose teacher refined it.
        fusion_lambda: λ of the fusion.
        fraction_changed: pixels that differ from the expert's label, of all pixels, in 0..1.
        created_at: seconds since the epoch (UTC).
    """

    label_digest: str
    round: int
    checkpoint_digest: str
    fusion_lambda: float
    fraction_changed: float
    created_at: float


class RefinedStore:
    """A folder of refined labels, one NIfTI and one JSON file an image.

    A round writes into `stage(round)` and ends with `commit` or `discard`, so that a rejected one leaves no
    trace. The sidecar holds the label file's SHA-256: a pair that a crash tore apart counts as absent, and
    the expert's label is used.
    """

    def __init__(self, folder: Path) -> None:
        """Open the store, making its folder.

        Raises:
            StudyError: the folder cannot be made.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritten(folder, error) from error

    def put(self, image_id: str, label: NDArray[np.uint8], provenance: Provenance) -> None:
        """Store a refined label in place of an older one.

        Args:
            image_id: the image.
            label: classes on the image's own grid, uint8 `(W, H, F)`.
            provenance: where it came from.

        Raises:
            LabelError: the array is not uint8 with three axes.
            StudyError: it cannot be written; the older one is still there, or the image has none.
        """
        if label.dtype != np.uint8 or label.ndim != 3 or label.size == 0:
            raise LabelError(
                f"Expected `label` of {image_id!r} to be uint8 (W, H, F), got {label.dtype} {label.shape}. Convert it."
            )
        # The affine says nothing here: the label lies on its image's pixels.
        # No time stamp: the same label gives the same bytes.
        compressed = gzip.compress(nib.Nifti1Image(label, np.eye(4)).to_bytes(), compresslevel=6, mtime=0)
        label_path, sidecar_path = self._paths(image_id)
        sidecar = {"image": image_id, "sha256": hashlib.sha256(compressed).hexdigest(), **asdict(provenance)}
        try:
            with atomic_write(label_path) as file:
                file.write(compressed)
            with atomic_write(sidecar_path) as file:
                file.write(json.dumps(sidecar, indent=1, sort_keys=True).encode())
        except OSError as error:
            raise _unwritten(label_path, error) from error

    def get(self, image_id: str, label_digest: str) -> NDArray[np.uint8] | None:
        """The refined label uint8 `(W, H, F)` of an image.

        Args:
            image_id: the image.
            label_digest: digest of the expert's label as it is now.

        Returns:
            The label, or None when there is none. One that came from another expert's label, or that is
            damaged, is deleted.
        """
        provenance = self.provenance(image_id)
        if provenance is None:
            return None
        if provenance.label_digest == label_digest:
            try:
                return self._read(image_id)
            except (OSError, EOFError, ValueError, LookupError, ImageFileError) as error:
                logger.warning("The refined label of %s is damaged and is dropped: %s", image_id, error)
        self.drop(image_id)
        return None

    def provenance(self, image_id: str) -> Provenance | None:
        """Where the refined label of an image came from; None without one, or with a damaged sidecar."""
        try:
            sidecar = json.loads(self._paths(image_id)[1].read_bytes())
            return Provenance(**{key: sidecar[key] for key in Provenance.__dataclass_fields__})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            logger.warning("The sidecar of the refined label of %s is damaged: %s", image_id, error)
            return None

    def image_ids(self) -> list[str]:
        """Images that have a refined label, sorted; ones whose sidecar is damaged are left out."""
        found = []
        for path in self._folder.glob(f"*{_SIDECAR}"):
            try:
                found.append(str(json.loads(path.read_bytes())["image"]))
            except (OSError, ValueError, LookupError, TypeError) as error:
                logger.warning("The sidecar %s is damaged: %s", path, error)
        return sorted(found)

    def drop(self, image_id: str) -> None:
        """Delete the refined label of an image, if there is one."""
        for path in reversed(self._paths(image_id)):
            path.unlink(missing_ok=True)

    def stage(self, number: int) -> Self:
        """An empty store for the refined labels of a round, invisible until `commit`."""
        self.discard(number)
        return type(self)(self._staged(number))

    def commit(self, number: int) -> list[str]:
        """Move the staged labels of a round into the store.

        Returns:
            The images that have a new refined label, sorted; empty when nothing was staged.

        Raises:
            StudyError: a file cannot be moved. Every label already moved is whole, the others are as they
                were.
        """
        folder = self._staged(number)
        if not folder.is_dir():
            return []
        staged = type(self)(folder)
        moved = staged.image_ids()
        try:
            for image_id in moved:
                for source, target in zip(staged._paths(image_id), self._paths(image_id), strict=True):
                    source.replace(target)
        except OSError as error:
            raise _unwritten(self._folder, error) from error
        self.discard(number)
        return moved

    def discard(self, number: int) -> None:
        """Forget the staged labels of a round, if there are any."""
        shutil.rmtree(self._staged(number), ignore_errors=True)

    def _staged(self, number: int) -> Path:
        return self._folder / f".staged-{number}"

    def _paths(self, image_id: str) -> tuple[Path, Path]:
        stem = file_stem(image_id)
        return self._folder / (stem + _LABEL), self._folder / (stem + _SIDECAR)

    def _read(self, image_id: str) -> NDArray[np.uint8]:
        label_path, sidecar_path = self._paths(image_id)
        content = label_path.read_bytes()
        if hashlib.sha256(content).hexdigest() != json.loads(sidecar_path.read_bytes())["sha256"]:
            raise ValueError("it does not belong to its sidecar")
        image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
        return np.asarray(image.dataobj, dtype=np.uint8)


def _unwritten(path: Path, error: OSError) -> StudyError:
    return StudyError(f"Expected `{path}` to be writable, got: {error}. Check the state folder and the disk.")
