"""The members of a zip, one after the other as its directory lists them, each checked to its last byte.

The directory is `zipfile`'s work; inflating is not, since its own is half as fast (docs/performance.md, section 7).
"""

from __future__ import annotations

import struct
import threading
import zipfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from isal import isal_zlib

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files.compression import DAMAGE, check_ratio, drain

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKS: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""What a zip begins with; the second is an empty one."""

_LOCAL_MARK: Final = MARKS[0]
_LOCAL_HEADER: Final = struct.Struct("<4s2xH18xHH")
_ENCRYPTED: Final = 0x1
_RAW_DEFLATE: Final = -15
_PACKED_BYTES: Final = 128 * 1024
_INFLATED_BYTES: Final = 256 * 1024
_PROVERS: Final = 2
_LARGEST_DESCRIPTOR: Final = 24
_LARGEST_DIRECTORY: Final = 8 * 2**20
"""Some 70,000 files; the vendor puts up to 5,000 users into each."""

_ERRORS: Final = (zipfile.BadZipFile, DAMAGE, struct.error, EOFError, OSError, ValueError, IndexError)
"""What stands for damage: `zipfile` raises a ValueError or an OSError for a bad offset."""


def members(file: IO[bytes]) -> Iterator[Iterator[bytes]]:
    """Read all files in a zip; folders are left out.

    Args:
        file: the zip, seekable.

    Yields:
        The plain bytes of a file, in chunks; each file on its own, in any thread.

    Raises:
        IncompleteAnswer: If the zip is cut short or damaged.
        UnusableAnswer: If it is encrypted, packed in a way of its own, or a bomb.
    """
    with _trouble(), zipfile.ZipFile(_Directory(file)) as archive:
        places = _Places(file)
        _check_gaps(places, archive)
        listed = archive.infolist()
        check_ratio(sum(member.file_size for member in listed), archive.start_dir)
        for member in listed:
            if member.file_size or not member.filename.endswith("/"):
                yield _plain(places, member)


def verify(file: IO[bytes]) -> None:
    """Read all files in a zip to their end, on two cores where there are: inflating lets go of Python's lock.

    Args:
        file: the zip, seekable.

    Raises:
        IncompleteAnswer: As `members` does.
        UnusableAnswer: As `members` does.
    """
    with ThreadPoolExecutor(_PROVERS, "prove") as provers:
        deque(provers.map(drain, members(file)), maxlen=0)


class _Directory:
    """A zip as `zipfile` reads it: its directory in one go, which must not be huge, since it becomes objects."""

    def __init__(self, file: IO[bytes]) -> None:
        self.seek, self.tell, self._read = file.seek, file.tell, file.read

    def read(self, size: int = -1) -> bytes:
        if size > _LARGEST_DIRECTORY:
            raise UnusableAnswer(f"The directory of a zip is larger than {_LARGEST_DIRECTORY // 2**20} MiB.")
        return self._read(size)


class _Places:
    """A file that several threads read, each at places of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = threading.Lock()

    def read(self, place: int, size: int) -> bytes:
        with self._lock:
            self._file.seek(place)
            return self._file.read(size)


def _check_gaps(file: _Places, archive: zipfile.ZipFile) -> None:
    """Find what the directory does not name: a single damaged byte in it can hide a member."""
    listed = sorted(archive.infolist(), key=lambda member: member.header_offset)
    starts = [*(member.header_offset for member in listed), archive.start_dir]
    ends = [0, *(_data_start(file, member) + member.compress_size for member in listed)]
    for end, start in zip(ends, starts, strict=True):
        if not 0 <= start - end <= _LARGEST_DESCRIPTOR:
            raise zipfile.BadZipFile


def _data_start(file: _Places, member: zipfile.ZipInfo) -> int:
    header = file.read(member.header_offset, _LOCAL_HEADER.size)
    mark, flags, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    if mark != _LOCAL_MARK:
        raise zipfile.BadZipFile
    if (flags | member.flag_bits) & _ENCRYPTED:
        raise NotImplementedError
    return member.header_offset + _LOCAL_HEADER.size + int(name_size) + int(extra_size)


def _plain(file: _Places, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Unpack one file, and demand its length and checksum."""
    with _trouble():
        size = checksum = 0
        for chunk in _unpacked(_packed(file, member), member.compress_type):
            size += len(chunk)
            if size > member.file_size:  # what the directory does not name is not counted either
                raise zipfile.BadZipFile
            checksum = isal_zlib.crc32(chunk, checksum)
            yield chunk
        if (size, checksum) != (member.file_size, member.CRC):
            raise zipfile.BadZipFile


def _packed(file: _Places, member: zipfile.ZipInfo) -> Iterator[bytes]:
    place, left = _data_start(file, member), member.compress_size
    while left:
        chunk = file.read(place, min(_PACKED_BYTES, left))
        if not chunk:
            raise EOFError
        place += len(chunk)
        left -= len(chunk)
        yield chunk


def _unpacked(chunks: Iterator[bytes], packing: int) -> Iterator[bytes]:
    if packing == zipfile.ZIP_STORED:
        yield from chunks
    elif packing == zipfile.ZIP_DEFLATED:
        inflater = isal_zlib.decompressobj(_RAW_DEFLATE)
        data = b""
        while not inflater.eof:
            out = inflater.decompress(data or next(chunks, b""), _INFLATED_BYTES)
            data = inflater.unconsumed_tail
            if not out and not data and not inflater.eof:
                raise EOFError
            yield out
        if inflater.unused_data:
            raise zipfile.BadZipFile
    else:
        raise NotImplementedError


@contextmanager
def _trouble() -> Iterator[None]:
    try:
        yield
    except _ERRORS:
        raise IncompleteAnswer("The archive is cut short or damaged.") from None
    except (RuntimeError, NotImplementedError):
        raise UnusableAnswer("The archive is encrypted or packed in a way that is not documented.") from None
