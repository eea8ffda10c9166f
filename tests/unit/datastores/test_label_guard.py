import json

import nibabel as nib
import nrrd
import numpy as np
import pytest
from PIL import Image

from lib.datastores import LabelGuard
from sequal.errors import LabelError, StorageError
from sequal.study.state import StudyState
from unit.synthetic_study import band, settings

AFFINE = np.array([[-0.06, 0, 0, 3.0], [0, -0.05, 0, 4.0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])


@pytest.fixture
def state(tmp_path):
    return StudyState.open(tmp_path / "state", settings())


@pytest.fixture
def image(tmp_path):
    pixels, _ = band(np.random.default_rng(0), (12, 9), top=3, thickness=3)
    nib.save(nib.Nifti1Image(pixels.astype(np.uint8), AFFINE), tmp_path / "im.nii.gz")
    return tmp_path / "im.nii.gz"


@pytest.fixture
def drawn():
    label = np.zeros((12, 9), np.uint8)
    label[2:9, 3:6] = 1
    label[9:] = 255
    return label


def _submit(state, image, path):
    with LabelGuard(state).checked("im", image, path) as clean:
        assert clean.file.name.endswith(".nii.gz")
        stored = nib.load(clean.file)
        return np.asarray(stored.dataobj).copy(), stored.affine


@pytest.mark.parametrize("shape", [(12, 9), (12, 9, 1), (1, 12, 9)])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_three_shapes_are_one_label(tmp_path, state, image, drawn, shape, suffix):
    path = tmp_path / f"submitted{suffix}"
    if suffix == ".nrrd":
        nrrd.write(str(path), drawn.reshape(shape))
    else:
        nib.save(nib.Nifti1Image(drawn.reshape(shape), np.diag([1.0, -1, 1, 1])), path)
    stored, affine = _submit(state, image, path)
    np.testing.assert_array_equal(stored, drawn[:, :, None])
    assert stored.dtype == np.uint8
    np.testing.assert_allclose(affine, AFFINE, atol=1e-6)
    assert not list((state.root / "rejected").iterdir())


def test_stray_segments_are_dropped(tmp_path, state, image, drawn):
    drawn[0, :4] = 7
    nib.save(nib.Nifti1Image(drawn, np.eye(4)), tmp_path / "s.nii.gz")
    stored, _ = _submit(state, image, tmp_path / "s.nii.gz")
    assert set(np.unique(stored)) == {0, 1, 255}
    assert (stored[0] == 0).all()


def _empty(path, drawn):
    nib.save(nib.Nifti1Image(np.where(drawn == 1, 0, drawn).astype(np.uint8), np.eye(4)), path)


def _wrong_grid(path, drawn):
    nib.save(nib.Nifti1Image(drawn[:-1], np.eye(4)), path)


def _swapped(path, drawn):
    nib.save(nib.Nifti1Image(np.ascontiguousarray(drawn.T), np.eye(4)), path)


def _unreadable(path, drawn):
    path.write_bytes(b"\x1f\x8bnothing")


def _only_strays(path, drawn):
    nib.save(nib.Nifti1Image(np.where(drawn == 1, 4, 0).astype(np.uint8), np.eye(4)), path)


def _empty_nifti(path):
    nib.save(nib.Nifti1Image(np.zeros((12, 9, 1), np.uint8), np.eye(4)), path.with_suffix(".nii.gz"))
    return path.with_suffix(".nii.gz")


def _empty_nrrd(path):
    nrrd.write(str(path.with_suffix(".nrrd")), np.zeros((12, 9), np.uint8))
    return path.with_suffix(".nrrd")


def _empty_segmentation(path):
    nrrd.write(str(path.with_suffix(".seg.nrrd")), np.zeros((1, 1, 1), np.uint8))
    return path.with_suffix(".seg.nrrd")


def _empty_bytes(path):
    path.with_suffix(".bin").write_bytes(bytes(2 * 12 * 9))
    return path.with_suffix(".bin")


def _empty_picture(path):
    Image.fromarray(np.zeros((9, 12), np.uint8)).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


@pytest.mark.parametrize("make", [_empty_nifti, _empty_nrrd, _empty_segmentation, _empty_bytes, _empty_picture])
def test_an_empty_label_of_any_client_says_that_there_is_no_layer(tmp_path, state, image, make):
    guard = LabelGuard(state)
    info = {"who": "anna", "no_layer": False}
    with guard.checked("im", image, make(tmp_path / "submitted"), info) as clean:
        assert not np.asarray(nib.load(clean.file).dataobj).any()
        assert guard.noted(info, clean) == {"who": "anna", "no_layer": True}
    assert not list((state.root / "rejected").iterdir())


def test_nobody_else_says_that_there_is_no_layer(tmp_path, state, image, drawn):
    nib.save(nib.Nifti1Image(drawn, np.eye(4)), tmp_path / "s.nii.gz")
    guard = LabelGuard(state)
    with guard.checked("im", image, tmp_path / "s.nii.gz") as clean:
        assert guard.noted({"no_layer": True}, clean) == {}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_empty, "got only"),
        (_wrong_grid, "the size of its frame"),
        (_swapped, "axes are swapped"),
        (_unreadable, "readable label"),
        (_only_strays, "got only"),
    ],
)
def test_a_bad_label_is_kept_with_its_reason(tmp_path, state, image, drawn, spoil, words):
    path = tmp_path / "submitted.nii.gz"
    spoil(path, drawn)
    content = path.read_bytes()
    guard = LabelGuard(state)
    with pytest.raises(LabelError, match=words), guard.checked("im", image, path):
        pytest.fail("a bad label was handed on")
    folder = state.root / "rejected"
    reason = json.loads((folder / "im-1.json").read_text())
    assert words in reason["reason"]
    assert reason["image"] == "im"
    assert (folder / "im-1.nii.gz").read_bytes() == content
    # The client's own file is not ours to move.
    assert path.read_bytes() == content


