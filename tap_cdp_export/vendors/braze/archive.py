"""The exported archive: zip of JSON lines, or gzip, detected by its first bytes (docs/vendors/braze.md, section 7)."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files import strict_json, zip_archive
from tap_cdp_export.files.activity import ACTIVITY
from tap_cdp_export.files.compression import (
    LineTooLong,
    drain,
    is_gzip,
    line_blocks,
    lines,
    open_decompressed,
)
from tap_cdp_export.files.json_splitter import MEMBER_BYTES
from tap_cdp_export.files.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LEVELS_OF_LISTS: Final = 2
"""Levels of objects that hold lists which become rows: users, and the Canvases they received."""


def unpacked(spool: Spool) -> Spool:
    """Take a zip out of a gzip, as which a server may send any file.

    Args:
        spool: the download; closed if something else is returned.

    Returns:
        The zip inside, or the download itself.

    Raises:
        IncompleteAnswer: If the gzip is cut.
        UnusableAnswer: If it is damaged.
    """
    if not is_gzip(spool):
        return spool
    try:
        head = b"".join(islice(open_decompressed(spool), 1))
        if not head.startswith(zip_archive.SIGNATURES):
            return spool
        inner = Spool(open_decompressed(spool))
    except BaseException:
        spool.close()
        raise
    spool.close()
    return inner


def _is_zip(spool: Spool) -> bool:
    return spool.head(4).startswith(zip_archive.SIGNATURES)


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
    with ACTIVITY.during("checking the file", spool):
        if _is_zip(spool):
            zip_archive.verify(spool.file)
        elif is_gzip(spool):
            drain(open_decompressed(spool))
        else:  # plain text could be cut at any line unseen
            raise UnusableAnswer(f"The download is no archive but {spool.size} bytes of something else.")


def line_blocks_of(spool: Spool) -> Iterator[bytes]:
    """Read whole lines of all members, many at a time.

    Args:
        spool: a verified archive.

    Yields:
        Lines, in order; none is blank.

    Raises:
        UnusableAnswer: If a line is too long.
    """
    for member in _members(spool):
        yield from line_blocks(member, limit=MEMBER_BYTES)


def users_of(block: bytes, *, whole_lists: bool = False) -> list[dict[str, Any]]:
    """Decode lines.

    Args:
        block: from `line_blocks_of`.
        whole_lists: whether lists become rows, so that nothing of one that comes twice may be lost.

    Returns:
        The user objects, each with its `braze_id`.

    Raises:
        InvalidJSON: If a line is no JSON object with a `braze_id`.
    """
    return [_user(line, whole_lists=whole_lists) for _, line in _lines([block])]


@contextmanager
def naming_bad_lines(spool: Spool) -> Iterator[None]:
    """Find the line that cannot be decoded, so that lines need not be counted as long as all is well.

    Args:
        spool: the archive whose blocks are decoded meanwhile.

    Yields:
        Nothing.

    Raises:
        UnusableAnswer: In place of InvalidJSON and LineTooLong; it names the file and the line.
    """
    try:
        yield
    except (strict_json.InvalidJSON, LineTooLong) as error:
        archive = f"The object {spool.name}" if spool.name else "The archive"
        for name, member in _named_members(spool):
            _check_lines(member, f"{archive}, file {name}" if name else archive)
        raise UnusableAnswer(f"{archive}: a line {error}.") from None


def _named_members(spool: Spool) -> Iterator[tuple[str, Iterator[bytes]]]:
    return zip_archive.named_members(spool.file) if _is_zip(spool) else iter([("", open_decompressed(spool))])


def _check_lines(chunks: Iterator[bytes], file: str) -> None:
    """Raise the error for the first line that cannot be decoded.

    Args:
        chunks: plain bytes of the file.
        file: what to call it.
    """
    try:
        for number, line in _lines(chunks):
            try:
                _user(line)
            except strict_json.InvalidJSON as reason:
                raise UnusableAnswer(f"{file}, line {number}: {reason}.") from None
    except LineTooLong as error:
        raise UnusableAnswer(f"{file}, {error}") from None


def _lines(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Number the lines that are not blank; each may begin with a byte order mark, as a file inside does."""
    for number, line in lines(chunks, limit=MEMBER_BYTES):
        if not (text := line.removeprefix(strict_json.BOM)).isspace() and text:
            yield number, text


def _user(line: bytes, *, whole_lists: bool = False) -> dict[str, Any]:
    user = strict_json.check_depth(strict_json.decode(line, joined=_LEVELS_OF_LISTS if whole_lists else 0))
    if not isinstance(user, dict):
        raise strict_json.InvalidJSON("is no JSON object")
    if not isinstance(user.get("braze_id"), str) or not user["braze_id"]:
        raise strict_json.InvalidJSON("has no braze_id")
    return user
