"""Read the tap's output as lines of bytes, and find out what a line is without parsing its record."""

from __future__ import annotations

import io
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_LINE: Final = 50_000_000
"""Bytes of a message, at most. DuckDB holds two such objects per thread in memory."""

_CHUNK: Final = 2**18
_USUAL_HEAD: Final = re.compile(rb'\s*\{\s*"type"\s*:\s*"RECORD"\s*,\s*"stream"\s*:\s*"([^"\\]+)"\s*,')


class Head(NamedTuple):
    """What a line is.

    Attributes:
        type: `RECORD`, `SCHEMA`, `STATE`, `BATCH`, `ACTIVATE_VERSION`, or anything else.
        stream: name of the stream, or an empty string.
        prefix: bytes with which other lines of the same type and stream may begin; empty if unknown.
    """

    type: str
    stream: str
    prefix: bytes = b""


class _Head(msgspec.Struct):
    type: str
    stream: str | None = None


_decode_head: Final = msgspec.json.Decoder(_Head).decode


def read_lines(descriptor: int) -> Iterator[bytes]:
    r"""Read lines until the end of a file or pipe. A signal is raised while waiting for input, and not elsewhere.

    Args:
        descriptor: of the file or pipe.

    Yields:
        Each line with a newline at its end.

    Raises:
        UnusableInput: If a line is longer than `LARGEST_LINE`, or the last one is incomplete.
        LocalFailure: If reading fails.
        Interrupted: If a signal arrives while waiting.
    """
    parts: list[bytes] = []
    size = number = 0
    while chunk := _read(descriptor):
        first_end = chunk.find(b"\n")
        size += len(chunk) if first_end < 0 else first_end
        if size > LARGEST_LINE:
            raise UnusableInput(f"Line {number + 1} of the input is longer than {LARGEST_LINE // 10**6} MB.")
        parts.append(chunk)
        if first_end >= 0:
            last_end = chunk.rfind(b"\n") + 1
            parts[-1] = chunk[:last_end]
            for line in io.BytesIO(b"".join(parts)):
                number += 1
                yield line
            parts, size = [chunk[last_end:]], len(chunk) - last_end
    if rest := b"".join(parts):
        try:
            json.loads(rest)
        except (ValueError, RecursionError):
            raise UnusableInput("The input ends within a line: the tap has been stopped while it wrote.") from None
        yield rest + b"\n"


def _read(descriptor: int) -> bytes:
    try:
        with STOP.interruptible():
            return os.read(descriptor, _CHUNK)
    except OSError as error:
        raise LocalFailure(f"The input cannot be read: {error.strerror}.") from None


def head_of(line: bytes, number: int) -> Head:
    """Find out what a line is.

    Most taps begin a record with its type and stream. The others' lines are decoded, except for the record.

    Args:
        line: the line.
        number: its number, for an error message.

    Returns:
        Its type and stream.

    Raises:
        UnusableInput: If the line is not a Singer message.
    """
    if usual := _USUAL_HEAD.match(line):
        stream: str = json.loads(b'"%b"' % usual[1])
        return Head("RECORD", stream, usual[0])
    try:
        head = _decode_head(line)
    except msgspec.DecodeError:
        head = _head_in(decode(line, number), number)
    return Head(head.type, head.stream or "")


def _head_in(message: dict[str, Any], number: int) -> _Head:
    """Convert a line that msgspec rejects, such as one with NaN, which the json module accepts."""
    try:
        return msgspec.convert(message, _Head)
    except msgspec.ValidationError:
        raise UnusableInput(f"Line {number} of the input is not a Singer message.") from None


def decode(line: bytes, number: int) -> dict[str, Any]:
    """Parse a whole line.

    Args:
        line: the line.
        number: its number, for an error message.

    Returns:
        The message.

    Raises:
        UnusableInput: If the line is not a JSON object.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise UnusableInput(f"Line {number} of the input is not JSON.") from None
    if not isinstance(message, dict):
        raise UnusableInput(f"Line {number} of the input is not a Singer message.")
    return message
