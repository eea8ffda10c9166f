import io
import os
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from lib.web.access.archives import MOST_MEMBERS, unpack
from sequal.errors import ImageError

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def tarred(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["zip", "w:", "w:gz", "w:bz2", "w:xz"])
def test_plain_files_are_unpacked(tmp_path, folder, mode):
    members = [("a.png", b"one"), ("deep/b.png", b"two")]
    archive = zipped(tmp_path / "x", members) if mode == "zip" else tarred(tmp_path / "x", members, mode)

    files = unpack(archive, folder)

    assert [(file.relative_to(folder).as_posix(), file.read_bytes()) for file in files] == members


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", "..", "a\\..\\out", "C:out", "\\\\host\\out"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_member_that_leads_out_is_refused_and_nothing_is_written_there(tmp_path, folder, pack, name):
    archive = pack(tmp_path / "x", [(name, b"mine")])

    with pytest.raises(ImageError, match="plain relative paths"):
        unpack(archive, folder)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "x"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_are_refused(tmp_path, folder, kind):
    member = tarfile.TarInfo("x.png")
    member.type, member.linkname = kind, "/etc/passwd"

    with pytest.raises(ImageError, match="a link or a device"):
        unpack(tarred(tmp_path / "x", [(member, b"")]), folder)
    assert list(folder.iterdir()) == []


def test_a_link_in_a_zip_is_refused(tmp_path, folder):
    info = zipfile.ZipInfo("x.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(ImageError, match="a link or a device"):
        unpack(zipped(tmp_path / "x", [(info, "/etc/passwd")]), folder)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_bomb_stops_at_the_limit(tmp_path, folder, pack):
    archive = pack(tmp_path / "x", [("a.png", bytes(40 * MIB))])
    assert archive.stat().st_size < MIB

    with pytest.raises(ImageError, match="at most 2 MiB"):
        unpack(archive, folder, largest=2 * MIB)
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 2 * MIB


def test_a_header_that_claims_any_length_takes_no_more_memory_than_the_limit(tmp_path, folder):
    info = tarfile.TarInfo("x.png")
    info.pax_headers = {"comment": "x" * (64 * MIB)}
    archive = tmp_path / "x"
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as packed:
        packed.addfile(info, io.BytesIO(b""))
    del info

    tracemalloc.start()
    with pytest.raises(ImageError, match="at most 1 MiB"):
        unpack(archive, folder, largest=MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MIB


def test_too_many_files_are_refused(tmp_path, folder):
    with pytest.raises(ImageError, match=f"at most {MOST_MEMBERS} files"):
        unpack(zipped(tmp_path / "x", [(f"{n}.png", b"") for n in range(MOST_MEMBERS + 1)]), folder)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 no zip", b"\x1f\x8b no gzip", os.urandom(2000), b"BZh9", b"\0" * 511]
)
def test_what_is_no_archive_is_refused_without_its_contents(tmp_path, folder, content):
    (tmp_path / "x").write_bytes(content)

    with pytest.raises(ImageError, match="Expected the archive to be readable"):
        unpack(tmp_path / "x", folder)
