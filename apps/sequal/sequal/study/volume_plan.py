"""What a study of volumes decides once: voxel and patch of its networks, as nnU-Net does (Isensee et al. 2021)."""

import json
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.models import MODELS
from sequal.errors import ImageError, SettingsError, StudyError
from sequal.files.imaging import read_frame
from sequal.preparation.volume_grid import canonical_order, canonical_spacing
from sequal.settings import Settings
from sequal.study.state import atomic_write

__all__ = ["Geometry", "file_geometry", "with_plan"]

logger = logging.getLogger(__name__)

#: Shape of the array of a volume, and its affine (4, 4), voxel to RAS millimetres.
Geometry = tuple[tuple[int, int, int], NDArray[np.float64]]

#: Volumes that are looked at; the median of more is the same, and each is read.
_LOOKED_AT: Final = 24
_LONGEST: Final = 96
_STRIDE: Final = 16


def file_geometry(path: Path) -> Geometry:
    """Shape and affine of the volume in a file.

    Raises:
        ImageError: it cannot be read.
    """
    frame = read_frame(path)
    return frame.grid, frame.affine


def with_plan(
    settings: Settings,
    volumes: Iterable[Any],
    kept: Path,
    *,
    keep: bool = True,
    geometry: Callable[[Any], Geometry] = file_geometry,
) -> Settings:
    """The settings of a study of volumes with `volume_spacing` and `volume_patch` as numbers.

    What is `auto` is taken from the study's volumes the first time, and kept: networks that were trained on one voxel
    are of no use on another.

    Args:
        settings: of the server; those of another model come back as they are.
        volumes: of the study, in any order, as `geometry` takes them; only looked at the first time.
        kept: file that the plan is kept in.
        keep: whether a plan that is made here is kept; a command that only looks leaves that to the server.
        geometry: shape and affine of one of the volumes; raises ImageError where it is none.

    Raises:
        SettingsError: something is to be taken from the study, and it has no volume that can be read.
        StudyError: the plan cannot be read or kept.
    """
    if MODELS[settings.model].spatial_dims != 3 or "auto" not in (settings.volume_spacing, settings.volume_patch):
        return settings
    plan = _read(kept)
    if plan is None:
        plan = _plan(volumes, geometry)
        if keep:
            _write(kept, plan)
    changes: dict[str, Any] = {key: value for key, value in plan.items() if getattr(settings, key) == "auto"}
    return replace(settings, **changes)


def _write(kept: Path, plan: dict[str, str]) -> None:
    try:
        with atomic_write(kept) as file:
            file.write(json.dumps(plan, indent=1).encode())
    except OSError as error:
        raise StudyError(f"Expected `{kept}` to be writable, got: {error}. Free some space there.") from error
    logger.info("Voxel and patch of this study of volumes: %s", plan)


def _read(kept: Path) -> dict[str, str] | None:
    if not kept.exists():
        return None
    try:
        found = json.loads(kept.read_bytes())
        settings = Settings.from_conf({key: found[key] for key in ("volume_spacing", "volume_patch")})
    except (OSError, ValueError, LookupError, TypeError, SettingsError) as error:
        raise StudyError(
            f"Expected `{kept}` to hold the voxel and the patch of this study, got {type(error).__name__}. Give both "
            "by --conf volume_spacing and --conf volume_patch, as the first round's record in the ledger has them."
        ) from error
    return {"volume_spacing": settings.volume_spacing, "volume_patch": settings.volume_patch}


def _plan(volumes: Iterable[Any], geometry: Callable[[Any], Geometry]) -> dict[str, str]:
    spacings, extents = [], []
    for volume in islice(volumes, 4 * _LOOKED_AT):
        try:
            shape, affine = geometry(volume)
            spacing = np.array(canonical_spacing(affine, "the volume"))
        except ImageError as error:
            logger.warning("Planning without a volume. %s", error)
            continue
        spacings.append(spacing)
        extents.append(spacing * np.array(shape)[canonical_order(affine)])
        if len(spacings) == _LOOKED_AT:
            break
    if not spacings:
        raise SettingsError(
            "Expected a study with at least one volume to take `volume_spacing` and `volume_patch` from, got none. Add "
            "volumes, or give both, for example --conf volume_spacing 1,1,1.5 --conf volume_patch 96,96,64."
        )
    voxel = np.median(spacings, axis=0)
    voxels = np.median(extents, axis=0) / voxel
    patch = [min(_LONGEST, max(_STRIDE, _STRIDE * math.ceil(side / _STRIDE))) for side in voxels]
    longest = int(np.argmax(voxels))
    patch[longest] = max(patch[longest], 2 * _STRIDE)  # a network needs more than one value in its deepest layer
    return {
        "volume_spacing": ",".join(f"{size:.4g}" for size in voxel),
        "volume_patch": ",".join(str(side) for side in patch),
    }
