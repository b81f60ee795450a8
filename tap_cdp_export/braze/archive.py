"""The exported archive: a zip of JSON lines, or gzip, told by its first bytes (vendors/braze.md, section 7)."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export import json_text
from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.exports import zip_members
from tap_cdp_export.exports.json_members import MEMBER_BYTES
from tap_cdp_export.exports.readers import blocks, contents, lines
from tap_cdp_export.second_core import Item, in_order
from tap_cdp_export.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tap_cdp_export.exports.spool import Spool
    from tap_cdp_export.messages import Lines
    from tap_cdp_export.typed_runs import TypedRuns

_GZIP_MARK: Final = b"\x1f\x8b"


def _is_zip(spool: Spool) -> bool:
    return spool.head(4).startswith(zip_members.MARKS)


def _members(spool: Spool) -> Iterator[Iterator[bytes]]:
    """Give the plain bytes of every file inside, whatever its name; what is no zip holds one."""
    return zip_members.members(spool.file) if _is_zip(spool) else iter([contents(spool)])


def prove(spool: Spool) -> None:
    """Read an archive to its end, so that every length and checksum in it is checked.

    Args:
        spool: the archive.

    Raises:
        IncompleteAnswer: If it is not whole.
        UnusableAnswer: If it is encrypted, or no archive at all.
    """
    if _is_zip(spool):
        zip_members.prove(spool.file)
    elif spool.head(2) == _GZIP_MARK:
        for _ in contents(spool):
            SHUTDOWN.check()
    else:  # plain text could be cut at any line unseen
        raise UnusableAnswer(f"The download is no archive but {spool.size} bytes of something else.")


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
    return in_order(partial(_encoded, typed), _blocks(spool))


def _blocks(spool: Spool) -> Iterator[Item]:
    """Give whole lines, many at a time, with the number of their file and of the lines before them."""
    for file_number, member in enumerate(_members(spool), start=1):
        lines_before = 0
        for block in blocks(member, limit=MEMBER_BYTES):
            yield Item(block, (file_number, lines_before))
            lines_before += block.count(b"\n")


def _encoded(typed: TypedRuns, item: Item) -> list[tuple[Lines]]:
    """Encode a block at once, or line by line where it is not all in order."""
    block = item.data
    file_number, lines_before = item.place
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError, json_text.InvalidJSON):
        if not json_text.holds_nul(block):
            return [(typed.json_lines(block),)]
    found = lines([block], limit=MEMBER_BYTES)
    return [(typed.lines([_user(line, file_number, lines_before + number) for number, line in found]),)]


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
