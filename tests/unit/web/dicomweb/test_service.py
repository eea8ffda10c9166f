import io
import json
from email import message_from_bytes
from pathlib import Path

import numpy as np
import pydicom
import pytest
from fastapi import HTTPException

from lib.web.dicomweb import FolderService
from lib.web.dicomweb.objects import ServedObjects
from sequal.errors import ImageError
from unit.web.dicomweb.folder import FRAMES, HEIGHT, ROOT, WIDTH, ask, label, make_folder, pixels, save

FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path)


@pytest.fixture
def service(folder):
    return FolderService(folder)


def _json(reply):
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/dicom+json"
    return json.loads(reply.body)


def _value(result, tag):
    found = result[tag].get("Value", [None])[0]
    return found["Alphabetic"] if isinstance(found, dict) else found


def _parts(reply):
    head = f"Content-Type: {reply.headers['content-type']}\r\n\r\n".encode()
    return [part.get_payload(decode=True) for part in message_from_bytes(head + reply.body).get_payload()]


def _series(service, image):
    return f"studies/{service.uids.study(image)}/series/{service.uids.series(image)}"


def _instances(service, image):
    return [
        f"{_series(service, image)}/instances/{_value(one, '00080018')}"
        for one in _json(ask(service, f"{_series(service, image)}/instances"))
    ]


def test_every_image_is_a_study_with_the_names_that_the_folder_has(service):
    found = {_value(one, "00081030"): one for one in _json(ask(service, "studies"))}

    assert set(found) == {"still", "clip", "picture", "damaged"}
    still = found["still"]
    assert (_value(still, "00100020"), _value(still, "00100010")) == ("p01", "p01")
    assert still["00080061"]["Value"] == ["SEG", "US"]
    assert (_value(still, "00201206"), _value(still, "00201208")) == (2, 3)
    assert (_value(found["clip"], "00201206"), _value(found["clip"], "00201208")) == (1, FRAMES)
    assert _value(found["picture"], "00201208") == 2
    assert _value(found["damaged"], "00201208") == 0
    assert _value(still, "00081190") == f"{ROOT}/studies/{_value(still, '0020000D')}"
    assert still["00080020"] == {"vr": "DA"}


def test_pages_follow_each_other_and_say_that_there_is_more(service):
    first, second = ask(service, "studies", "limit=3"), ask(service, "studies", "limit=3&offset=3")

    names = [_value(one, "00081030") for reply in (first, second) for one in _json(reply)]
    assert names == ["clip", "damaged", "picture", "still"]
    assert "further results" in first.headers["warning"]
    assert "warning" not in second.headers
    assert ask(service, "studies", "offset=4").status_code == 204


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("PatientID=p01", ["clip", "still"]),
        ("PatientName=*02*", ["picture"]),
        ("StudyDescription=*STIL*", ["still"]),
        ("ModalitiesInStudy=SEG", ["still"]),
        ("ModalitiesInStudy=CT", []),
        ("StudyDate=20200101-20300101", []),
        ("AccessionNumber=*7*", []),
        ("StudyInstanceUID=1.2.3", []),
    ],
)
def test_studies_are_found_by_what_the_list_of_ohif_searches_for(service, query, found):
    reply = ask(service, "studies", query)
    assert [_value(one, "00081030") for one in (_json(reply) if reply.status_code == 200 else [])] == found


def test_studies_are_found_by_their_uids(service):
    uids = [service.uids.study(image) for image in ("still", "clip")]
    for separator in ("%5C", ","):
        found = _json(ask(service, "studies", f"StudyInstanceUID={separator.join(uids)}"))
        assert {_value(one, "0020000D") for one in found} == set(uids)


def test_what_is_not_compared_is_said(service):
    reply = ask(service, "studies", "BodyPartExamined=NECK&fuzzymatching=true")
    assert len(_json(reply)) == 4
    assert "BodyPartExamined" in reply.headers["warning"]
    assert "fuzzymatching" in reply.headers["warning"]


