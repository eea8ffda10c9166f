import pytest

from sequal.errors import StudyError
from sequal.study.address import split_address


@pytest.mark.parametrize("address", ["http://[x", "http://reader:secret@[x"])
def test_a_malformed_address_is_named_without_its_password(address):
    with pytest.raises(StudyError) as caught:
        split_address(address)
    assert str(caught.value).startswith(
        "Expected `--studies` to be a folder or the address of a DICOMweb service, got "
    )
    assert str(caught.value).endswith("(Invalid IPv6 URL). Write for example http://127.0.0.1:8042/dicom-web.")
    assert "[x" in str(caught.value)
    assert "secret" not in str(caught.value)
