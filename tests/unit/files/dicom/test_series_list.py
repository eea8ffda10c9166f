import pytest

from sequal.errors import SettingsError
from sequal.files.dicom.series_list import image_filter, one_by_one

VOLUMES = ("CT", "MR", "PT")


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("CT", "CT"),
        ("ct", "CT"),
        ("?T", ["CT", "PT"]),
        ("*", ["CT", "MR", "PT"]),
        ("", ["CT", "MR", "PT"]),
        (None, ["CT", "MR", "PT"]),
        (["US", "MR", "P*"], ["MR", "PT"]),
        ("US\\CT", "CT"),
        ("CT, MR", ["CT", "MR"]),
    ],
)
@pytest.mark.parametrize("key", ["Modality", "00080060"])
def test_a_model_takes_what_the_filter_finds_of_its_modalities(key: str, asked: object, used: object) -> None:
    given = {key: asked, "PatientID": "p*"}
    for shared in (False, True):
        assert image_filter(given, "volume", VOLUMES, shared=shared) == {"Modality": used, "PatientID": "p*"}


def test_without_a_modality_others_are_listed_only_where_no_other_model_has_them() -> None:
    given = {"PatientID": "p"}
    assert image_filter(given, "carotid", ["US"]) == given
    assert image_filter(given, "carotid", ["US"], shared=True) == {"PatientID": "p", "Modality": "US"}


@pytest.mark.parametrize("asked", ["US", ["US", "XA"], "X?", "C"])
def test_a_filter_that_finds_nothing_of_a_model_is_refused(asked: object) -> None:
    with pytest.raises(SettingsError, match="CT or MR or PT, which are the images of the model `volume`, got Modality"):
        image_filter({"Modality": asked}, "volume", VOLUMES)


@pytest.mark.parametrize("asked", [5, {"a": 1}, ["CT", 5], True])
def test_a_modality_that_is_no_text_is_refused(asked: object) -> None:
    with pytest.raises(SettingsError, match="to be a text or a list of texts"):
        image_filter({"Modality": asked}, "volume", VOLUMES)


@pytest.mark.parametrize("key", ["Modality", "00080060", "PatientID"])
def test_an_empty_list_is_refused(key: str) -> None:
    for shared in (False, True):
        with pytest.raises(SettingsError, match=f"SEARCH_FILTER` to have a value, got none in {key}, which finds no"):
            image_filter({key: [], "StudyDate": "2026*"}, "volume", VOLUMES, shared=shared)


def test_lists_of_any_attribute_are_asked_for_one_by_one() -> None:
    asked = one_by_one({"Modality": ["CT", "MR"], "PatientID": ["a", "b"], "StudyDate": "2026*"})
    assert [(one["Modality"], one["PatientID"], one["StudyDate"]) for one in asked] == [
        ("CT", "a", "2026*"),
        ("CT", "b", "2026*"),
        ("MR", "a", "2026*"),
        ("MR", "b", "2026*"),
    ]
    assert one_by_one({}) == [{}]
