import pytest

from lib.web.dicomweb.query import LARGEST_PAGE, Search, matches
from sequal.errors import SettingsError


def test_a_query_of_ohif_is_understood():
    search = Search.of(
        "PatientName=*p02*&00100020=*p*&StudyDate=20200101-20260101&ModalitiesInStudy=US&limit=101&offset=101"
        "&fuzzymatching=true&includefield=00081030%2C00080060"
    )
    assert search.wanted == {
        "PatientName": "*p02*",
        "PatientID": "*p*",
        "StudyDate": "20200101-20260101",
        "ModalitiesInStudy": "US",
    }
    assert (search.limit, search.offset, search.fuzzy) == (101, 101, True)


def test_an_empty_pattern_and_an_empty_query_look_for_everything():
    assert Search.of("PatientID=&StudyDate=") == Search.of("") == Search({}, LARGEST_PAGE, 0)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("limit=x", "limit"),
        ("limit=-1", "limit"),
        ("offset=1.5", "offset"),
        ("limit=1&limit=2", "twice"),
        ("PatientID=a&00100020=b", "twice"),
        ("fuzzymatching=perhaps", "fuzzymatching"),
        ("NoSuchThing=1", "NoSuchThing"),
        ("FFFFFFFF=1", "FFFFFFFF"),
        ("=1", "''"),
        ("PatientID=%ff", "UTF-8"),
        ("&".join(f"PatientID={n}" for n in range(200)), "100 keys"),
        ("limit=" + "9" * 40, "limit"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_key(query, word):
    with pytest.raises(SettingsError, match="Expected") as refusal:
        Search.of(query)
    assert word in str(refusal.value)


def test_a_page_is_never_larger_than_the_largest():
    assert Search.of("limit=999999999").limit == LARGEST_PAGE


@pytest.mark.parametrize(
    ("keyword", "value", "pattern", "fits"),
    [
        ("PatientID", "p01", "p01", True),
        ("PatientID", "p01", "p0", False),
        ("PatientID", "p01", "P0?", True),
        ("PatientID", "p01", "*1", True),
        ("PatientID", "a[b]c", "a[b]*", True),
        ("PatientID", "ab", "a.", False),
        ("PatientID", None, "*", True),
        ("PatientID", None, "x", False),
        ("ModalitiesInStudy", ["SEG", "US"], "US", True),
        ("ModalitiesInStudy", ["US"], "SEG", False),
        ("SeriesNumber", 100, "100", True),
        ("SeriesNumber", 100, "x", False),
        ("StudyInstanceUID", "1.2", "1.2,1.3", True),
        ("StudyInstanceUID", "1.2", "1.*", False),
        ("StudyDate", "20260102", "-20260101", False),
        ("StudyDate", "20260102", "20260102", True),
    ],
)
def test_values_are_compared_as_their_attribute_says(keyword, value, pattern, fits):
    assert matches(keyword, value, pattern) is fits


def test_many_stars_take_no_longer():
    assert not matches("PatientID", "a" * 64, "*a" * 30 + "b")
