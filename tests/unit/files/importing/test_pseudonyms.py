import hmac
import os
import stat

import pytest

from sequal.errors import StudyError
from sequal.files.importing.pseudonyms import SALT_NAME, Pseudonyms


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_salt_is_kept_and_its_owner_alone_reads_it(tmp_path):
    old = os.umask(0)
    try:
        first = Pseudonyms.open(tmp_path, needed=False)
    finally:
        os.umask(old)
    assert mode(tmp_path / SALT_NAME) == 0o600
    assert Pseudonyms.open(tmp_path, needed=True).of("patient", "7", 10) == first.of("patient", "7", 10)
    assert [path.name for path in tmp_path.iterdir()] == [SALT_NAME]


def test_studies_give_one_patient_different_names(tmp_path):
    names = set()
    for study in ("a", "b"):
        (tmp_path / study).mkdir()
        names.add(Pseudonyms.open(tmp_path / study, needed=False).of("patient", "7", 10))
    assert len(names) == 2


def test_hashes_depend_on_kind_and_value():
    hashes = Pseudonyms(bytes(32))
    assert hashes.of("patient", "7", 64) == hmac.new(bytes(32), b"patient\x007", "sha256").hexdigest()
    assert len({hashes.of("patient", "7", 64), hashes.of("patient", "8", 64), hashes.of("study", "7", 64)}) == 3
    assert hashes.of("patient", "7", 64).startswith(hashes.of("patient", "7", 10))


def test_a_salt_that_others_read_is_closed_to_them(tmp_path):
    Pseudonyms.open(tmp_path, needed=False)
    (tmp_path / SALT_NAME).chmod(0o644)
    Pseudonyms.open(tmp_path, needed=False)
    assert mode(tmp_path / SALT_NAME) == 0o600


def test_a_lost_salt_is_not_replaced(tmp_path):
    with pytest.raises(StudyError, match="Restore it from a backup"):
        Pseudonyms.open(tmp_path, needed=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xff", b"g" * 64])
def test_a_damaged_salt_is_named(tmp_path, content):
    (tmp_path / SALT_NAME).write_bytes(content)
    with pytest.raises(StudyError, match=SALT_NAME):
        Pseudonyms.open(tmp_path, needed=False)
