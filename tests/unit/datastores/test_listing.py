import threading
from pathlib import Path
from typing import Any

import pytest

from lib.datastores import listing as listing_module
from lib.datastores.archive import Series
from lib.datastores.listing import Lister
from unit.datastores.fake_archive import FakeArchive, ultrasound

#: For what must happen; reached only by a test that fails.
LONG_S = 30.0


class _SilentArchive(FakeArchive):
    """Answers nobody before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()

    def series(self, search_filter: dict[str, Any]) -> list[Series]:
        assert self.go.wait(LONG_S)
        return super().series(search_filter)


@pytest.fixture
def archive(monkeypatch) -> _SilentArchive:
    monkeypatch.setattr(listing_module, "_FRESH_S", 0.0)
    monkeypatch.setattr(listing_module, "_PATIENCE_S", 0.1)
    return _SilentArchive()


def _lister(archive: FakeArchive, folder: Path, *, writes: bool) -> Lister:
    return Lister(archive, {"Modality": "US"}, "salt", folder / "listing.json", writes=writes, modalities=("US",))


def test_the_server_works_with_the_last_list_while_the_pacs_is_silent(archive, tmp_path):
    first, lister = archive.put(*ultrasound(0)), _lister(archive, tmp_path, writes=True)
    assert set(lister.last().images) == {first}
    second = archive.put(*ultrasound(1))
    archive.go.clear()
    try:
        for _ in range(3):
            assert set(lister.last().images) == {first}
    finally:
        archive.go.set()
    assert set(lister.now().images) == {first, second}


def test_a_training_process_takes_the_time_that_the_pacs_needs(archive, tmp_path):
    image, lister = archive.put(*ultrasound(0)), _lister(archive, tmp_path, writes=False)
    archive.go.clear()
    threading.Timer(0.3, archive.go.set).start()
    assert set(lister.last().images) == {image}
