"""Volumes of an experiment: a folder of NIfTI or NRRD files with masks beside it, or of H5 files that hold both."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from nibabel.affines import voxel_sizes

from sequal.anatomy.model import Model
from sequal.anatomy.models import model_of
from sequal.errors import SettingsError, StudyError
from sequal.experiments.plan import Plan
from sequal.experiments.sources import Reads, SourceFrame, Sources, divided, files_with_masks, patients_of
from sequal.files.imaging import read_frame
from sequal.files.importing.candidate import Candidate
from sequal.files.importing.h5_files import H5_SUFFIXES, h5_candidate

__all__ = ["find_volumes"]


def find_volumes(plan: Plan) -> Sources:
    """List the volumes of an experiment without reading them.

    Raises:
        ImageError: an H5 file cannot be read.
        StudyError: a folder is missing or empty, a volume has no mask, or the test set would be empty.
        SettingsError: the pool is too small for the rounds.
    """
    model = model_of(plan.settings_of(plan.cells()[0]))
    return divided(plan, partial(_pairs, plan, model))


def _pairs(plan: Plan, model: Model, image_folder: str, mask_folder: str) -> tuple[Reads, Mapping[str, str]]:
    """Reader by image id, and patient by image id."""
    folder = Path(image_folder)
    reads: Reads
    if not mask_folder:
        reads = {image: partial(_of_h5, candidate, model) for image, candidate in _h5_files(folder).items()}
    else:
        images, masks = files_with_masks(image_folder, mask_folder)
        reads = {image: partial(_read, path, masks[image], model) for image, path in images.items()}
    return reads, patients_of(reads, folder, plan)


def _h5_files(folder: Path) -> dict[str, Candidate]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in H5_SUFFIXES)
    if not files:
        raise SettingsError(
            f"Expected `{folder}` to hold H5 files with `image` and `label`, or `--masks` for images of other kinds, "
            "got neither. Name the folder of the masks."
        )
    found = [h5_candidate(path, path.relative_to(folder).as_posix(), None) for path in files]
    unlabelled = [candidate.name for candidate in found if not candidate.labels]
    by_id = {candidate.image: candidate for candidate in found}
    if unlabelled or len(by_id) < len(found):
        came = f"{unlabelled[0]} without `label`" if unlabelled else "two files of one name"
        raise StudyError(f"Expected each H5 file in `{folder}` to be a case with its label, got {came}. Take it out.")
    return by_id


def _of_h5(candidate: Candidate, model: Model) -> SourceFrame:
    """The file says no size of its voxels, so distances are in voxels."""
    contents = candidate.read()
    mask = candidate.labels[0].read(contents.grid)
    model.check_values(mask, candidate.name)
    return SourceFrame(contents.pixels, mask, None, affine=contents.affine)


def _read(image: Path, mask: Path, model: Model) -> SourceFrame:
    frame = read_frame(image)
    values = model.label_on(mask, frame.grid, frame.layout, frame.affine)
    spacing: tuple[float, ...] = tuple(np.round(voxel_sizes(frame.affine), 6).tolist())
    return SourceFrame(frame.pixels, values, spacing, affine=frame.affine)
