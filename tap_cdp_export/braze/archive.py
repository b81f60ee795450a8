"""The exported archive: a zip of JSON lines, or gzip, told by its first bytes (vendors/braze.md, section 7)."""

from __future__ import annotations

import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export import json_text
from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.exports.json_members import MEMBER_BYTES
from tap_cdp_export.exports.readers import contents, lines, within_ratio
from tap_cdp_export.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_cdp_export.exports.spool import Spool

_ZIP_MARKS: Final = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP_MARK: Final = b"\x1f\x8b"
_PACKINGS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP_ERRORS: Final = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, IndexError)
"""What the library raises for damage: a bad CRC is a BadZipFile, a bad offset a ValueError or an OSError."""

_READ_BYTES: Final = 64 * 1024


def _members(spool: Spool) -> Iterator[Iterator[bytes]]:
    """Give the plain bytes of every file inside, whatever its name."""
    if not spool.head(4).startswith(_ZIP_MARKS):
        yield contents(spool)
        return
    with _zip_trouble(), zipfile.ZipFile(spool.file) as archive:
        for member in archive.infolist():
            if member.compress_type not in _PACKINGS:
                raise NotImplementedError
            if member.file_size or not member.filename.endswith("/"):  # not a folder
                yield within_ratio(_unzipped(archive, member), member.compress_size)


def _unzipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with _zip_trouble(), archive.open(member) as file:
        while chunk := file.read(_READ_BYTES):
            yield chunk


@contextmanager
def _zip_trouble() -> Iterator[None]:
    try:
        yield
    except _ZIP_ERRORS:
        raise IncompleteAnswer("The archive is cut short or damaged.") from None
    except (RuntimeError, NotImplementedError):
        raise UnusableAnswer("The archive is encrypted or packed in a way that is not documented.") from None


def prove(spool: Spool) -> None:
    """Read an archive to its end, so that every length and checksum in it is checked.

    Args:
        spool: the archive.

    Raises:
        IncompleteAnswer: If it is not whole.
        UnusableAnswer: If it is encrypted, or no archive at all.
    """
    if not spool.head(4).startswith((*_ZIP_MARKS, _GZIP_MARK)):  # plain text could be cut at any line unseen
        raise UnusableAnswer(f"The download is no archive but {spool.size} bytes of something else.")
    for member in _members(spool):
        for _ in member:
            SHUTDOWN.check()


def users(spool: Spool) -> Iterator[dict[str, Any]]:
    """Decode all lines of all members, in order.

    Args:
        spool: a proven archive.

    Yields:
        The user objects, each with its `braze_id`.

    Raises:
        UnusableAnswer: If a line is no JSON object with a `braze_id`; it names the file and the line.
    """
    for file_number, member in enumerate(_members(spool), start=1):
        for line_number, line in lines(member, limit=MEMBER_BYTES):
            place = f"File {file_number} of the archive, line {line_number}"
            try:
                user = json_text.shallow(json_text.decode(line))
            except json_text.InvalidJSON as error:
                raise UnusableAnswer(f"{place}: {error}.") from None
            if not isinstance(user, dict):
                raise UnusableAnswer(f"{place}: is no JSON object.")
            if not isinstance(user.get("braze_id"), str) or not user["braze_id"]:
                raise UnusableAnswer(f"{place}: has no braze_id.")
            yield user
