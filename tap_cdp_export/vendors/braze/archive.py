"""The exported archive: a zip of JSON lines, or gzip, told by its first bytes (docs/vendors/braze.md, section 7)."""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files import strict_json, zip_archive
from tap_cdp_export.files.compression import drain, is_gzip, line_blocks, lines, open_decompressed
from tap_cdp_export.files.json_splitter import MEMBER_BYTES
from tap_cdp_export.singer.workers import map_ordered

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.records.batch import EncodedRecords
    from tap_cdp_export.records.json_decoder import JsonRecordDecoder


def _is_zip(spool: Spool) -> bool:
    return spool.head(4).startswith(zip_archive.MARKS)


def _members(spool: Spool) -> Iterator[Iterator[bytes]]:
    """Give the plain bytes of every file inside, whatever its name; what is no zip holds one."""
    return zip_archive.members(spool.file) if _is_zip(spool) else iter([open_decompressed(spool)])


def verify(spool: Spool) -> None:
    """Read an archive to its end, so that every length and checksum in it is checked.

    Args:
        spool: the archive.

    Raises:
        IncompleteAnswer: If it is not whole.
        UnusableAnswer: If it is encrypted, or no archive at all.
    """
    if _is_zip(spool):
        zip_archive.verify(spool.file)
    elif is_gzip(spool):
        drain(open_decompressed(spool))
    else:  # plain text could be cut at any line unseen
        raise UnusableAnswer(f"The download is no archive but {spool.size} bytes of something else.")


def users(spool: Spool, *, whole_lists: bool = False) -> Iterator[dict[str, Any]]:
    """Decode all lines of all members, in order.

    Args:
        spool: a proven archive.
        whole_lists: whether lists become rows, so that nothing of one that comes twice may be lost.

    Yields:
        The user objects, each with its `braze_id`.

    Raises:
        UnusableAnswer: If a line is no JSON object with a `braze_id`; it names the file and the line.
    """
    for file_number, member in enumerate(_members(spool), start=1):
        for line_number, line in lines(member, limit=MEMBER_BYTES):
            try:
                user = _user(line, whole_lists=whole_lists)
            except strict_json.InvalidJSON as error:
                raise UnusableAnswer(f"File {file_number} of the archive, line {line_number}: {error}.") from None
            yield user


def encoded_users(spool: Spool, typed: JsonRecordDecoder) -> Generator[tuple[EncodedRecords, ...]]:
    """Encode all lines of all members, in order.

    Args:
        spool: a proven archive.
        typed: encodes users.

    Yields:
        The records, in parts.

    Raises:
        UnusableAnswer: As `users` does.
    """
    with closing(map_ordered(partial(_encoded, typed), _line_blocks(spool))) as parts:
        try:
            yield from parts
        except strict_json.InvalidJSON as error:
            drain(users(spool))  # which finds the line, so that lines need no counting as long as all is well
            raise UnusableAnswer(f"A line of the archive {error}.") from None


def _line_blocks(spool: Spool) -> Iterator[bytes]:
    """Give whole lines, many at a time."""
    for member in _members(spool):
        yield from line_blocks(member, limit=MEMBER_BYTES)


def _encoded(typed: JsonRecordDecoder, block: bytes) -> list[tuple[EncodedRecords]]:
    """Encode a block at once, or line by line where it is not all in order."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError, strict_json.InvalidJSON):
        if not strict_json.has_nul(block):
            return [(typed.json_lines(block),)]
    return [(typed.lines([_user(line) for _, line in lines([block], limit=MEMBER_BYTES)]),)]


def _user(line: bytes, *, whole_lists: bool = False) -> dict[str, Any]:
    user = strict_json.check_depth(strict_json.decode(line, joined=int(whole_lists)))
    if not isinstance(user, dict):
        raise strict_json.InvalidJSON("is no JSON object")
    if not isinstance(user.get("braze_id"), str) or not user["braze_id"]:
        raise strict_json.InvalidJSON("has no braze_id")
    return user
