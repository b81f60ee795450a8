"""Read the members of a zip archive in directory order, each with its size and CRC-32 checked.

`zipfile` reads the directory; isal inflates, since `zipfile` is half as fast (docs/performance.md, section 7).
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
from tap_cdp_export.files.compression import INFLATE_ERROR, check_ratio, drain
from tap_cdp_export.files.side_files import is_side_file

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00")
"""First bytes of a zip archive: a local file header, the end record of an empty archive, or the mark of one that was
or could have been split."""

_LOCAL_SIGNATURE: Final = SIGNATURES[0]
_LOCAL_HEADER: Final = struct.Struct("<4s2xH18xHH")
_ENCRYPTED: Final = 0x1
_RAW_DEFLATE: Final = -15
_COMPRESSED_BYTES: Final = 128 * 1024
_INFLATED_BYTES: Final = 256 * 1024
_VERIFY_THREADS: Final = 2
_LARGEST_DESCRIPTOR: Final = 24
_LARGEST_PADDING: Final = 64 * 1024
_LARGEST_DIRECTORY: Final = 8 * 2**20
"""About 70,000 files; the vendor puts up to 5,000 users into each."""

_ERRORS: Final = (zipfile.BadZipFile, INFLATE_ERROR, struct.error, EOFError, OSError, ValueError, IndexError)
"""Errors that mean damage: for a bad offset `zipfile` raises a ValueError or an OSError."""


def members(file: IO[bytes]) -> Iterator[Iterator[bytes]]:
    """Read all files in a zip archive; see `named_members`.

    Args:
        file: the archive, seekable.

    Yields:
        The decompressed bytes of one file, in chunks.
    """
    for _, chunks in named_members(file):
        yield chunks


def named_members(file: IO[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Read all files in a zip archive; folders and side files are skipped.

    Args:
        file: the archive, seekable.

    Yields:
        The name and the decompressed bytes of one file, in chunks; files may be read independently and in any thread.

    Raises:
        IncompleteAnswer: If the archive is truncated or damaged.
        UnusableAnswer: If it is encrypted, uses an unexpected compression method, or is a decompression bomb.
    """
    with _translate_errors(), zipfile.ZipFile(_DirectoryReader(file)) as archive:
        shared_file = _SharedFile(file)
        _check_gaps(shared_file, archive)
        entries = archive.infolist()
        check_ratio(sum(entry.file_size for entry in entries), archive.start_dir)
        for entry in entries:
            is_folder = entry.filename.endswith("/") and not entry.file_size
            if not is_folder and not is_side_file(entry.filename):
                yield entry.filename, _decompressed(shared_file, entry)


def verify(file: IO[bytes]) -> None:
    """Read all files in a zip archive to their end, in two threads: isal releases the GIL while it inflates.

    Args:
        file: the archive, seekable.

    Raises:
        IncompleteAnswer: As `named_members` does.
        UnusableAnswer: As `named_members` does.
    """
    with ThreadPoolExecutor(_VERIFY_THREADS, "verify") as pool:
        deque(pool.map(drain, members(file)), maxlen=0)


class _DirectoryReader:
    """The file handed to `zipfile`, which reads the directory in one call: a huge one is refused before it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.seek, self.tell, self._read = file.seek, file.tell, file.read

    def read(self, size: int = -1) -> bytes:
        if size > _LARGEST_DIRECTORY:
            raise UnusableAnswer(f"The directory of a zip is larger than {_LARGEST_DIRECTORY // 2**20} MiB.")
        return self._read(size)


class _SharedFile:
    """A file that several threads read, each at its own offsets."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)


def _check_gaps(file: _SharedFile, archive: zipfile.ZipFile) -> None:
    """Check that the members fill the file up to the directory: one damaged byte there can hide a member.

    For example, members `a` and `b` in a file whose damaged directory lists `a` alone:

        0..99 a | 100..199 b | 200.. directory   ->   starts = [0, 200], ends = [0, 100]

    Between the end of `a` (100) and the directory (200) are more bytes than a data descriptor has (24): an error,
    unless they are zeros, with which members are aligned.
    """
    entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    starts = [*(entry.header_offset for entry in entries), archive.start_dir]
    ends = [0, *(_data_start(file, entry) + entry.compress_size for entry in entries)]
    for end, start in zip(ends, starts, strict=True):
        if not 0 <= start - end <= _LARGEST_PADDING or _has_more_than_padding(file.read(end, start - end)):
            raise zipfile.BadZipFile


def _has_more_than_padding(gap: bytes) -> bool:
    return len(gap.rstrip(b"\0")) > _LARGEST_DESCRIPTOR


def _data_start(file: _SharedFile, entry: zipfile.ZipInfo) -> int:
    header = file.read(entry.header_offset, _LOCAL_HEADER.size)
    signature, flags, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    if signature != _LOCAL_SIGNATURE:
        raise zipfile.BadZipFile
    if (flags | entry.flag_bits) & _ENCRYPTED:
        raise NotImplementedError
    return entry.header_offset + _LOCAL_HEADER.size + int(name_size) + int(extra_size)


def _decompressed(file: _SharedFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Decompress one file, and check its size and CRC-32."""
    with _translate_errors():
        size = checksum = 0
        for chunk in _inflated(_compressed(file, entry), entry.compress_type):
            size += len(chunk)
            if size > entry.file_size:  # check_ratio knows only the sizes in the directory
                raise zipfile.BadZipFile
            checksum = isal_zlib.crc32(chunk, checksum)
            yield chunk
        if (size, checksum) != (entry.file_size, entry.CRC):
            raise zipfile.BadZipFile


def _compressed(file: _SharedFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    offset, remaining = _data_start(file, entry), entry.compress_size
    while remaining:
        chunk = file.read(offset, min(_COMPRESSED_BYTES, remaining))
        if not chunk:
            raise EOFError
        offset += len(chunk)
        remaining -= len(chunk)
        yield chunk


def _inflated(chunks: Iterator[bytes], method: int) -> Iterator[bytes]:
    if method == zipfile.ZIP_STORED:
        yield from chunks
    elif method == zipfile.ZIP_DEFLATED:
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
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _ERRORS:
        raise IncompleteAnswer("The archive is cut short or damaged.") from None
    except (RuntimeError, NotImplementedError):
        raise UnusableAnswer("The archive is encrypted or packed in a way that is not documented.") from None