def test_series_and_instances_are_found_in_a_study_and_in_all(service):
    study = service.uids.study("still")
    series = _json(ask(service, f"studies/{study}/series", "includefield=0008103E"))
    assert [_value(one, "00080060") for one in series] == ["US", "SEG"]
    assert _value(series[0], "0008103E") == "Frame"
    assert _value(series[1], "0008103E") == "Label of the annotator"
    assert [_value(one, "00201209") for one in series] == [2, 1]
    assert "00100020" not in series[0]

    every = _json(ask(service, "series"))
    assert [_value(one, "00081030") for one in every] == ["clip", "picture", "still", "still"], "not the damaged one"
    assert len(_json(ask(service, "series", "Modality=SEG"))) == 1
    assert len(_json(ask(service, "instances", "Modality=US"))) == FRAMES + 2 + 2

    instances = _json(ask(service, f"studies/{study}/instances"))
    assert [_value(one, "00200013") for one in instances] == [1, 2, 1]
    assert {(_value(one, "00280011"), _value(one, "00280010")) for one in instances} == {(WIDTH, HEIGHT)}
    one = _value(instances[1], "00080018")
    assert len(_json(ask(service, f"{_series(service, 'still')}/instances", f"SOPInstanceUID={one}"))) == 1


def test_the_metadata_are_those_of_the_instances_without_their_pixels(service):
    found = _json(ask(service, f"{_series(service, 'clip')}/metadata"))
    assert [_value(one, "00200013") for one in found] == [1, 2, 3]
    assert {_value(one, "0020000E") for one in found} == {service.uids.series("clip")}
    for index, one in enumerate(found):
        assert one["00200032"]["Value"] == [0, 0, -index]
        assert one["00280030"]["Value"] == pytest.approx([0.06, 0.06])
        assert "InlineBinary" not in json.dumps(one)
        path = one["7FE00010"]["BulkDataURI"].removeprefix(f"{ROOT}/")
        assert _parts(ask(service, path))[0] == pixels(FRAMES)[:, :, index].T.tobytes() + b"\0"
    whole = _json(ask(service, f"studies/{service.uids.study('still')}/metadata"))
    assert [_value(one, "00080060") for one in whole] == ["US", "US", "SEG"]


def test_frames_hold_the_pixels_of_the_file(service):
    for index, path in enumerate(_instances(service, "clip")):
        reply = ask(service, f"{path}/frames/1", accept=FRAME)
        assert b"transfer-syntax=1.2.840.10008.1.2.1" in reply.body
        assert _parts(reply) == [pixels(FRAMES)[:, :, index].T.tobytes()]
    one, other = (
        ask(service, f"{path}/frames/1", accept="application/octet-stream").body
        for path in _instances(service, "picture")
    )
    assert one == other == pixels()[:, :, 0].T.tobytes()


def test_an_instance_is_the_same_as_to_dicom_writes_but_for_its_uids(service):
    path = _instances(service, "picture")[0]
    single = ask(service, path, accept="application/dicom")
    (part,) = _parts(ask(service, path, accept='multipart/related; type="application/dicom"'))
    assert part == single.body
    dataset = pydicom.dcmread(io.BytesIO(part))
    assert dataset.SeriesDescription == "Frame, NOT CALIBRATED"
    np.testing.assert_array_equal(dataset.pixel_array, pixels()[:, :, 0].T)
    assert len(_parts(ask(service, f"studies/{service.uids.study('still')}"))) == 3


def test_a_dicom_file_of_the_folder_is_shown_in_the_form_that_viewers_take(service, folder, tmp_path):
    original = pydicom.dcmread(
        io.BytesIO(ask(service, _instances(service, "still")[0], accept="application/dicom").body)
    )
    original.save_as(tmp_path / "scan.dcm")
    folder.files["scan"] = str(tmp_path / "scan.dcm")
    instances = _instances(service, "scan")
    assert len(instances) == 2
    shown = pydicom.dcmread(io.BytesIO(ask(service, instances[1], accept="application/dicom").body))
    assert shown.SOPInstanceUID != original.SOPInstanceUID
    assert shown.PixelData == original.PixelData
    assert [float(value) for value in shown.PixelSpacing] == pytest.approx([0.06, 0.06])


