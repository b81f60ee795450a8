"""Braze's archive: a zip of many members with one user a line, or gzip; produced as a stream."""

from __future__ import annotations

import zipfile
import zlib
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_cdp_export.sandbox.options import BrazeOptions

_GZIP = 16 + zlib.MAX_WBITS
_FAST = 1
_FIRST_LINES = 300  # small members are normal
_BLANK_MEBIBYTES = 64
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class _Outlet:
    """A file that cannot be sought: what is written to it waits to be taken."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def take(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data


def zipped(lines: Iterable[bytes], options: BrazeOptions, name_seed: str) -> Iterator[bytes]:
    """The lines as members of at most so many lines each, one of them empty, with random names.

    It comes part by part, a line each; a part may be empty while the packer collects.
    """
    outlet, rest = _Outlet(), iter(lines)
    random = Random(name_seed)  # noqa: S311 - the same names at every download
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as archive:  # type: ignore[call-overload]  # an unseekable writer needs no more than this
        first = next(rest, None)
        if first is None:
            if options.empty_segment == "empty_member":
                archive.writestr(_member(random, options), b"")
            yield outlet.take()
        number = 0
        while first is not None:
            lines_left = min(_FIRST_LINES, options.lines_per_file) if number == 0 else options.lines_per_file
            with archive.open(_member(random, options), "w") as member:
                member.write(first)
                for line in islice(rest, lines_left - 1):
                    member.write(line)
                    yield outlet.take()
            if number == 0:
                archive.writestr(_member(random, options), b"")
            first = next(rest, None)
            number += 1
        for _ in range(options.blank_members):
            with archive.open(_member(random, options), "w") as member:
                for _ in range(_BLANK_MEBIBYTES):
                    member.write(b"\n" * 2**20)
            yield outlet.take()
    yield outlet.take()


def gzipped(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines as one gzip member: neither a zip nor a tar; a part may be empty while the packer collects."""
    packer = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP)
    for line in lines:
        yield packer.compress(line)
    yield packer.flush()


def _member(random: Random, options: BrazeOptions) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("".join(random.choices(_LETTERS, k=24)) + options.file_suffix)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member