def _submitted(tmp_path, values):
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "submitted.nii.gz")
    return tmp_path / "submitted.nii.gz"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.ones((12, 9), np.uint8), "9 of 9 rows"),
        (np.where(np.arange(9) == 4, 0, 1).astype(np.uint8) * np.ones((12, 1), np.uint8), "may be exchanged"),
        (np.arange(108, dtype=np.uint8).reshape(12, 9), "looks like a grey picture"),
    ],
)
def test_what_no_expert_draws_is_refused(tmp_path, state, image, values, words):
    guard = LabelGuard(state)
    path = _submitted(tmp_path, values)
    with pytest.raises(LabelError, match=words), guard.checked("im", image, path):
        pytest.fail("handed on")


def test_a_doubtful_label_is_noted_with_a_warning(tmp_path, state, image, drawn):
    guard = LabelGuard(state)
    with guard.checked("im", image, _submitted(tmp_path, drawn)) as clean:
        assert guard.noted({"who": "anna", "warnings": ["forged"]}, clean, image) == {"who": "anna"}
    drawn[2:9, 7] = 1
    with guard.checked("im", image, _submitted(tmp_path, drawn)) as clean:
        (warning,) = guard.noted({}, clean, image)["warnings"]
    assert warning.startswith("7 of 7 columns show the layer more than once")


def test_what_was_left_out_of_a_label_is_noted_with_a_warning(tmp_path, state, image, drawn):
    guard = LabelGuard(state)
    drawn[0, :4] = 7
    with guard.checked("im", image, _submitted(tmp_path, drawn)) as clean:
        (warning,) = guard.noted({}, clean, image)["warnings"]
    assert warning.startswith("4 pixels of other values (7) were left out")


def test_a_label_of_an_unreadable_image_is_kept_too(tmp_path, state, drawn):
    (tmp_path / "bad.png").write_bytes(b"not an image")
    nib.save(nib.Nifti1Image(drawn, np.eye(4)), tmp_path / "s.nii.gz")
    guard = LabelGuard(state)
    with pytest.raises(LabelError, match=r"bad\.png"), guard.checked("im", tmp_path / "bad.png", tmp_path / "s.nii.gz"):
        pytest.fail("handed on")
    assert (state.root / "rejected" / "im-1.nii.gz").exists()


