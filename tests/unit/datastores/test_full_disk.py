"""Real disks that are full or read-only: small ones in memory, where this user may mount them."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fastapi import HTTPException

from lib.configs import refusal
from lib.datastores import LabelGuard, StudyFolder
from sequal.errors import StudyError
from sequal.study.state import StudyState
from sequal.study.storage import is_writable
from unit.synthetic_study import settings

SHAPE = (120, 90, 1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a disk in memory")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(disk: Path) -> None:
    with (disk / "filling").open("ab", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096) == 4096:
                pass
        except OSError:
            pass


def _study(folder: Path) -> Path:
    folder.mkdir()
    for number, name in enumerate("abc"):
        pixels = np.random.default_rng(number).integers(0, 255, SHAPE, dtype=np.uint8)
        nib.save(nib.Nifti1Image(pixels, np.eye(4)), folder / f"{name}.nii.gz")
    return folder


def _label(path: Path, seed: int) -> Path:
    label = np.zeros(SHAPE, np.uint8)
    label[10:100, 40:48] = 1
    label[:10] = 255 * np.random.default_rng(seed).integers(0, 2, (10, *SHAPE[1:]), dtype=np.uint8)
    nib.save(nib.Nifti1Image(label, np.eye(4)), path)
    return path


def _refusal_of(call: Callable[[], object]) -> HTTPException | None:
    try:
        call()
    except HTTPException as error:
        return error
    return None


@pytest.mark.parametrize("full", ["study", "state", "both"])
def test_what_is_acknowledged_is_stored_and_nothing_else(tmp_path: Path, disk: Path, full: str) -> None:
    studies = _study((tmp_path if full == "state" else disk) / "study")
    state = StudyState.open((tmp_path if full == "study" else disk) / "state", settings())
    folder = StudyFolder(str(studies), LabelGuard(state), auto_reload=False)
    folder.save_label("a", str(_label(tmp_path / "first.nii.gz", 0)), "final", {})
    stored = studies / "labels" / "final" / "a.nii.gz"
    _fill(disk)
    for seed in range(1, 6):
        before, sent = stored.read_bytes(), _label(tmp_path / f"{seed}.nii.gz", seed)
        refused = _refusal_of(lambda sent=sent: folder.save_label("a", str(sent), "final", {}))
        if refused is not None:
            assert refused.status_code == 507
            assert "free" in refused.detail
            assert stored.read_bytes() == before
        else:
            wanted = np.asarray(nib.load(sent).dataobj)
            np.testing.assert_array_equal(np.asarray(nib.load(stored).dataobj), wanted)
        assert [path.name for path in stored.parent.iterdir()] == ["a.nii.gz"]
        (disk / "filling").open("r+b").truncate(max(0, (disk / "filling").stat().st_size - 4096))
    (disk / "filling").unlink()
    folder.save_label("a", str(_label(tmp_path / "last.nii.gz", 9)), "final", {})
    again = StudyFolder(str(studies), LabelGuard(state), auto_reload=False)
    assert again.list_images() == ["a", "b", "c"]
    assert again.get_labeled_images() == ["a"]


def test_a_full_state_is_named_where_no_copy_can_be_kept(tmp_path: Path, disk: Path) -> None:
    studies = _study(tmp_path / "study")
    state = StudyState.open(disk / "state", settings())
    folder = StudyFolder(str(studies), LabelGuard(state), auto_reload=False)
    folder.save_label("a", str(_label(tmp_path / "l.nii.gz", 0)), "final", {})
    _fill(disk)
    for remove in (lambda: folder.remove_label("a", "final"), lambda: folder.remove_image("a")):
        refused = _refusal_of(remove)
        assert refused is not None
        assert refused.status_code == 507
        assert "and the state to be writable" in refused.detail
    assert (studies / "labels" / "final" / "a.nii.gz").exists()
    assert folder.get_labeled_images() == ["a"]


def test_a_full_state_is_507_and_a_state_that_is_there_is_opened(disk: Path) -> None:
    StudyState.open(disk / "state", settings()).ledger.release("a")
    _fill(disk)

    def work() -> None:
        state = StudyState.open(disk / "state", settings())
        for number in range(2000):
            state.ledger.acquire_lease([f"image {number}" * 20], f"reader {number}", 60)

    with pytest.raises(StudyError) as caught:
        work()
    assert refusal(caught.value).status_code == 507


def test_a_read_only_disk_is_served_for_reading(tmp_path: Path, disk: Path) -> None:
    studies = _study(disk / "study")
    state = StudyState.open(tmp_path / "state", settings())
    assert is_writable(studies)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert not is_writable(studies)
    folder = StudyFolder(str(studies), LabelGuard(state), auto_reload=False)
    assert folder.read_only
    assert folder.list_images() == ["a", "b", "c"]
    with pytest.raises(HTTPException, match="read-only") as caught:
        folder.save_label("a", str(_label(tmp_path / "l.nii.gz", 0)), "final", {})
    assert caught.value.status_code == 507


def test_a_read_only_state_stops_with_a_sentence(disk: Path) -> None:
    StudyState.open(disk / "state", settings()).ledger.close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StudyError, match="writable"):
        StudyState.open(disk / "state", settings())
