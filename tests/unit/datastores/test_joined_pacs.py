"""Frames and volumes of one PACS, with a search filter that leaves some of both out."""

from pathlib import Path

import numpy as np
import pytest
from fastapi import HTTPException

import ct
from lib.datastores import DicomWebStudy, JoinedStudies, LabelGuard
from lib.datastores import listing as listing_module
from lib.datastores.outbox import Outbox
from sequal.files.imaging import read_frame
from sequal.settings import Settings
from sequal.study.state import StudyState
from unit.datastores.fake_archive import FakeArchive, ultrasound

CONFS = {"carotid": {}, "volume": {"models": "volume", "labels": ",".join(ct.LABELS)}}


@pytest.fixture
def archive() -> FakeArchive:
    return FakeArchive()


@pytest.fixture
def joined(archive: FakeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JoinedStudies:
    monkeypatch.setattr(listing_module, "_FRESH_S", 0.0)
    monkeypatch.setattr(Outbox, "start", lambda outbox: None)
    parts = {}
    for model, conf in CONFS.items():
        settings = Settings.from_conf(conf)
        state = StudyState.open(tmp_path / model, settings)
        parts[model] = DicomWebStudy(archive, {"PatientID": "inside"}, state, LabelGuard(state, settings))
    return JoinedStudies(parts, watched=False)


def test_an_image_outside_of_the_filter_is_that_of_the_model_of_its_modality(archive, joined) -> None:
    volume = archive.put(*ct.series(ct.phantom(), "outside"))
    frame = archive.put(*ultrasound(1, PatientID="outside"))
    other = archive.put(*ultrasound(2, PatientID="outside", Modality="XA"))
    assert joined.list_images() == []
    assert [joined.model_of(uid) for uid in (volume, frame)] == ["volume", "carotid"]
    assert [joined.model_of(uid) for uid in (other, "1.2.3", "name")] == [None, None, None]
    np.testing.assert_array_equal(read_frame(joined.get_image_uri(volume)).pixels, ct.phantom().values)
    assert joined.get_image_uri("1.2.3") == ""
    for model in CONFS:
        with pytest.raises(HTTPException, match=rf"of the model `{model}` to be .* got {other}, which is of XA\. Open"):
            joined.of_model(model).get_image_uri(other)


def test_the_pacs_is_asked_once_for_an_image_that_is_not_known_and_never_for_others(archive, joined) -> None:
    listed = [archive.put(*ct.series(ct.phantom(), "inside")), archive.put(*ultrasound(1, PatientID="inside"))]
    fetched = archive.put(*ultrasound(2, PatientID="outside"))
    assert set(joined.list_images()) == set(listed)
    assert joined.get_image_uri(fetched)
    asked: list[str] = []
    archive.find = asked.append
    for model, image in zip(("volume", "carotid", "carotid"), (*listed, fetched), strict=True):
        assert joined.model_of(image) == model
        assert joined.get_image_uri(image)
        assert joined.get_labels_by_image_id(image) == {}
    assert asked == []
    assert [joined.model_of(image) for image in ("1.2.3", "name")] == [None, None]
    assert asked == ["1.2.3"]


def test_while_the_pacs_is_down_it_is_that_of_no_model(archive, joined) -> None:
    volume = archive.put(*ct.series(ct.phantom(), "outside"))
    archive.up = False
    assert joined.model_of(volume) is None
