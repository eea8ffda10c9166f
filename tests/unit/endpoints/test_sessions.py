import zipfile

import pytest
from fastapi import HTTPException

from lib.endpoints import SafeSessions


@pytest.fixture
def sessions(tmp_path):
    return SafeSessions(str(tmp_path / "sessions"))


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "frame.png"
    file.write_bytes(b"frame")
    return file


def test_an_image_is_kept_found_and_removed(sessions, image):
    name, info = sessions.add_session(str(image))

    assert sessions.get_session(name).image == info.image
    sessions.remove_session(name)
    assert sessions.get_session(name) is None


@pytest.mark.parametrize("form", ["{}", "../{}", "x/../../{}"])
def test_what_is_no_id_of_a_session_removes_and_finds_nothing(sessions, tmp_path, form):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "meta.info").write_text('{"image": "/etc/passwd"}')
    name = form.format(victim if form == "{}" else "victim")

    sessions.remove_session(name)
    assert sessions.get_session(name) is None
    assert (victim / "meta.info").exists()
    with pytest.raises(HTTPException):
        sessions.add_session(str(victim / "meta.info"), session_id=name)


def test_an_archive_is_unpacked_by_our_rules(sessions, tmp_path):
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    for archive, member in ((good, "frame.png"), (bad, "../../out")):
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr(member, b"frame")

    assert sessions.add_session(str(good), uncompress=True)[1].image.endswith("frame.png")
    with pytest.raises(HTTPException) as refused:
        sessions.add_session(str(bad), uncompress=True)
    assert refused.value.status_code == 400
    assert not (tmp_path / "out").exists()