def test_a_submitted_file_that_is_gone_is_a_label_error(tmp_path, state, image):
    guard = LabelGuard(state)
    with pytest.raises(LabelError, match="no such file"), guard.checked("im", image, tmp_path / "gone.nii.gz"):
        pytest.fail("handed on")


def test_a_full_disk_is_told_as_such(tmp_path, state, image, drawn, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    nib.save(nib.Nifti1Image(drawn, np.eye(4)), tmp_path / "s.nii.gz")
    monkeypatch.setattr("lib.datastores.label_guard.write_on_frame", full)
    guard = LabelGuard(state)
    with pytest.raises(StorageError, match="No space left"), guard.checked("im", image, tmp_path / "s.nii.gz"):
        pytest.fail("handed on")


def test_an_error_while_storing_does_not_reject_the_label(tmp_path, state, image, drawn):
    nib.save(nib.Nifti1Image(drawn, np.eye(4)), tmp_path / "s.nii.gz")
    with (
        pytest.raises(LabelError, match="disk"),
        LabelGuard(state).checked("im", image, tmp_path / "s.nii.gz") as clean,
    ):
        raise LabelError("disk")
    assert not clean.file.exists()
    assert not list((state.root / "rejected").iterdir())


@pytest.mark.parametrize(
    "tag", ["../..", "..", ".", "a/b", "a\\b", "", "/etc", ".hidden", "final\n", "x" * 65, "é", "Final"]
)
def test_tags_that_are_no_plain_folder_name(tag):
    with pytest.raises(LabelError, match="tag"):
        LabelGuard.check_tag(tag)


@pytest.mark.parametrize("tag", ["final", "original", "reader-2", "v1.0"])
def test_plain_tags(tag):
    LabelGuard.check_tag(tag)


def test_the_replaced_label_is_kept_under_its_own_name(tmp_path, state):
    current = tmp_path / "1.2.840.nii.gz"
    for content in (b"first", b"second"):
        current.write_bytes(content)
        LabelGuard(state).keep_replaced("1.2.840", current)
    kept = sorted((state.root / "replaced").iterdir())
    assert [path.read_bytes() for path in kept] == [b"first", b"second"]
    assert all(path.name.startswith("1.2.840.2") and path.name.endswith(".nii.gz") for path in kept)
    assert current.read_bytes() == b"second"


def test_a_number_that_no_structure_has_is_refused_and_a_segment_of_another_name_becomes_background(tmp_path):
    chosen = settings(models="volume", labels="liver,spleen")
    guard = LabelGuard(StudyState.open(tmp_path / "state", chosen), chosen)
    label = np.zeros((8, 8, 6), np.uint8)
    label[1:3], label[4, :2, :2] = 1, 7
    for path, array in ((tmp_path / "v.nii.gz", np.ones((8, 8, 6))), (tmp_path / "l.nii.gz", label)):
        nib.save(nib.Nifti1Image(array.astype(np.uint8), np.eye(4)), path)
    nrrd.write(str(tmp_path / "l.nrrd"), label)
    for bare in ("l.nii.gz", "l.nrrd"):
        with (
            pytest.raises(LabelError, match=r"1 liver, 2 spleen, got \[7\]"),
            guard.checked("v", tmp_path / "v.nii.gz", tmp_path / bare),
        ):
            pass
    assert len(list((tmp_path / "state" / "rejected").glob("*.json"))) == 2

    names = {"Segment0_ID": "a", "Segment0_Name": "liver", "Segment0_LabelValue": "1"}
    names |= {"Segment1_ID": "b", "Segment1_Name": "tumour", "Segment1_LabelValue": "7"}
    nrrd.write(str(tmp_path / "named.seg.nrrd"), label, names)
    info = {"label_info": [{"name": "liver", "idx": 1}, {"name": "tumour", "idx": 7}]}
    for file, said in (("named.seg.nrrd", {}), ("l.nii.gz", info)):
        with guard.checked("v", tmp_path / "v.nii.gz", tmp_path / file, said) as checked:
            np.testing.assert_array_equal(np.asarray(nib.load(checked.file).dataobj), label == 1)
            warnings = guard.noted(said, checked, tmp_path / "v.nii.gz")["warnings"]
            assert warnings == ["4 voxels of other segments are now background: the labels are liver and spleen."]