def test_a_label_is_a_segmentation_on_its_image(service, folder):
    series = _json(ask(service, f"studies/{service.uids.study('still')}/series"))[1]
    path = f"studies/{service.uids.study('still')}/series/{_value(series, '0020000E')}"
    (part,) = _parts(ask(service, path))
    dataset = pydicom.dcmread(io.BytesIO(part))
    assert dataset.SeriesInstanceUID == _value(series, "0020000E")
    for copy in dataset.pixel_array:
        np.testing.assert_array_equal(copy, label()[:, :, 0].T)
    referenced = dataset.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == service.uids.series("still")
    frame = _parts(ask(service, f"{path}/instances/{dataset.SOPInstanceUID}/frames/2"))[0]
    bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little", count=WIDTH * HEIGHT)
    np.testing.assert_array_equal(bits.reshape(HEIGHT, WIDTH), label()[:, :, 0].T)

    # A new label is another series; the former one is gone.
    save(Path(folder.labels["still"]), np.roll(label(), 2, axis=1))
    with pytest.raises(HTTPException) as missing:
        ask(service, path)
    assert missing.value.status_code == 404


def test_what_is_not_there_is_not_found(service):
    study, other = service.uids.study("still"), service.uids.series("clip")
    instance = _instances(service, "still")[0]
    for path in (
        "",
        "patients",
        "studies/1.2",
        "studies/1.2/series",
        f"studies/{study}/series/{other}/metadata",
        f"studies/{study}/series/1.2/instances",
        f"{_series(service, 'still')}/instances/1.2",
        f"{instance}/frames/2",
        f"{instance}/frames/0",
        f"{instance}/bulkdata/00100010",
        f"{instance}/rendered",
    ):
        with pytest.raises(HTTPException) as missing:
            ask(service, path)
        assert missing.value.status_code == 404, path
        assert missing.value.detail.startswith("Expected ")


def test_what_cannot_be_had_is_refused(service):
    instance = _instances(service, "still")[0]
    with pytest.raises(HTTPException) as malformed:
        ask(service, f"{instance}/frames/one")
    assert malformed.value.status_code == 400
    for path, accept in (
        (f"{instance}/frames/1", "image/jls"),
        (f"{instance}/frames/1", 'multipart/related; type="image/jpeg"'),
        (instance, 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90'),
        (f"{_series(service, 'still')}/metadata", "application/dicom+xml"),
        ("studies", "text/html"),
    ):
        with pytest.raises(HTTPException) as refused:
            ask(service, path, accept=accept)
        assert refused.value.status_code == 406, (path, accept)
    with pytest.raises(ImageError):
        ask(service, f"{_series(service, 'damaged')}/metadata")


def test_uids_stay_for_an_id_and_differ_between_studies(service, folder, tmp_path):
    uid = service.uids.series("still")
    folder.patients["still"] = "p09"
    assert service.uids.series("still") == uid
    assert _value(_json(ask(service, f"{_series(service, 'still')}/metadata"))[0], "00100020") == "p09"
    folder.salt = "of another study"
    assert FolderService(folder).uids.series("still") != uid


def test_images_that_come_and_go_are_found_and_not_found(service, folder, tmp_path):
    assert service.uids.image_of_series(service.uids.series("new")) is None
    folder.files["new"] = save(tmp_path / "new.nii.gz", pixels(seed=1))
    assert service.uids.image_of_series(service.uids.series("new")) == "new"
    assert service.uids.image_of_study(service.uids.study("new")) == "new"
    del folder.files["new"]
    assert service.uids.image_of_series(service.uids.series("new")) is None


def test_an_object_is_made_once_and_again_when_its_file_changes(service, folder, tmp_path):
    objects = ServedObjects(folder, service.uids)
    first = objects.images("still")
    assert objects.images("still") is first
    save(tmp_path / "still.nii.gz", pixels(seed=9))
    assert objects.images("still")[0].PixelData != first[0].PixelData


def test_what_is_kept_is_bounded(service, folder):
    size = 2 * (WIDTH * HEIGHT + (32 << 10)) + 10
    objects = ServedObjects(folder, service.uids, largest_bytes=size)
    first = objects.images("still")
    objects.images("picture")
    assert objects.images("still") is not first, "there is room for one of them"
    assert len(objects.images("clip")) == FRAMES, "larger than all that is kept"


def test_a_label_that_does_not_fit_is_left_out(service, folder, tmp_path):
    folder.labels["picture"] = save(tmp_path / "wrong.nii.gz", label(FRAMES))
    assert len(_json(ask(service, f"studies/{service.uids.study('picture')}/series"))) == 1
    assert len(_json(ask(service, f"studies/{service.uids.study('picture')}/metadata"))) == 2
