import json
import unicodedata
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import pytest
from numpy.typing import NDArray

from integration.data import AFFINE, HEIGHT, WIDTH, frame, label_of, save_nifti
from integration.server import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

IMAGE = "p01_left"


def _accepted(server: Server, file: Path) -> NDArray[Any]:
    reply = server.save_label(IMAGE, file)
    assert reply.status_code == 200, reply.text
    return server.stored_label(IMAGE)


def _sparse_label(shift: int) -> NDArray[np.uint8]:
    """A label of the expert's kind: part of the columns traced, the rest 255."""
    label = np.roll(label_of(IMAGE), shift, axis=1)
    label[:40] = 255
    return label


@pytest.mark.parametrize("shape", [(WIDTH, HEIGHT), (WIDTH, HEIGHT, 1), (1, WIDTH, HEIGHT)])
def test_all_three_shapes_become_the_same_stored_label(server: Server, tmp_path: Path, shape: tuple[int, ...]) -> None:
    label = _sparse_label(len(shape) + shape[0] % 3)
    stored = _accepted(server, save_nifti(tmp_path / "any name.nii.gz", label.reshape(shape)))
    np.testing.assert_array_equal(stored, label[:, :, None])
    file = server.studies / "labels" / "final" / f"{IMAGE}.nii.gz"
    np.testing.assert_allclose(nib.load(file).affine, AFFINE, atol=1e-5)


def test_an_nrrd_label_is_stored_like_any_other(server: Server, tmp_path: Path) -> None:
    label = _sparse_label(4)
    nrrd.write(str(tmp_path / "label.nrrd"), label[:, :, None])
    np.testing.assert_array_equal(_accepted(server, tmp_path / "label.nrrd"), label[:, :, None])


def test_stray_segments_are_dropped(server: Server, tmp_path: Path) -> None:
    label = label_of(IMAGE)
    marked = label.copy()
    marked[5:9, 3:6] = 4
    stored = _accepted(server, save_nifti(tmp_path / "label.nii.gz", marked[:, :, None]))
    np.testing.assert_array_equal(stored, label[:, :, None])


def test_a_corrected_label_keeps_the_former_one(server: Server, tmp_path: Path) -> None:
    _accepted(server, save_nifti(tmp_path / "a.nii.gz", _sparse_label(2)[:, :, None]))
    former = server.labels()[f"{IMAGE}.nii.gz"]
    _accepted(server, save_nifti(tmp_path / "b.nii.gz", _sparse_label(3)[:, :, None]))
    assert former in [path.read_bytes() for path in (server.state / "replaced").iterdir()]


def test_an_empty_label_says_that_there_is_no_layer(server: Server, tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "label.seg.nrrd"), np.zeros((1, 1, 1), np.uint8))
    (tmp_path / "label.bin").write_bytes(bytes(WIDTH * HEIGHT))
    empty = save_nifti(tmp_path / "label.nii.gz", np.zeros((WIDTH, HEIGHT), np.uint8))
    for file in (empty, tmp_path / "label.seg.nrrd", tmp_path / "label.bin"):
        assert not _accepted(server, file).any()
        label = server.client().datastore()["objects"][IMAGE]["labels"]["final"]
        assert label["info"]["no_layer"] is True
        _accepted(server, save_nifti(tmp_path / "drawn.nii.gz", label_of(IMAGE)[:, :, None]))
        label = server.client().datastore()["objects"][IMAGE]["labels"]["final"]
        assert "no_layer" not in label["info"]


def test_an_image_is_found_by_a_name_that_looks_like_its_id(server: Server, tmp_path: Path) -> None:
    """macOS writes letters and their accents apart, others together."""
    name, other = (unicodedata.normalize(form, "Jérôme") for form in ("NFC", "NFD"))
    pixels = save_nifti(tmp_path / "image.nii.gz", frame(0)[0][:, :, None]).read_bytes()
    sent = {"file": (f"{other}.nii.gz", pixels)}
    assert server.request("PUT", "/datastore/image", params={"image": other}, files=sent).json() == {"image": name}
    try:
        again = server.request("PUT", "/datastore/image", params={"image": other}, files=sent)
        assert again.status_code == 409
        saved = server.save_label(other, save_nifti(tmp_path / "label.nii.gz", frame(0)[1][:, :, None]))
        assert saved.json()["image"] == name
        assert f"{name}.nii.gz" in server.labels()
        for method, path, key in (
            ("GET", "/datastore/image", "image"),
            ("GET", "/datastore/label?tag=final", "label"),
            ("POST", "/infer/carotid", "image"),
            ("GET", "/sequal/measurement?of=label", "image"),
        ):
            assert server.request(method, path, params={key: other}).status_code == 200, path
    finally:
        assert server.request("DELETE", "/datastore/image", params={"id": other}).status_code == 200


