"""A body on its way: to memory while it is small, else to a file without a name."""

from __future__ import annotations

import errno
import io
import tempfile
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final, Self

from tap_cdp_export.errors import LocalFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_IN_MEMORY_BYTES: Final = 1024 * 1024
_READ_BYTES: Final = 64 * 1024


class Spool:
    """All bytes of one body, as they came.

    The file behind it has no name and mode 0600, so that nothing is left of it after any kind of end.

    Attributes:
        file: the bytes, readable from any place.
        size: their number.
        chunk_offsets: where who has proven the body found that it can be cut; its own matter.
    """

    chunk_offsets: Sequence[int] = ()

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Take in a whole body.

        Args:
            chunks: the body; its producer raises if it is not whole.

        Raises:
            LocalFailure: If the disk is full or not writable.
        """
        self.size = 0
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 -- closed in close
        try:
            for chunk in chunks:
                self.size += len(chunk)
                with _translate_disk_errors():
                    self.file.write(chunk)
            with _translate_disk_errors():
                self.file.flush()
        except BaseException:
            with suppress(OSError):  # a full disk refuses the last bytes once more
                self.close()
            raise

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Take a whole body that is in memory already, without a copy of it.

        Args:
            data: the body.

        Returns:
            The same as a spool.
        """
        spool = cls.__new__(cls)
        spool.file = io.BytesIO(data)
        spool.size = len(data)
        return spool

    def chunks(self, size: int = _READ_BYTES) -> Iterator[bytes]:
        """Read the body from its beginning.

        Args:
            size: bytes a chunk, at most.

        Yields:
            The body in chunks.
        """
        self.file.seek(0)
        while chunk := self.file.read(size):
            yield chunk

    def head(self, size: int) -> bytes:
        """Read the first bytes.

        Args:
            size: how many.

        Returns:
            The first bytes, or fewer if there are fewer.
        """
        self.file.seek(0)
        return self.file.read(size)

    def close(self) -> None:
        """Give memory and disk back."""
        self.file.close()

    def __enter__(self) -> Self:
        """Use as a context manager that closes it."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()


@contextmanager
def _translate_disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        folder = tempfile.tempdir or "any temporary folder"
        advice = "Free some room there or set TMPDIR" if full else "Make it writable or set TMPDIR"
        raise LocalFailure(
            f"An export cannot be kept in {folder} while it is checked: {error.strerror}. {advice}."
        ) from None
