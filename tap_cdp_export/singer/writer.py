"""The writer of Singer messages: complete lines of strict JSON, in few and complete writes."""

from __future__ import annotations

import fcntl
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.encoding.base import GenericSingerWriter

from tap_cdp_export.errors import LocalFailure, TargetGone
from tap_cdp_export.records.batch import encode

if TYPE_CHECKING:
    from singer_sdk.singerlib.messages import Message

_BUFFER_BYTES: Final = 64 * 1024
_PIPE_BYTES: Final = 2**20
"""Size of the pipe to the target, where the system allows it: with the usual 64 KiB, both ends often wait."""


class LineWriter(GenericSingerWriter[bytes, "Message"]):
    """Buffers RECORD messages, and writes them before every other message.

    The buffer holds complete lines, and a write that the system cuts short (a signal, a slow reader,
    `PYTHONUNBUFFERED`) is continued. So only a process that is killed can leave an incomplete line, as its last one.
    """

    def __init__(self) -> None:
        """Initialize, and enlarge the pipe to the target where the system allows it.

        Raises:
            TargetGone: If stdout is closed.
        """
        if sys.stdout is None:
            raise TargetGone("There is nothing to write to: stdout is closed.")
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
        """Write one message, or buffer it if it is a RECORD.

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
        """Write RECORD messages that are encoded already.

        Args:
            lines: RECORD messages, each with its newline.
        """
        if len(self._lines) + len(lines) >= _BUFFER_BYTES:
            self.flush()
            _write(lines)
        else:
            self._lines += lines

    def flush(self) -> None:
        """Write all buffered lines.

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
            "the next run continues at the last bookmark the target kept."
        ) from None
    except OSError as error:
        raise LocalFailure(f"The output cannot be written: {error.strerror}.") from None


def _write_all(data: bytes | bytearray | memoryview) -> None:
    """Write to the unbuffered stdout until everything is written."""
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
