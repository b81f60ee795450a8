"""The exported archive: a zip of JSON lines, or gzip, told by its first bytes (vendors/braze.md, section 7)."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export import json_text
from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.exports import zip_members
from tap_cdp_export.exports.json_members import MEMBER_BYTES
from tap_cdp_export.exports.readers import blocks, contents, lines
from tap_cdp_export.second_core import in_order
from tap_cdp_export.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tap_cdp_export.exports.spool import Spool
    from tap_cdp_export.messages import Lines
    from tap_cdp_export.typed_runs import TypedRuns

_GZIP_MARK: Final = b"\x1f\x8b"
_SMALL_BYTES: Final = 12 * 2**20
_NOT_PACKED: Final = zipfile.ZIP_STORED


def _members(spool: Spool) -> Iterator[zip_members.Member | Spool]:
    """Give every file inside, whatever its name; what is no zip holds one."""
    return zip_members.members(spool.file) if spool.head(4).startswith(zip_members.MARKS) else iter([spool])


def _plain(member: zip_members.Member | Spool) -> Iterator[bytes]:
    return member.plain() if isinstance(member, zip_members.Member) else contents(member)


def prove(spool: Spool) -> None:
    """Read an archive to its end, so that every length and checksum in it is checked.

    Args:
        spool: the archive.

    Raises:
        IncompleteAnswer: If it is not whole.
        UnusableAnswer: If it is encrypted, or no archive at all.
    """
    if not spool.head(4).startswith((*zip_members.MARKS, _GZIP_MARK)):  # plain text could be cut at any line unseen
        raise UnusableAnswer(f"The download is no archive but {spool.size} bytes of something else.")
    for member in _members(spool):
        for _ in _plain(member):
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
        for line_number, line in lines(_plain(member), limit=MEMBER_BYTES):
            yield _user(line, file_number, line_number)


def encoded_users(spool: Spool, typed: TypedRuns) -> Generator[tuple[Lines, ...]]:
    """Encode all lines of all members, in order.

    Args:
        spool: a proven archive.
        typed: encodes users.

    Returns:
        The records, in parts.

    Raises:
        UnusableAnswer: As `users` does.
    """
    return in_order(partial(_encoded, typed), _items(spool))


def _items(spool: Spool) -> Iterator[bytes]:
    """Give members as they are packed, or whole lines of large ones, behind a line that says where they are from."""
    for file_number, member in enumerate(_members(spool), start=1):
        if isinstance(member, zip_members.Member) and member.info.file_size <= _SMALL_BYTES:
            yield b"%d 1 %d\n%b" % (file_number, member.info.compress_type, member.packed())
            continue
        first_line = 1
        for block in blocks(_plain(member), limit=MEMBER_BYTES):
            yield b"%d %d %d\n%b" % (file_number, first_line, _NOT_PACKED, block)
            first_line += block.count(b"\n")


def _encoded(typed: TypedRuns, item: bytes) -> Iterator[tuple[Lines]]:
    """Encode an item block by block."""
    place, _, packed = item.partition(b"\n")
    file_number, first_line, packing = map(int, place.split())
    for block in blocks(zip_members.unpacked(iter([packed]), packing), limit=MEMBER_BYTES):
        encoded = _at_once(typed, block)
        if encoded:
            yield (encoded,)
            first_line += encoded.number
        else:
            found = lines([block], limit=MEMBER_BYTES)
            yield (typed.lines([_user(line, file_number, first_line - 1 + number) for number, line in found]),)
            first_line += block.count(b"\n")


def _at_once(typed: TypedRuns, block: bytes) -> Lines | None:
    """Encode a block, one user a line, unless it is not all in order."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError, json_text.InvalidJSON):
        if not json_text.holds_nul(block):
            return typed.json_lines(block)
    return None


def _user(line: bytes, file_number: int, line_number: int) -> dict[str, Any]:
    place = f"File {file_number} of the archive, line {line_number}"
    try:
        user = json_text.shallow(json_text.decode(line))
    except json_text.InvalidJSON as error:
        raise UnusableAnswer(f"{place}: {error}.") from None
    if not isinstance(user, dict):
        raise UnusableAnswer(f"{place}: is no JSON object.")
    if not isinstance(user.get("braze_id"), str) or not user["braze_id"]:
        raise UnusableAnswer(f"{place}: has no braze_id.")
    return user
