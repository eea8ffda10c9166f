"""Requests that no well-meaning client sends: damaged files, foolish parameters, names and ids of every kind."""

import gzip
import io
import json
import struct
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset

#: The image that is attacked; labels of the others must come through byte by byte.
TARGET = "p01_left"
SHAPE = (160, 128, 1)


@dataclass(frozen=True)
class Case:
    """One request; `name` says what is wrong with it."""

    name: str
    method: str
    path: str
    query: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def all_cases(mutations: int, seed: int) -> Iterator[Case]:
    """Every case of a fixed list, then as many mutated files of each kind."""
    yield from _files()
    yield from _parameters()
    yield from _names()
    yield from _missing()
    yield from _own_routes()
    yield from _mutated(mutations, seed)


def _nifti(
    array: NDArray[Any], affine: NDArray[np.float64] | None = None, at: Mapping[int, tuple[str, float]] | None = None
) -> bytes:
    """A gzipped file; the affine and values `at` places of the header are written as they are, whatever they are."""
    content = bytearray(nib.Nifti1Image(array, np.eye(4)).to_bytes())
    if affine is not None:
        struct.pack_into("<h", content, 254, 1)
        struct.pack_into("<12f", content, 280, *affine[:3].ravel())
    for offset, (form, value) in (at or {}).items():
        struct.pack_into(form, content, offset, value)
    return gzip.compress(bytes(content), mtime=0)


