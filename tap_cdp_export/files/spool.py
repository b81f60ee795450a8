"""Store a response body in memory while it is small, else in an unlinked temporary file."""

from __future__ import annotations

import errno
import io
import tempfile
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final, Self

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.files.activity import ACTIVITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_IN_MEMORY_BYTES: Final = 1024 * 1024
_READ_BYTES: Final = 64 * 1024


class Spool:
    """The raw bytes of one response body.

    The temporary file has no name and mode 0600: the system frees it when the process ends, even after SIGKILL.

    Attributes:
        file: the bytes, seekable.
        size: their number.
        announced_size: number of bytes that a download is to have; 0 if it is unknown.
        name: of the file, for messages; empty if it has none that may be shown.
        chunk_offsets: start and end of each chunk in turn, set by `json_chunks.verify` and read only by
            `json_chunks.read_verified_chunks`.
    """

    announced_size: int = 0
    chunk_offsets: Sequence[int] = ()
    name = ""

    def __init__(self, chunks: Iterable[bytes], *, announced_size: int | None = None) -> None:
        """Store a body; the file is closed if storing fails.

        Args:
            chunks: the body; the iterator raises if the body is truncated.
            announced_size: of a download, whose progress is reported; see the attribute.

        Raises:
            LocalFailure: If the disk is full or not writable.
        """
        self.size = 0
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 -- closed in close
        if announced_size is not None:
            self.announced_size = announced_size
            ACTIVITY.downloads.append(self)
        try:
            for chunk in chunks:
                self.size += len(chunk)
                with _translate_disk_errors():
                    self.file.write(chunk)
            with _translate_disk_errors():
                self.file.flush()
        except BaseException:
            with suppress(OSError):  # closing flushes again, which fails on a full disk
                self.close()
            raise
        finally:
            if announced_size is not None:
                ACTIVITY.downloads.remove(self)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Create a spool from bytes in memory, without storing them to disk.

        Args:
            data: the body.
        """
        spool = cls.__new__(cls)
        spool.file = io.BytesIO(data)
        spool.size = len(data)
        return spool

    def chunks(self, size: int = _READ_BYTES) -> Iterator[bytes]:
        """Read the body from its beginning.

        Args:
            size: maximum size of a chunk, in bytes.

        Yields:
            The body in chunks.
        """
        self.file.seek(0)
        while chunk := self.file.read(size):
            yield chunk

    def head(self, size: int) -> bytes:
        """Read the first `size` bytes, or all bytes of a shorter body."""
        self.file.seek(0)
        return self.file.read(size)

    @property
    def position(self) -> int:
        """How far the body has been read, in bytes; all of it once it is closed. May be asked in any thread."""
        try:
            return self.file.tell()
        except ValueError:
            return self.size

    def close(self) -> None:
        """Free the memory or disk space."""
        self.file.close()

    def __enter__(self) -> Self:
        """Enter a context that closes the spool at its end."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the spool."""
        self.close()


@contextmanager
def _translate_disk_errors() -> Iterator[None]:
    """Raise `OSError` as `LocalFailure`, with the folder and what to do."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        folder = tempfile.tempdir or "any temporary folder"
        advice = "Free some room there or set TMPDIR" if is_full else "Make it writable or set TMPDIR"
        raise LocalFailure(
            f"An export cannot be kept in {folder} while it is checked: {error.strerror}. {advice}."
        ) from None
