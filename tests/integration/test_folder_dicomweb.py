"""A folder by DICOMweb: a real server, asked by dicomweb-client, and by the requests of a viewer."""

import gzip
import io
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient

from integration.conftest import CLIP_FRAMES
from integration.data import FRAMES, HEIGHT, LABELLED, SPACING_MM, WIDTH, frame, label_of
from integration.server import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def viewer(server: Server) -> DICOMwebClient:
    return DICOMwebClient(f"{server.url}/sequal/dicom-web")


def _study(viewer: DICOMwebClient, image: str) -> tuple[str, str]:
    """UIDs of an image."""
    (found,) = viewer.search_for_studies(search_filters={"StudyDescription": image})
    study = found["0020000D"]["Value"][0]
    (series,) = viewer.search_for_series(study, search_filters={"Modality": "US"})
    return study, series["0020000E"]["Value"][0]


def test_studies_are_searched_page_by_page(viewer, server):
    total = server.client().info()["datastore"]["total"]
    first = viewer.search_for_studies(limit=5)
    rest = viewer.search_for_studies(offset=5)
    names = [found["00081030"]["Value"][0] for found in (*first, *rest)]
    assert len(first) == 5
    assert names == sorted(names)
    assert len(names) == total
    assert set(FRAMES) <= set(names)
    patient = viewer.search_for_studies(search_filters={"PatientID": "p0?"}, fields=["StudyDescription"])
    assert {found["00081030"]["Value"][0] for found in patient} == set(FRAMES)
    assert viewer.search_for_studies(search_filters={"PatientName": "nobody"}) == []


def test_an_image_and_its_label_are_what_lies_in_the_folder(viewer, server):
    image = LABELLED[0]
    study, series = _study(viewer, image)
    instances = viewer.retrieve_series(study, series)
    assert [instance.InstanceNumber for instance in instances] == [1, 2]
    for instance in instances:
        np.testing.assert_array_equal(instance.pixel_array, frame(FRAMES.index(image))[0].T)
        assert [float(value) for value in instance.PixelSpacing] == pytest.approx([SPACING_MM, SPACING_MM])
    metadata = viewer.retrieve_series_metadata(study, series)
    assert [found["00080018"]["Value"][0] for found in metadata] == [one.SOPInstanceUID for one in instances]
    (pixels,) = viewer.retrieve_instance_frames(study, series, instances[1].SOPInstanceUID, [1])
    assert pixels == frame(FRAMES.index(image))[0].T.tobytes()
    # The client leaves the port out of `Host`, from which the server makes addresses.
    address = server.url + urlsplit(metadata[0]["7FE00010"]["BulkDataURI"]).path
    (bulk,) = viewer.retrieve_bulkdata(address)
    assert bulk == instances[0].PixelData

    (labelled,) = viewer.search_for_series(study, search_filters={"Modality": "SEG"})
    (segmentation,) = viewer.retrieve_series(study, labelled["0020000E"]["Value"][0])
    for mask in segmentation.pixel_array:
        np.testing.assert_array_equal(mask, label_of(image).T)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("studies?limit=many", 400),
        ("studies?Nonsense=1", 400),
        ("studies/1.2.3/metadata", 404),
        ("studies/1.2.3/series/..%2f..%2fetc", 400),
        ("nothing", 404),
    ],
)
def test_what_is_unknown_or_malformed_is_said(server, path, status):
    reply = server.request("GET", f"/sequal/dicom-web/{path}")
    assert reply.status_code == status, reply.text
    assert "Expected" in reply.json()["detail"]


def test_next_sample_says_which_study_it_is(viewer, server):
    sample = server.client("a viewer").next_sample("random", {})
    study, series = _study(viewer, sample["id"])
    assert (sample["StudyInstanceUID"], sample["SeriesInstanceUID"]) == (study, series)


def _mask(server: Server, image: str) -> np.ndarray:
    form = {"params": '{"result_extension": ".nii.gz", "result_dtype": "uint8"}'}
    reply = server.request("POST", "/infer/carotid", params={"image": image, "output": "image"}, data=form)
    assert reply.status_code == 200, reply.text
    return np.asanyarray(nib.Nifti1Image.from_bytes(gzip.decompress(reply.content)).dataobj)


def test_a_mask_for_a_viewer_has_its_slices(viewer, server):
    for image, slices in (("p06_left", 2), ("clip", CLIP_FRAMES)):
        _, series = _study(viewer, image)
        by_id, by_series = _mask(server, image), _mask(server, series)
        assert by_id.any()
        assert by_series.shape == (WIDTH, HEIGHT, slices)
        expected = np.repeat(by_id, 2, axis=2) if slices == 2 else by_id[:, :, ::-1]
        np.testing.assert_array_equal(by_series, expected)
        reply = server.request("GET", "/sequal/measurement", params={"image": series})
        assert reply.json()["image"] == image


def test_what_a_viewer_draws_is_the_label_of_the_image(viewer, server):
    for image, slices in (("p06_right", 2), ("clip", CLIP_FRAMES)):
        _, series = _study(viewer, image)
        drawn = np.zeros((WIDTH, HEIGHT, slices), np.uint8)
        drawn[20:100, 50:59, 0] = 1  # on the slice that the viewer shows as its first
        label = {"label": ("label.bin", io.BytesIO(drawn.tobytes(order="F")))}
        measured = server.request("POST", "/sequal/measurement", params={"image": series}, files=label)
        assert measured.json()["imt"]["mean_mm"] == pytest.approx(9 * SPACING_MM, abs=0.02), measured.text

        label["label"][1].seek(0)
        assert server.request("PUT", "/datastore/label", params={"image": series}, files=label).json()["label"] == image

        stored = server.stored_label(image)
        where = 0 if slices == 2 else CLIP_FRAMES - 1
        np.testing.assert_array_equal(stored.reshape(WIDTH, HEIGHT, -1)[:, :, where] == 1, drawn[:, :, 0] == 1)
        shown = server.request("GET", "/datastore/label", params={"label": series, "tag": "final"})
        seen = np.asanyarray(nib.Nifti1Image.from_bytes(gzip.decompress(shown.content)).dataobj)
        assert seen.shape == drawn.shape
        np.testing.assert_array_equal(seen[:, :, 0] == 1, drawn[:, :, 0] == 1)
        server.request("DELETE", "/datastore/label", params={"id": series, "tag": "final"})
        assert "final" not in server.client().datastore()["objects"][image]["labels"]


def test_the_pages_ask_nobody_but_the_server(server):
    for path, words in (
        ("/", ("Annotate", "/sequal/annotate/", "/ohif/", "In service")),
        ("/docs", ("/infer/{model}",)),
    ):
        reply = server.request("GET", path)
        assert reply.headers["content-type"].startswith("text/html")
        assert "://" not in reply.text.replace(server.url, ""), path
        for word in words:
            assert word in reply.text, (path, word)
    assert f"Open {server.url}/ in a browser" in server.log