def _band(shape: tuple[int, ...] = SHAPE) -> NDArray[np.uint8]:
    label = np.zeros(shape, np.uint8)
    label[shape[0] // 4 : shape[0] // 2, shape[1] // 3 : shape[1] // 3 + 6] = 1
    return label


def _picture(array: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, kind)
    return content.getvalue()


def _nrrd_file(array: NDArray[Any], header: dict[str, Any] | None = None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "f.nrrd"
        nrrd.write(str(file), array, header or {})
        return file.read_bytes()


def _dicom(rows: int = 128, **elements: object) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = pydicom.uid.UltrasoundImageStorage, "1.2.3"
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.is_little_endian, data.is_implicit_VR = True, False
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = rows, 160, 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation, data.PixelData = 7, 0, bytes(128 * 160)
    for key, value in elements.items():
        setattr(data, key, value)
    content = io.BytesIO()
    data.save_as(content, write_like_original=False)
    return content.getvalue()


def _put_label(name: str, content: bytes, file: str = "l.nii.gz", **query: str) -> Case:
    files = {"label": (file, content)}
    return Case(f"label: {name}", "PUT", "/datastore/label", {"image": TARGET, **query}, {"files": files})


def _put_image(name: str, content: bytes, file: str = "fuzz.nii.gz", **query: str) -> Case:
    return Case(f"image: {name}", "PUT", "/datastore/image", query, {"files": {"file": (file, content)}})


def _infer(name: str, content: bytes, file: str = "i.nii.gz") -> Case:
    return Case(f"infer: {name}", "POST", "/infer/carotid", {}, {"files": {"file": (file, content)}})


def _files() -> Iterator[Case]:
    image = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    for name, affine in _affines():
        yield _infer(f"affine {name}", _nifti(image, affine))
        yield _put_label(f"affine {name}", _nifti(_band(), affine))
        yield _put_image(f"affine {name}", _nifti(image, affine), f"affine {name}.nii.gz")
    for value in (float("nan"), float("inf"), 0.0, -1.0, 1e30):
        spacing = {80: ("<f", value), 84: ("<f", value)}
        yield _infer(f"pixdim {value}", _nifti(image, at=spacing))
        yield _put_label(f"pixdim {value}", _nifti(_band(), at=spacing))
        yield _infer(f"slope {value}", _nifti(image, at={112: ("<f", value), 116: ("<f", value)}))
        yield _infer(f"offset {value}", _nifti(image, at={108: ("<f", value)}))
        nrrd_spacing = {"space": "left-posterior-superior", "space directions": np.diag([value, value, 1.0])}
        yield _infer(f"nrrd spacing {value}", _nrrd_file(image, {**nrrd_spacing, "space origin": [0, 0, 0]}), "i.nrrd")
    for value in (float("nan"), float("inf"), 1e38, 1e-45):  # one value of a form: infinite ones kept ITK busy for ever
        for offset in (88, 256, 268, 288, 304):
            odd = {252: ("<h", 1), 254: ("<h", 1), 280: ("<f", 0.1), 300: ("<f", 0.1), 320: ("<f", 0.1)}
            odd[offset] = ("<f", value)
            yield _infer(f"{value} at {offset}", _nifti(image, at=odd))
            yield _put_label(f"{value} at {offset}", _nifti(_band(), at=odd))
    for shape in ((32_768, 2), (2, 40_000)):
        yield _infer(f"long picture {shape}", _picture(np.zeros(shape, np.uint8)), "i.png")
    for shape in ((1, 1), (1, 5000), (5000, 1), (2, 2, 1), (3, 3, 500), (1, 1, 1, 7), (100_000, 1, 1), (7, 7, 2)):
        pixels = np.random.default_rng(1).integers(0, 255, shape, dtype=np.uint8)
        yield _infer(f"shape {shape}", _nifti(pixels))
        yield _put_label(f"shape {shape}", _nifti(np.ones(shape, np.uint8)))
    for claim in ((32767, 32767, 4), (1, 32767, 32767), (0, 4, 1), (-5, 4, 1)):
        sizes = {42 + 2 * axis: ("<h", length) for axis, length in enumerate(claim)}
        yield _infer(f"claim {claim}", _nifti(image, at=sizes))
        yield _put_label(f"claim {claim}", _nifti(_band(), at=sizes))
        yield _put_image(f"claim {claim}", _nifti(image, at=sizes), f"claim {claim[0]}.nii.gz")
    bomb = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 160 128 1\nencoding: gzip\n\n" + gzip.compress(
        bytes(2 * 10**8)
    )
    yield _put_label("gzip bomb", bomb, "l.nrrd")
    yield _put_label("gzip bomb", gzip.compress(bytes(2 * 10**8)), "l.nii.gz")
    yield _put_image("flat picture", _picture(np.zeros((13_000, 13_000), np.uint8)), "flat.png")
    for dtype in ("complex64", "float64", "int64"):
        yield _infer(dtype, _nifti(image.astype(dtype)) if dtype != "int64" else _nifti(image.astype("int32")))
    yield _put_label("jpeg", _picture(_band()[:, :, 0].T, "JPEG"), "l.jpg")
    yield _put_label("colour", _picture(np.zeros((128, 160, 4), np.uint8)), "l.png")
    for kind in (".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".png", ".tif", ".bmp", ".dcm", ".bin", ".exe", ""):
        for content in (b"", b"\0", b"no file of this kind" * 10):
            yield _put_label(f"{len(content)} bytes as {kind!r}", content, f"l{kind}")
            yield _put_image(f"{len(content)} bytes as {kind!r}", content, f"x{len(content)}{kind}")
            yield _infer(f"{len(content)} bytes as {kind!r}", content, f"i{kind}")
    for name, elements in {
        "no rows": {"Rows": 0},
        "many frames": {"NumberOfFrames": 100_000},
        "spacing zero": {"PixelSpacing": [0, 0]},
        "spacing one": {"PixelSpacing": [1e-30, 1e30]},
        "bits": {"BitsAllocated": 32},
        "palette": {"PhotometricInterpretation": "PALETTE COLOR"},
    }.items():
        yield _infer(f"dicom {name}", _dicom(**elements), "i.dcm")


def _affines() -> Iterator[tuple[str, NDArray[np.float64]]]:
    for name, value in (("nan", np.nan), ("inf", np.inf), ("zero", 0.0), ("huge", 1e35), ("tiny", 1e-35)):
        yield name, np.diag([value, value, 1.0, 1.0])
    yield "all nan", np.full((4, 4), np.nan)
    singular = np.eye(4)
    singular[1] = singular[0]
    yield "singular", singular


def _parameters() -> Iterator[Case]:
    label = {"label": ("l.nii.gz", _nifti(_band()))}
    deep = '{"a":' * 220 + "1" + "}" * 220
    texts = ["[]", "3", "null", '"x"', "{", "{'a': 1}", r'{"a": "\ud800"}', deep, '{"a": NaN}', '{"a": 1e999}', "\x00"]
    texts += ['{"a": ' + "9" * 5000 + "}", '{"label_info": 3}', '{"label_info": [{"name": [], "idx": 1e400}]}', "é"]
    texts.append('{"a":' * 5000 + "1" + "}" * 5000)
    for text in texts:
        shown, params, info = repr(text[:30]), {"data": {"params": text}}, {"data": {"info": text}}
        labelled = {"label": TARGET, "tag": "final"}
        yield Case(f"label params {shown}", "PUT", "/datastore/label", {"image": TARGET}, {**params, "files": label})
        yield Case(f"infer params {shown}", "POST", "/infer/carotid", {"image": TARGET}, params)
        yield Case(f"image info {shown}", "PUT", "/datastore/image/info", {"image": TARGET}, info)
        yield Case(f"label info {shown}", "PUT", "/datastore/label/info", labelled, info)
        for path in ("/scoring/pld", "/train/carotid", "/activelearning/pld", "/batch/infer/carotid", "/scoring/"):
            headers = {"Content-Type": "application/json"}
            content = {"data": text.encode("utf-8", "surrogatepass"), "headers": headers}
            if path != "/train/carotid" or text not in ("null",):  # an empty body would start a round
                yield Case(f"{path} body {text[:30]!r}", "POST", path, {}, content)
    for key, value in _foolish():
        for path in ("/scoring/pld", "/train/carotid", "/activelearning/pld", "/batch/infer/carotid"):
            yield Case(f"{path} {key}={str(value)[:30]!r}", "POST", path, {}, {"json": {key: value}})
        body = {"data": {"params": json.dumps({key: value})}}
        yield Case(f"infer {key}={str(value)[:30]!r}", "POST", "/infer/carotid", {"image": TARGET}, body)


def _foolish() -> Iterator[tuple[str, Any]]:
    yield from (("gpus", 5), ("gpus", {"a": 1}), ("gpus", "\x00"), ("bundle_path", "x"), ("client_id", ["x"]))
    yield from (("client_id", {"a": "b"}), ("client_id", "\x00"), ("result_dtype", "U20000"), ("result_dtype", 7))
    yield from (("result_extension", "../x"), ("result_extension", 3), ("epochs", "many"), ("epochs", 10**30))
    yield from (("acquisitions", "nothing"), ("acquisitions", 3), ("image", "/etc/passwd"), ("images", 3))
    yield from (("timeout", "x"), ("max_workers", -1), ("max_batch_size", "x"), ("logging", []), ("model", []))


def _names() -> Iterator[Case]:
    label, image = _nifti(_band()), _nifti(np.random.default_rng(2).integers(0, 255, SHAPE, dtype=np.uint8))
    names = ["../x.nii.gz", "a/b.nii.gz", "..", ".nii.gz", "x" * 300 + ".nii.gz", "x." + "y" * 300, "a\\b.nii.gz"]
    names += [
        "p\u202e.nii.gz",
        "new\nline.nii.gz",
        "nul\x00.nii.gz",
        " .nii.gz",
        "a.b.c.d.nii.gz",
        "%2e%2e%2f.nii.gz",
        "CON",
    ]
    for name in names:
        yield _put_label(f"file name {name[:20]!r}", label, name)
        yield _put_image(f"file name {name[:20]!r}", image, name)
        yield _infer(f"file name {name[:20]!r}", image, name)
        yield _put_image(f"id {name[:20]!r}", image, "i.nii.gz", image=name)
        yield _put_label(f"image id {name[:20]!r}", label, image=name)
        yield _put_label(f"tag {name[:20]!r}", label, tag=name)


def _missing() -> Iterator[Case]:
    for name in ("nobody", "../../etc/passwd", "\x00", "x" * 5000, "", "\ufffd", "é"):
        shown = repr(name[:20])
        for method, path, keys in (
            ("DELETE", "/datastore/image", ("id",)),
            ("DELETE", "/datastore/", ("id",)),
            ("GET", "/datastore/image", ("image",)),
            ("HEAD", "/datastore/image", ("image",)),
            ("GET", "/datastore/image/info", ("image",)),
            ("GET", "/datastore/label", ("label", "tag")),
            ("GET", "/datastore/label/info", ("label", "tag")),
            ("DELETE", "/datastore/label", ("id", "tag")),
            ("POST", "/infer/carotid", ("image",)),
            ("POST", "/infer/carotid", ("session_id",)),
        ):
            yield Case(f"{method} {path} of {shown}", method, path, dict.fromkeys(keys, name))
        put = {"data": {"info": "{}"}}
        yield Case(f"image info of {shown}", "PUT", "/datastore/image/info", {"image": name}, put)
        yield Case(f"label info of {shown}", "PUT", "/datastore/label/info", {"label": name, "tag": name}, put)
    names = ("nobody", "..", "%00", "a%2fb", "x" * 3000)
    for name in names:
        for method, path in (
            ("POST", "/infer/"),
            ("POST", "/train/"),
            ("POST", "/scoring/"),
            ("POST", "/batch/infer/"),
            ("POST", "/activelearning/"),
            ("GET", "/model/"),
            ("PUT", "/model/"),
            ("DELETE", "/model/"),
            ("GET", "/model/info/"),
            ("GET", "/session/"),
            ("DELETE", "/session/"),
            ("GET", "/ohif/"),
            ("GET", "/proxy/dicom/"),
            ("POST", "/proxy/dicom/wado/"),
            ("GET", "/proxy/dicom/qido/"),
            ("GET", "/sequal/dicom-web/"),
            ("GET", "/sequal/dicom-web/studies/"),
            ("GET", "/sequal/dicom-web/studies?PatientID="),
            ("GET", "/sequal/dicom-web/studies?limit="),
            ("POST", "/sequal/dicom-web/studies/"),
            ("POST", "/infer/wsi/"),
        ):
            if not (path == "/train/" and name == ".."):  # `/train/..` is `/`
                yield Case(f"{method} {path}{name[:20]}", method, path + name)
    for path in ("/ohif/assets", "/ohif/", "/logs/gpu", "/logs/?lines=-1", "/logs/?lines=x", "/datastore/?output=x"):
        yield Case(f"GET {path}", "GET", path)
    yield Case("check_sum", "HEAD", "/datastore/image", {"image": TARGET, "check_sum": "ROT13:abc"})
    yield Case("limit_cases", "GET", "/datastore/dataset", {"limit_cases": -3})
    yield Case("limit_cases", "GET", "/datastore/dataset", {"limit_cases": "x"})
    yield Case("an image again", "PUT", "/datastore/image", {"image": TARGET}, {"files": {"file": ("i.nii.gz", b"x")}})
    for method in ("PATCH", "TRACE", "OPTIONS", "DELETE"):
        yield Case(f"{method} /info/", method, "/info/")


def _own_routes() -> Iterator[Case]:
    """What the app answers below `/sequal/`."""
    label = _nifti(_band())
    files = {"x" * 3000 + ".nii.gz": label, "l." + "x" * 3000: label, "l.\x00": label, "../../l.nii.gz": label}
    files |= {
        "": label,
        "l.exe": b"MZ",
        "l.nii.gz": b"",
        "l.nrrd": b"no file of this kind",
        "l.png": _picture(_band()[:, :, 0]),
    }
    for name, content in files.items():
        sent = {"files": {"label": (name, content)}}
        yield Case(f"measure file {name[:20]!r}", "POST", "/sequal/measurement", {"image": TARGET}, sent)
    for name in ("nobody", "../../etc/passwd", "\x00", "x" * 5000, "", "\ufffd"):
        shown, image = repr(name[:20]), {"image": name}
        yield Case(f"measure {shown}", "POST", "/sequal/measurement", image, {"files": {"label": ("l.nii.gz", label)}})
        for of in ("label", "prediction", name):
            yield Case(f"measurement of {of[:20]!r} of {shown}", "GET", "/sequal/measurement", {**image, "of": of})
        for method in ("POST", "DELETE"):
            yield Case(f"{method} skip {shown}", method, "/sequal/skip", image)
    for text in (
        "[]",
        "3",
        "{",
        "\x00",
        "[" * 5000,
        '{"reason": 3}',
        '{"reason": "\\ud800"}',
        '{"reason": "' + "x" * 99_999 + '"}',
    ):
        more = {"data": text.encode(), "headers": {"Content-Type": "application/json"}}
        yield Case(f"skip body {text[:20]!r}", "POST", "/sequal/skip", {"image": TARGET}, more)
    for number in ("-1", "1e9", "x", "%00", "9" * 3000, "\u0661", ".."):
        yield Case(f"model {number[:20]!r}", "PUT", f"/sequal/models/{number}")
    for method, path in (
        ("PUT", "/sequal/models/0/x"),
        ("DELETE", "/sequal/models"),
        ("GET", "/sequal/"),
        ("GET", "/sequal"),
    ):
        yield Case(f"{method} {path}", method, path)
    text = {"data": b"--x\r\nno form", "headers": {"Content-Type": "multipart/form-data; boundary=y"}}
    for method, path in (("POST", "/sequal/measurement"), ("PUT", "/datastore/label"), ("POST", "/infer/carotid")):
        yield Case(f"{path} form", method, path, {"image": TARGET}, text)
        yield Case(
            f"{path} no boundary",
            method,
            path,
            {"image": TARGET},
            {**text, "headers": {"Content-Type": "multipart/form-data"}},
        )


def _mutated(count: int, seed: int) -> Iterator[Case]:
    """Valid files with some bytes changed, cut or repeated; more often near the front, where the headers are."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 255, SHAPE, dtype=np.uint8)
    kinds = {
        ".nii": lambda array: gzip.decompress(_nifti(array)),
        ".nrrd": _nrrd_file,
        ".png": lambda array: _picture(array[:, :, 0].T),
        ".tif": lambda array: _picture(array[:, :, 0].T, "TIFF"),
        ".bmp": lambda array: _picture(array[:, :, 0].T, "BMP"),
    }
    for number in range(count):
        for kind, make in kinds.items():
            yield _put_label(f"mutated {number}{kind}", _mutate(make(_band()), rng), f"l{kind}")
            yield _infer(f"mutated {number}{kind}", _mutate(make(pixels), rng), f"i{kind}")
        yield _infer(f"mutated {number}.dcm", _mutate(_dicom(), rng), "i.dcm")


def _mutate(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        at = int(len(changed) * rng.random() ** 4)
        changed[min(at, len(changed) - 1)] = int(rng.integers(0, 256))
    if rng.random() < 0.2:
        del changed[int(len(changed) * rng.random()) :]
    return bytes(changed) or b"\0"
