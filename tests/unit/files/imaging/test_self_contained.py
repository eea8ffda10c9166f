import bz2
import gzip
import os
import struct

import nibabel as nib
import nrrd
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sequal.errors import ImageError, LabelError
from sequal.files.imaging import read_frame, read_label
from sequal.files.imaging.self_contained import check_self_contained

SHAPE = (7, 6)


@pytest.fixture
def secret(tmp_path):
    """A file of the server that would do as the pixels of an image of this shape."""
    path = tmp_path / "secret"
    path.write_bytes((b"SECRET" * 10)[: SHAPE[0] * SHAPE[1]])
    return path


@pytest.fixture
def opened(monkeypatch):
    """Every path that is opened."""
    import builtins
    import io

    paths = []
    true_open = io.open

    def watching(file, *args, **kwargs):
        paths.append(str(file))
        return true_open(file, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", watching)
    monkeypatch.setattr(io, "open", watching)
    return paths


def header(*fields, end="\n"):
    sizes = " ".join(map(str, SHAPE))
    lines = ["NRRD0004", "type: uint8", "dimension: 2", f"sizes: {sizes}", "encoding: raw", *fields]
    return end.join([*lines, "", ""]).encode()


FIELDS = [
    "data file: {}",
    "datafile: {}",
    "data file:= {}",
    "data file:{}",
    "Data File: {}",
    "DATAFILE: {}",
    "data  file: {}",
    " data file: {}",
    "data file : {}",
    "data_file: {}",
    "data file: LIST\n{}",
    "data file: {} %d 0 1 1",
]


def _both(path):
    """Read as image and as label; the two reasons."""
    reasons = []
    for read, error in ((read_frame, ImageError), (lambda file: read_label(file, (*SHAPE, 1)), LabelError)):
        with pytest.raises(error) as raised:
            read(path)
        reasons.append(str(raised.value))
    return reasons


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", ["x.nrrd", "x.seg.nrrd", "X.NRRD"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_detached_header_is_refused_before_the_other_file_is_opened(tmp_path, secret, opened, field, name, end):
    path = tmp_path / name
    path.write_bytes(header(field.format(secret), end=end))

    for reason in _both(path):
        assert "a detached header" in reason
        assert str(secret) not in reason
        assert "SECRET" not in reason
    assert str(secret) not in opened


@pytest.mark.parametrize("relative", ["secret", "./secret", "../{}/secret"])
def test_a_relative_place_is_refused_as_well(tmp_path, secret, opened, relative):
    (tmp_path / "x.nrrd").write_bytes(header(f"data file: {relative.format(tmp_path.name)}"))

    assert all("a detached header" in reason for reason in _both(tmp_path / "x.nrrd"))
    assert not any(path.endswith("secret") for path in opened)


def test_nothing_waits_for_a_pipe_or_a_device(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", "/dev/zero", "/dev/stdin"):
        (tmp_path / "x.nrrd").write_bytes(header(f"data file: {place}"))
        assert all("a detached header" in reason for reason in _both(tmp_path / "x.nrrd"))


@pytest.mark.parametrize("name", ["x.nrrd", "x.nii.gz", "x.png", "x.dcm", "x.bin"])
def test_a_pipe_or_a_device_is_no_file(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert all("a pipe or a device" in reason for reason in _both(tmp_path / name))
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    assert all("a pipe or a device" in reason for reason in _both(tmp_path / name))


def test_attached_data_is_read_and_words_in_it_are_no_field(tmp_path):
    pixels = np.frombuffer((b"\ndata file: /etc/passwd\n" * 2)[:42], np.uint8).reshape(SHAPE, order="F")
    (tmp_path / "x.nrrd").write_bytes(header("# data file: is not used here") + pixels.tobytes(order="F"))

    np.testing.assert_array_equal(read_frame(tmp_path / "x.nrrd").pixels[:, :, 0], pixels)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_what_pynrrd_writes_is_read(tmp_path, encoding):
    pixels = np.arange(42, dtype=np.uint8).reshape(SHAPE)
    nrrd.write(str(tmp_path / "x.nrrd"), pixels, {"encoding": encoding})
    np.testing.assert_array_equal(read_frame(tmp_path / "x.nrrd").pixels[:, :, 0], pixels)


def test_a_header_that_skips_lines_without_end_is_refused(tmp_path):
    (tmp_path / "x.nrrd").write_bytes(header("line skip: 99999999999"))
    assert all("skip at most 1000 lines" in reason for reason in _both(tmp_path / "x.nrrd"))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("image", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("damaged", [False, True])
def test_the_header_of_a_pair_is_refused_before_the_image_is_opened(tmp_path, opened, suffix, image, damaged):
    nib.save(image(np.ones(SHAPE, np.uint8), np.eye(4)), tmp_path / "pair.img")
    (tmp_path / "x.img").write_bytes((tmp_path / "pair.img").read_bytes())
    content = (tmp_path / "pair.hdr").read_bytes()
    content = struct.pack("<i", 349) + content[4:] if damaged else content
    (tmp_path / f"x{suffix}").write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    del opened[:]

    assert all("the header of a pair" in reason for reason in _both(tmp_path / f"x{suffix}"))
    assert not any(path.endswith(".img") for path in opened)


@pytest.mark.parametrize("image", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_one_file_of_either_version_passes(tmp_path, image, suffix):
    nib.save(image(np.ones(SHAPE, np.uint8), np.eye(4)), tmp_path / f"x{suffix}")
    check_self_contained(tmp_path / f"x{suffix}", "nifti")
    big = image(np.ones(SHAPE, np.uint8), np.eye(4))
    big = image(np.ones(SHAPE, np.uint8), np.eye(4), header=big.header.as_byteswapped(">"))
    nib.save(big, tmp_path / f"big{suffix}")
    check_self_contained(tmp_path / f"big{suffix}", "nifti")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"\0" * 400, struct.pack("<i", 348), os.urandom(50)])
def test_what_is_damaged_is_left_to_its_reader(tmp_path, content):
    for name, kind in (("x.nii", "nifti"), ("x.nii.gz", "nifti"), ("x.nrrd", "nrrd")):
        (tmp_path / name).write_bytes(content)
        if content[:4] != struct.pack("<i", 348) or name != "x.nii":
            check_self_contained(tmp_path / name, kind)


@pytest.mark.parametrize(
    "name", ["x.nrrd", "x.nii", "x.nii.gz", "x.png", "x.jpg", "x.tif", "x.bmp", "x.dcm", "x.seg.nrrd"]
)
@pytest.mark.parametrize(
    "content",
    [
        b"HUNTER2 HUNTER2 HUNTER2\n" * 40,
        header("space directions: HUNTER2 HUNTER2") + bytes(42),
        b"NRRD0004\ntype: HUNTER2\ndimension: HUNTER2\nsizes: HUNTER2\nencoding: HUNTER2\n\nHUNTER2",
        header("encoding: ascii").replace(b"encoding: raw\n", b"") + b"HUNTER2 " * 42,
        bz2.compress(b"HUNTER2"),
    ],
)
def test_no_refusal_quotes_a_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    reasons = []
    for read in (read_frame, lambda file: read_label(file, (*SHAPE, 1))):
        try:
            read(tmp_path / name)
        except (ImageError, LabelError) as error:
            reasons.append(str(error))
    assert reasons
    assert "HUNTER2" not in "".join(reasons)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_no_refusal_quotes_a_pixel(tmp_path, dtype):
    nib.save(
        nib.Nifti1Image(np.full(SHAPE, 31337 if dtype == np.uint16 else 0.31337, dtype), np.eye(4)), tmp_path / "x.nii"
    )
    with pytest.raises(LabelError) as raised:
        read_label(tmp_path / "x.nii", (*SHAPE, 1))
    assert "31337" not in str(raised.value)


def test_a_picture_is_read_as_a_picture_whatever_else_pillow_knows(tmp_path, monkeypatch):
    """Pillow starts Ghostscript for what begins as PostScript does."""
    import subprocess

    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: pytest.fail("a program was started"))
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 7 6\n%%EndComments\nshowpage\n")
    assert all("readable" in reason for reason in _both(tmp_path / "x.png"))
    Image.fromarray(np.zeros((6, 7), np.uint8)).save(tmp_path / "y.gif")
    (tmp_path / "y.png").write_bytes((tmp_path / "y.gif").read_bytes())
    assert all("readable" in reason for reason in _both(tmp_path / "y.png"))
    Image.fromarray(np.zeros((6, 7), np.uint8)).save(tmp_path / "z.png", pnginfo=PngImagePlugin.PngInfo())
    assert read_frame(tmp_path / "z.png").grid == (7, 6, 1)
