"""NIfTI images and labels: array, place and in-plane spacing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.openers import ImageOpener
from numpy.typing import NDArray

from sequal.errors import ImageError
from sequal.files.imaging.calibration import Calibration, calibrate, contradiction, noted_calibration
from sequal.files.imaging.contents import Contents
from sequal.files.imaging.frame import to_luma
from sequal.files.imaging.layout import slice_layout
from sequal.files.imaging.placement import (
    FARTHEST_MM,
    LONGEST_MM,
    SHORTEST_MM,
    Placement,
    is_usable,
    itk_affine,
    straightened,
)

__all__ = ["FORM_FIELDS", "nifti_calibration", "read_nifti", "read_nifti_array"]

#: NIfTI's units of length in millimetres. Writers that leave the unit out mean millimetres.
_UNIT_MM: Final = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 0.001}
_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_SCANNER: Final = 1  # NIFTI_XFORM_SCANNER_ANAT
_VECTORS, _VECTOR_AXIS = 1007, 5  # NIFTI_INTENT_VECTOR
_CHANNELS: Final = (3, 4)
_COLOUR_INTENTS: Final = (2003, 2004)  # NIFTI_INTENT_RGB_VECTOR, NIFTI_INTENT_RGBA_VECTOR
#: What a header says about the place of its array.
FORM_FIELDS: Final = (
    *("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)


def read_nifti(path: Path) -> Contents:
    """Read a NIfTI image; slope and intercept of the header are applied, RGB and RGBA become luma.

    Args:
        path: `.nii` or `.nii.gz`.

    Returns:
        What is in the file. Its place is what ITK reads; axes that miss a right angle by less than a degree, which ITK
        refuses, are straightened.

    Raises:
        ImageError: neither form of the header gives every pixel a place of its own, or the axes are sheared.
        Exception: Whatever nibabel raises on a damaged file; the callers turn it into an error of the app.
    """
    image = nib.load(path)
    array = _array(image)
    layout = slice_layout(array.shape)
    raw = _raw_header(path, image.header)
    _check_values(raw, path.name)
    chosen = _chosen_form(image, path.name)
    colour = array.shape != image.shape or image.get_data_dtype().names is not None
    affine, notes = itk_affine(path, "nifti", array.shape, colour=colour), tuple[str, ...]()
    # ITK takes codes and signs that are none of the standard's as they are; nibabel's header has lost them.
    repaired, unseen = _is_repaired(raw, image.header), affine is None
    odd = affine is not None and repaired and _has_right_angles(affine)
    if affine is None:
        affine, changed = straightened(_in_mm(chosen, image.header), path.name)
        notes = ("the axes were not at right angles, which viewers refuse: they are straightened",) if changed else ()
    calibration = nifti_calibration(chosen, image.header, layout.axes[:2])
    anew = odd or (unseen and (repaired or not _are_good(image.header)))
    forms = _forms(image.header, affine, anew=anew)
    # As a picture ITK has two axes to say how it lies; as a volume of one slice the mask lies where nibabel has it.
    return Contents(array, Placement(affine, forms, volume=unseen), calibration, layout, notes)


def read_nifti_array(path: Path) -> NDArray[Any]:
    """The array of a NIfTI file alone, for labels, whose place does not count.

    Raises:
        Exception: Whatever nibabel raises on a damaged file.
    """
    return _array(nib.load(path))


def nifti_calibration(affine: NDArray[np.float64], header: Any, axes: tuple[int, ...] = (0, 1)) -> Calibration:  # noqa: ANN401
    """In-plane spacing of a NIfTI file.

    Args:
        affine: `(4, 4)` of the form that the standard prefers, in the header's unit.
        header: nibabel's header, read for the unit, for `pixdim`, and for what this app noted when it wrote the file.
        axes: of the array that are columns and rows.

    Returns:
        The judged calibration; none when affine and `pixdim` contradict each other, since nobody knows which is right.
    """
    unit_mm = _UNIT_MM.get(_unit(header), 1.0)
    sizes = voxel_sizes(affine)
    # The values of a file are float32: 0.06 comes back as 0.05999999866.
    dx, dy = (round(float(sizes[axis]) * unit_mm, 7) for axis in axes)
    zooms = (*header.get_zooms(), 1.0, 1.0)
    pixdim = tuple(round(float(zooms[axis]) * unit_mm, 7) for axis in axes)
    found = contradiction("nifti pixdim", (pixdim[0], pixdim[1]), "sform", (dx, dy))
    return found or noted_calibration(_description(header), calibrate(dx, dy, "nifti spacing"))


def _array(image: Any) -> NDArray[Any]:  # noqa: ANN401
    array = np.asanyarray(image.dataobj)
    if array.dtype.names is not None:
        return to_luma(np.stack([array[name] for name in array.dtype.names], axis=-1))
    if _ends_in_colours(array.shape, int(image.header["intent_code"])):
        grey = to_luma(array)
        # A picture in colours has two axes to ITK, whatever number of ones stands before the colours.
        return grey.reshape(grey.shape[:2]) if grey.shape[2:] == (1, 1) else grey
    return array


def _ends_in_colours(shape: tuple[int, ...], intent: int) -> bool:
    """Whether the last axis runs over the channels of a pixel; ITK writes colours as vectors along the fifth."""
    vectors = intent == _VECTORS and len(shape) == _VECTOR_AXIS and shape[3] == 1
    return len(shape) > 2 and shape[-1] in _CHANNELS and (vectors or intent in _COLOUR_INTENTS)


def _chosen_form(image: Any, name: str) -> NDArray[np.float64]:  # noqa: ANN401
    """The form that says where the array lies, in the header's unit; ITK's choice, of those that can be used."""
    header = image.header
    if not isinstance(image, nib.Nifti1Image):
        return np.asarray(image.affine, dtype=np.float64)
    by_zooms = np.diag([*(float(zoom) for zoom in (*header.get_zooms(), 1.0, 1.0)[:3]), 1.0]) @ _LPS_TO_RAS
    q_code, s_code = int(header["qform_code"]), int(header["sform_code"])
    forms = [header.get_sform()] if s_code > 0 else []
    if q_code > 0:
        forms.insert(1 if s_code == _SCANNER else 0, header.get_qform())
    if not forms:
        forms = [by_zooms]
    usable = [form for form in forms if is_usable(_in_mm(form, header))]
    if not usable:
        raise ImageError(
            f"Expected the header of `{name}` to give every pixel a place of its own, got an sform or qform without "
            "extent along an axis, or kilometres away. Correct the header, for example with nibabel's `set_sform`, or "
            "export the image again."
        )
    return np.asarray(usable[0], dtype=np.float64)


def _in_mm(affine: NDArray[np.float64], header: Any) -> NDArray[np.float64]:  # noqa: ANN401
    scaled = affine.copy()
    scaled[:3] *= _UNIT_MM.get(_unit(header), 1.0)
    return scaled


def _forms(header: Any, affine: NDArray[np.float64], *, anew: bool) -> nib.Nifti1Header:  # noqa: ANN401
    """The header that a mask needs to lie on the image for every reader: both forms as they are, with their codes.

    A form that no reader can use is replaced, and with `anew` both are.
    """
    forms = nib.Nifti1Header()
    for field in FORM_FIELDS:
        forms[field] = header[field]
    forms["pixdim"][:4] = header["pixdim"][:4]
    place = affine.copy()
    place[:3] /= _UNIT_MM.get(_unit(header), 1.0)
    if anew and int(forms["qform_code"]):
        forms.set_qform(place, int(forms["qform_code"]))
    if anew or (int(forms["sform_code"]) and not is_usable(_in_mm(forms.get_sform(), header))):
        without = not int(forms["sform_code"]) and not int(forms["qform_code"])
        forms.set_sform(place, _SCANNER if without else int(forms["sform_code"]))
    return forms


def _are_good(header: Any) -> bool:  # noqa: ANN401
    """Whether a volume of one slice can have the forms of a header as they are: ITK refuses others."""
    if not isinstance(header, nib.Nifti1Header):
        return False
    places = [form for form in (header.get_qform(coded=True)[0], header.get_sform(coded=True)[0]) if form is not None]
    return bool(places) and all(is_usable(_in_mm(place, header)) and _has_right_angles(place) for place in places)


def _raw_header(path: Path, header: Any) -> Any:  # noqa: ANN401
    """The header as the file has it: nibabel sets a foreign code to 0, and a negative length to a positive one."""
    if not isinstance(header, nib.Nifti1Header):
        return header
    with ImageOpener(path) as stream:
        start = stream.read(header.template_dtype.itemsize)
    return type(header)(start, endianness=header.endianness, check=False)


def _is_repaired(raw: Any, header: Any) -> bool:  # noqa: ANN401
    """Whether nibabel has changed what the file says of its place."""
    if not isinstance(header, nib.Nifti1Header):
        return False
    codes = any(int(raw[code]) != int(header[code]) for code in ("qform_code", "sform_code"))
    handedness = float(raw["pixdim"][0])  # to ITK its sign is all that counts
    return codes or bool((raw["pixdim"][1:4] < 0).any()) or (handedness < 0 and handedness != -1)


def _check_values(raw: Any, name: str) -> None:  # noqa: ANN401
    """Refuse lengths and places that are none, before ITK reads them: an infinite one keeps it busy for ever.

    A length of 0 is that of an axis of which nothing is known; what belongs to a form without a code counts for nobody.
    """
    if not isinstance(raw, nib.Nifti1Header):
        return
    unit_mm = _UNIT_MM.get(_unit(raw), 1.0)
    for field, least, most in _values_in_use(raw):
        values = np.abs(np.atleast_1d(np.asarray(raw[field], np.float64)))
        values = values[1:4] if field == "pixdim" else values
        # Written so that NaN is none of both.
        good = (values == 0) | ((values * unit_mm >= least) & (values * unit_mm <= most))
        if not good.all():
            rule = f"lengths between {least:g} and {most:g} mm" if least else f"values of at most {most:g} mm"
            raise ImageError(
                f"Expected `{field}` in the header of `{name}` to hold {rule}, got {float(values[~good][0]):g}. "
                "Correct the header, for example with nibabel's `set_zooms` and `set_sform`, or export the image again."
            )


def _values_in_use(raw: Any) -> Iterator[tuple[str, float, float]]:  # noqa: ANN401
    """Fields that say where the array lies, and what the values of each, 0 apart, may be in millimetres."""
    yield "pixdim", SHORTEST_MM, LONGEST_MM
    if int(raw["qform_code"]):
        yield from ((field, 0.0, FARTHEST_MM) for field in FORM_FIELDS if field.startswith(("quatern", "qoffset")))
    if int(raw["sform_code"]):
        yield from ((field, 0.0, FARTHEST_MM) for field in FORM_FIELDS if field.startswith("srow"))


def _has_right_angles(affine: NDArray[np.float64]) -> bool:
    """Whether a mask can have this place: of a picture that stands askew in space ITK tells two axes alone."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(axes.T @ axes, np.eye(3), atol=1e-4))


def _unit(header: Any) -> str:  # noqa: ANN401
    """The header's unit of length; `"unknown"` where it names none that NIfTI knows."""
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:
        return "unknown"


def _description(header: Any) -> str:  # noqa: ANN401
    text = re.sub(rb"\0.*", b"", bytes(np.asarray(header["descrip"]).item()), flags=re.DOTALL)
    return text.decode("ascii", "replace")
