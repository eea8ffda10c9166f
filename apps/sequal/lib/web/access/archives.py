"""Unpacking an archive that somebody else made."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from sequal.errors import ImageError

__all__ = ["LARGEST_BYTES", "MOST_MEMBERS", "unpack"]

#: Of all members together. The frames of a long cine clip take a tenth of it.
LARGEST_BYTES: Final = 256 << 20
MOST_MEMBERS: Final = 1000
_CHUNK: Final = 1 << 16
_CURE: Final = "Send the images one by one, or pack them again."

#: How a compressed file begins, and what opens it.
_COMPRESSED: Final[dict[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}

_Member = tuple[str, IO[bytes]]


def unpack(archive: Path, folder: Path, largest: int = LARGEST_BYTES) -> list[Path]:
    """Unpack a `.zip`, `.tar`, `.tar.gz`, `.tar.bz2` or `.tar.xz` file.

    Members are plain files at plain relative paths; what they hold together is counted while it is read, whatever their
    headers say, and never more than the limit is unpacked or kept in memory.

    Args:
        archive: the file; its contents tell its kind.
        folder: where to; it exists and is empty.
        largest: bytes that the members may hold together.

    Returns:
        The files, in the order of the archive.

    Raises:
        ImageError: it is no archive, or one of its members leads out of the folder, is a link or a device, or they are
            too many or too large. What was unpacked before lies in the folder.
    """
    files: list[Path] = []
    left = largest
    try:
        for name, content in _members(archive, largest):
            target = folder / _plain(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                while piece := content.read(min(_CHUNK, left + 1)):
                    left -= len(piece)
                    if left < 0:
                        raise _too_large(largest)
                    file.write(piece)
            files.append(target)
            if len(files) > MOST_MEMBERS:
                raise ImageError(f"Expected an archive of at most {MOST_MEMBERS} files, got more. {_CURE}")
    except ImageError:
        raise
    # The libraries have their own exceptions for damaged archives, down to struct.error and zlib.error.
    except Exception as error:
        raise ImageError(f"Expected the archive to be readable, got {type(error).__name__}. {_CURE}") from error
    return files


def _members(archive: Path, largest: int) -> Iterator[_Member]:
    """Name and content of every file, folders left out."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = info.external_attr >> 28  # of a Unix mode; 0 where the archive has none
                if not info.is_dir() and kind not in (0, 0o10):
                    raise _not_a_file()
                if not info.is_dir():
                    with packed.open(info) as content:
                        yield info.filename, content
        return
    with _decompressed(archive) as stream, tarfile.open(fileobj=cast(Any, _Bounded(stream, largest)), mode="r|") as tar:
        for member in tar:
            if not (member.isreg() or member.isdir()):
                raise _not_a_file()
            unpacked = tar.extractfile(member) if member.isreg() else None
            if unpacked is not None:
                yield member.name, unpacked


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        start = file.read(6)
    opened = next((opened for mark, opened in _COMPRESSED.items() if start.startswith(mark)), Path.open)
    return cast(IO[bytes], opened(archive, "rb"))


class _Bounded:
    """A stream that ends with an error after so many bytes: headers of a tar file can claim any length."""

    def __init__(self, stream: IO[bytes], largest: int) -> None:
        self._stream, self._largest = stream, largest
        self._left = largest + MOST_MEMBERS * 2 * tarfile.BLOCKSIZE + tarfile.RECORDSIZE

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise _too_large(self._largest)
        return piece


def _plain(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or {"..", "."} & set(path.parts) or any(sign in name for sign in "\\:\0"):
        raise ImageError(f"Expected the files of an archive to have plain relative paths, got {name[:100]!r}. {_CURE}")
    return path


def _not_a_file() -> ImageError:
    return ImageError(f"Expected an archive of plain files, got a link or a device. {_CURE}")


def _too_large(largest: int) -> ImageError:
    return ImageError(f"Expected an archive that unpacks to at most {largest >> 20} MiB, got more. {_CURE}")
