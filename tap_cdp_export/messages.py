"""The Singer writer: whole lines of strict JSON, in few and complete writes."""

from __future__ import annotations

import datetime as dt
import fcntl
import re
import select
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.encoding.base import GenericSingerWriter

from tap_cdp_export.errors import LocalFailure, TargetGone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from singer_sdk.singerlib.messages import Message

_BUFFER_BYTES: Final = 64 * 1024
UNSPEAKABLE: Final = re.compile(r'["\\\x00-\x1f]')
"""No field of a struct may be renamed to a name that has one of these in it."""

_PIPE_BYTES: Final = 2**20
"""So much may wait for the target, so that neither side waits for the other's every turn; 64 KiB is usual."""


def _foreign(value: object) -> str:
    """Give text for what JSON does not know: a stream map can make any Python value."""
    return value.isoformat() if isinstance(value, dt.date) else str(value)


_encoder: Final = msgspec.json.Encoder(enc_hook=_foreign, decimal_format="number")
encode: Final = _encoder.encode
"""Encodes one value as strict JSON."""


class Lines(NamedTuple):
    """Encoded records.

    Attributes:
        number: how many.
        data: JSON lines, each with its newline; to be used before more are asked for, since memory may be shared.
        left_out: how many records besides a stream map has filtered out.
        keys: sum of the hashes of the vendor's keys of all these records, where someone compares pages.
    """

    number: int
    data: bytes | memoryview
    left_out: int = 0
    keys: int = 0


class Output(Protocol):
    """Where records go, as what makes them sees it."""

    @property
    def selected_columns(self) -> list[str]:
        """The columns that a record has."""

    def encode_columns(self, columns: Mapping[str, Iterable[Any]]) -> Lines:
        """Encode records that have these columns, all equally long."""


def encode_columns(columns: Mapping[str, Iterable[Any]], before: bytes = b"", after: bytes = b"") -> Lines:
    """Encode many records at once.

    Args:
        columns: by name, all equally long.
        before: what stands before a record in its line.
        after: what stands behind it.

    Returns:
        Their lines.
    """
    records = list(map(struct(tuple(columns)), *columns.values()))
    lines = _encoder.encode_lines(records)
    if lines and (before or after):
        inner = memoryview(lines.replace(b"\n", after + b"\n" + before, len(records) - 1))[:-1]
        lines = b"".join((before, inner, after, b"\n"))
    return Lines(len(records), lines)


@lru_cache(maxsize=64)
def struct(names: tuple[str, ...]) -> Callable[..., Any]:
    """Compile what is encoded as an object faster than a dict is.

    Args:
        names: the object's keys, none of them `UNSPEAKABLE`.

    Returns:
        Makes one of its values.
    """
    fields = [f"field_{number}" for number in range(len(names))]
    rename = dict(zip(fields, names, strict=True))
    return msgspec.defstruct("Struct", [(field, Any) for field in fields], rename=rename, gc=False)


class LineWriter(GenericSingerWriter[bytes, "Message"]):
    """Collects whole lines and writes them out before every message that is no RECORD.

    Half a line can only ever be the last thing a killed process wrote: the buffer holds whole lines, and a
    write that the system cuts short (a signal, a slow reader, `PYTHONUNBUFFERED`) is taken up until all is out.
    """

    def __init__(self) -> None:
        """Start with nothing collected."""
        self._lines = bytearray()
        with suppress(AttributeError, OSError, ValueError):  # no Linux, no pipe, or no more for this user
            fcntl.fcntl(sys.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def serialize_message(self, message: Message) -> bytes:
        """Encode one message.

        Args:
            message: any Singer message.

        Returns:
            Its line, without the newline.
        """
        return encode(message.to_dict())

    def write_message(self, message: Message) -> None:
        """Write one message, or collect it if it is a RECORD.

        Args:
            message: any Singer message.
        """
        is_record = isinstance(message, RecordMessage)
        if not is_record:
            self.flush()
        self._lines += self.serialize_message(message) + b"\n"
        if not is_record or len(self._lines) >= _BUFFER_BYTES:
            self.flush()

    def write_lines(self, lines: bytes | memoryview) -> None:
        """Write whole lines that are encoded already.

        Args:
            lines: RECORD messages, each with its newline.
        """
        if len(self._lines) + len(lines) >= _BUFFER_BYTES:
            self.flush()
            _write(lines)
        else:
            self._lines += lines

    def flush(self) -> None:
        """Write out all collected lines.

        Raises:
            TargetGone: If the reading end is closed.
            LocalFailure: If the output is a file that cannot grow.
        """
        lines, self._lines = self._lines, bytearray()
        if lines:
            _write(lines)


def _write(lines: bytes | bytearray | memoryview) -> None:
    try:
        _write_all(lines)
    except BrokenPipeError:
        raise TargetGone(
            "The target closed the pipe before the end. See the target's own log; no record is lost, "
            "the next run takes up at the last bookmark the target kept."
        ) from None
    except OSError as error:
        raise LocalFailure(f"The output cannot be written: {error.strerror}.") from None


def _write_all(data: bytes | bytearray | memoryview) -> None:
    """Write to the unbuffered end of stdout until everything is out."""
    stdout: Any = sys.stdout
    out = getattr(stdout.buffer, "raw", stdout.buffer)
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            written = out.write(view[done:])
            if written is None:  # a non-blocking pipe is full
                select.select([], [out], [])
            else:
                done += written