def _wrong_shape(path: Path) -> Path:
    return save_nifti(path.with_suffix(".nii.gz"), np.ones((WIDTH, HEIGHT - 1, 1), np.uint8))


def _swapped_axes(path: Path) -> Path:
    return save_nifti(path.with_suffix(".nii.gz"), label_of(IMAGE).T.copy()[:, :, None])


def _unknown_classes(path: Path) -> Path:
    return save_nifti(path.with_suffix(".nii.gz"), label_of(IMAGE)[:, :, None] * np.uint8(7))


def _not_an_image(path: Path) -> Path:
    path.with_suffix(".nii.gz").write_bytes(b"hello")
    return path.with_suffix(".nii.gz")


def _no_bytes(path: Path) -> Path:
    path.with_suffix(".nii.gz").write_bytes(b"")
    return path.with_suffix(".nii.gz")


def _fractions(path: Path) -> Path:
    return save_nifti(path.with_suffix(".nii.gz"), label_of(IMAGE)[:, :, None] * np.float32(0.5))


def _no_suffix(path: Path) -> Path:
    path.write_bytes(b"hello")
    return path


BAD = [
    (_wrong_shape, "the size of its frame"),
    (_swapped_axes, "axes are swapped"),
    (_unknown_classes, "intima-media"),
    (_not_an_image, "readable label"),
    (_no_bytes, "an empty file"),
    (_fractions, "whole numbers"),
    (_no_suffix, "to end in"),
]


@pytest.mark.parametrize(("make", "words"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_label_is_refused_and_kept_aside(server: Server, tmp_path: Path, make: Any, words: str) -> None:
    before = server.labels()
    rejected = set((server.state / "rejected").iterdir())
    file = make(tmp_path / "label")
    reply = server.save_label(IMAGE, file)
    assert reply.status_code == 400
    assert words in reply.json()["detail"]
    new = set((server.state / "rejected").iterdir()) - rejected
    reason = next(path for path in new if path.suffix == ".json")
    kept = next(path for path in new if path.suffix != ".json")
    assert kept.read_bytes() == file.read_bytes()
    about = json.loads(reason.read_text())
    assert about["image"] == IMAGE
    assert words in about["reason"]
    assert server.labels() == before
    assert server.client().info()["datastore"]["total"] > 0


def _tree(server: Server) -> list[Path]:
    """All files around the study but the ledger and what passes through, which change by themselves."""
    passing = (server.temporary, server.received)
    around = server.studies.parent.rglob("*")
    return sorted(path for path in around if ".db" not in path.name and path.parent not in passing)


@pytest.mark.parametrize("tag", ["../../x", "..", "a/b", "/tmp/x"])
def test_a_tag_that_leaves_the_study_is_refused(server: Server, tmp_path: Path, tag: str) -> None:
    file = save_nifti(tmp_path / "label.nii.gz", label_of(IMAGE)[:, :, None])
    before = _tree(server)
    reply = server.save_label(IMAGE, file, tag=tag)
    assert reply.status_code == 400
    assert "`tag`" in reply.json()["detail"]
    assert _tree(server) == before


@pytest.mark.parametrize("image", ["../../x", "a/b"])
def test_an_image_id_that_leaves_the_study_is_refused(server: Server, tmp_path: Path, image: str) -> None:
    file = save_nifti(tmp_path / "image.nii.gz", label_of(IMAGE)[:, :, None])
    before = _tree(server)
    with file.open("rb") as stream:
        reply = server.request("PUT", "/datastore/image", params={"image": image}, files={"file": (file.name, stream)})
    assert reply.status_code == 400
    assert "image" in reply.json()["detail"]
    assert _tree(server) == before


def test_a_label_for_an_unknown_image_is_answered_with_its_reason(server: Server, tmp_path: Path) -> None:
    reply = server.save_label("nobody", save_nifti(tmp_path / "label.nii.gz", label_of(IMAGE)[:, :, None]))
    assert reply.status_code == 404
    assert "nobody" in reply.json()["detail"]


def test_the_clients_exception_carries_the_reason(server: Server, tmp_path: Path) -> None:
    from monailabel.client.client import MONAILabelClientException

    with pytest.raises(MONAILabelClientException) as caught:
        server.client().save_label(IMAGE, str(_unknown_classes(tmp_path / "label")))
    assert "Status: 400" in caught.value.msg
    assert "or remove all else" in caught.value.msg
