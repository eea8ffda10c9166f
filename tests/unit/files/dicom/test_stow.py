"""Against a real Orthanc."""

import re

import numpy as np
import pydicom
import pydicom_seg
import pytest
import requests
from dicomweb_client import DICOMwebClient

from pacs import running_orthanc
from sequal.errors import PacsError, SettingsError
from sequal.files.dicom import Pacs
from sequal.files.dicom.connection import PASSWORD_VARIABLE, USER_VARIABLE
from unit.files.dicom.frames import make_bundle, make_values


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as url:
        yield url


def objects(bundle):
    return [dataset for _, dataset in bundle.named()]


def test_the_pacs_holds_what_was_sent(orthanc):
    bundle = make_bundle(frames=4)
    assert Pacs(orthanc + "/").store(objects(bundle)) is None
    client = DICOMwebClient(orthanc)
    uid = bundle.identity.study_uid
    series = [pydicom.Dataset.from_json(item) for item in client.search_for_series(uid)]
    assert sorted(item.Modality for item in series) == ["SEG", "SEG", "SR", "SR", "US"]
    images = client.retrieve_series(uid, bundle.images[0].SeriesInstanceUID)
    by_uid = {image.SOPInstanceUID: image for image in images}
    assert len(by_uid) == 4
    for sent in bundle.images:
        assert np.array_equal(by_uid[sent.SOPInstanceUID].pixel_array, sent.pixel_array)
    segmentation = bundle.labels[0].segmentation
    (back,) = client.retrieve_series(uid, segmentation.SeriesInstanceUID)
    volume = pydicom_seg.MultiClassReader().read(back).data.transpose(2, 1, 0)
    expected = make_values(4)[:, :, ::-1]
    assert np.array_equal(volume, np.where(expected == 255, 2, expected))


def test_sending_again_adds_nothing(orthanc):
    def instances():
        return requests.get(orthanc.replace("/dicom-web", "/statistics"), timeout=10).json()["CountInstances"]

    bundle = make_bundle(image="again")
    Pacs(orthanc).store(objects(bundle))
    before = instances()
    assert Pacs(orthanc).store(objects(make_bundle(image="again"))) is None
    assert instances() == before


def test_a_pacs_that_is_down_is_named_with_what_to_do(tmp_path):
    with running_orthanc(tmp_path / "orthanc") as url:
        port = int(url.split(":")[2].split("/")[0])
    with pytest.raises(PacsError, match=rf"Expected the PACS at {url} to answer.*Start it"):
        Pacs(url).store(objects(make_bundle(kinds=())))
    with running_orthanc(tmp_path / "orthanc", port=port) as again:
        assert Pacs(again).store(objects(make_bundle(kinds=()))) is None


def test_an_address_that_is_no_dicomweb_service_is_refused(orthanc):
    with pytest.raises(PacsError, match="404"):
        Pacs(orthanc.replace("dicom-web", "nowhere")).store(objects(make_bundle(kinds=())))
    for url in ("nowhere", "ftp://127.0.0.1/dicom-web", "http://[/dicom-web"):
        with pytest.raises(SettingsError, match="address of a DICOMweb service"):
            Pacs(url)


def test_objects_that_the_pacs_refuses_are_named_and_the_others_kept(orthanc):
    bundle = make_bundle(image="broken", kinds=())
    broken = bundle.images[1]
    del broken.SeriesInstanceUID
    del broken.StudyInstanceUID
    assert re.match(r"The PACS refused (1 of|all) 2 objects", Pacs(orthanc).store(bundle.images))
    assert Pacs(orthanc).store(make_bundle(image="whole", kinds=()).images) is None


def test_name_and_password_come_from_the_servers_variables(monkeypatch, orthanc):
    sent = []

    def answer(self, request, **_):
        sent.append(request.headers.get("Authorization"))
        raise requests.ConnectionError("no answer")

    monkeypatch.setattr(requests.Session, "send", answer)
    monkeypatch.setenv(USER_VARIABLE, "anna")
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")
    with pytest.raises(PacsError) as error:
        Pacs(orthanc).store(objects(make_bundle(kinds=())))
    assert sent == ["Basic YW5uYTpzZWNyZXQ="]
    assert "secret" not in str(error.value)


def test_an_address_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(SettingsError, match=PASSWORD_VARIABLE) as error:
        Pacs("http://anna:secret@127.0.0.1:1/dicom-web")
    assert "secret" not in str(error.value)
