"""Archives of Braze, generated as a stream: a zip of members with one user per line, or gzip."""

from __future__ import annotations

import zipfile
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_cdp_export.sandbox.options import BrazeOptions

_FAST = 1
SIDE_FILES = ("__MACOSX/._users.txt", ".DS_Store", "_SUCCESS")
_FIRST_LINES = 300  # the first member is small
_BLANK_MEBIBYTES = 64
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class _WriteBuffer:
    """An unseekable file that buffers what is written until `take` is called."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def take(self) -> bytes:
        data = b"".join(self._chunks)
        self._chunks.clear()
        return data


def zipped(lines: Iterable[bytes], options: BrazeOptions, name_seed: str) -> Iterator[bytes]:
    """Yield a zip of members with at most `lines_per_file` lines each, one of them empty, with random names.

    There is a part for each line; a part may be empty while zlib buffers.
    """
    buffer, remaining_lines = _WriteBuffer(), iter(lines)
    random = Random(name_seed)  # noqa: S311 - every download has the same names
    if options.zip_mark == "split":
        buffer.write(b"PK\x07\x08")
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as archive:  # type: ignore[call-overload]  # zipfile needs only write and flush of an unseekable file
        for name in SIDE_FILES if options.side_files else ():
            _pad(archive, options)
            archive.writestr(name, b"no users")
        first_line = next(remaining_lines, None)
        if first_line is None:
            if options.empty_segment == "empty_member":
                archive.writestr(_member(random, options), b"")
            yield buffer.take()
        number = 0
        while first_line is not None:
            member_lines = min(_FIRST_LINES, options.lines_per_file) if number == 0 else options.lines_per_file
            _pad(archive, options)
            with archive.open(_member(random, options), "w") as member:
                member.write(b"\xef\xbb\xbf" * options.byte_order_marks + first_line)
                for line in islice(remaining_lines, member_lines - 1):
                    member.write(line)
                    yield buffer.take()
            if number == 0:
                archive.writestr(_member(random, options), b"")
            first_line = next(remaining_lines, None)
            number += 1
        for _ in range(options.blank_members):
            with archive.open(_member(random, options), "w") as member:
                for _ in range(_BLANK_MEBIBYTES):
                    member.write(b"\n" * 2**20)
            yield buffer.take()
    yield buffer.take()


def _pad(archive: zipfile.ZipFile, options: BrazeOptions) -> None:
    """Write zeros before the next member."""
    if archive.fp:
        archive.fp.write(b"\0" * options.zip_padding)


def _member(random: Random, options: BrazeOptions) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("".join(random.choices(_LETTERS, k=24)) + options.file_suffix)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member
