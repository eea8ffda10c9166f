import pytest

from lib.web.dicomweb.media import accepted


@pytest.mark.parametrize(
    ("header", "inner", "syntax"),
    [
        ("", "*/*", "*"),
        ("*/*", "*/*", "*"),
        ('multipart/related; type="application/dicom"; transfer-syntax=1.2.3', "application/dicom", "1.2.3"),
        ("multipart/related; type=Application/octet-stream", "application/octet-stream", "*"),
        ("multipart/related", "*/*", "*"),
        ("Application/DICOM+json;q=0.9", "application/dicom+json", "*"),
        (";;;", "*/*", "*"),
    ],
)
def test_the_first_form_is_understood(header, inner, syntax):
    form = accepted(header)[0]
    assert (form.inner, form.syntax) == (inner, syntax)


def test_commas_in_quotes_separate_nothing():
    header = 'multipart/related; type="a/b"; boundary="x,y", image/png'
    assert [form.media for form in accepted(header)] == ["multipart/related", "image/png"]
