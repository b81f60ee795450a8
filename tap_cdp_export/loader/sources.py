"""What waits to be loaded: lines of RECORD messages, and files of BATCH messages."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import fsspec  # type: ignore[import-untyped]
from isal import igzip

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.files.compression import INFLATE_ERROR
from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.loader.lines import LARGEST_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SMALLEST_OBJECT: Final = 2**22
_COPY_CHUNK: Final = 2**20
_COMPRESSIONS: Final = ("none", "gzip")
_GZIP_RATIO: Final = 10
_LOCAL: Final = ("", "file", "local")


class Spool:
    """Lines of RECORD messages, in a temporary file that has no name: no copy of the data outlives the process.

    Attributes:
        label: as of `BatchFile`; empty.
        is_bare: whether a line is a record, and not a message with a record in it.
        compression: `none`.
        version: None, since each line says it.
    """

    label = ""
    is_bare = False
    compression = "none"
    version: int | None = None

    def __init__(self) -> None:
        """Create an empty file."""
        self._longest = 0
        with _disk():
            self._file = tempfile.TemporaryFile(buffering=_COPY_CHUNK)  # noqa: SIM115 -- closed by `remove`

    def append(self, line: bytes) -> None:
        """Append a line.

        Args:
            line: a RECORD message with its newline.

        Raises:
            LocalFailure: If the disk is full.
        """
        self._longest = max(self._longest, len(line))
        try:
            self._file.write(line)
        except OSError as error:
            raise _failure(error) from None

    @contextmanager
    def opened(self) -> Iterator[tuple[str, int]]:
        """Write everything to the file.

        Yields:
            A path to the file, and the size of the largest line.
        """
        with _disk():
            self._file.flush()
        yield f"/dev/fd/{self._file.fileno()}", max(self._longest, _SMALLEST_OBJECT)

    def remove(self) -> None:
        """Delete the file."""
        with suppress(OSError):  # what is still in the buffer is written first, perhaps to a full disk
            self._file.close()


class BatchFile:
    """A file of a BATCH message: one record per line.

    Attributes:
        label: name of the file, for error messages.
        is_bare: whether a line is a record, and not a message with a record in it.
        compression: `none` or `gzip`.
        version: version of the table that all records belong to, if the message says it.
    """

    is_bare = True

    def __init__(self, url: str, encoding: Mapping[str, Any], version: int | None) -> None:
        """Check whether the file can be read.

        Args:
            url: a path, or a URL that fsspec knows.
            encoding: format and compression, from the message.
            version: of the table, from the message.

        Raises:
            UnusableInput: If the format is not supported, or the file does not exist.
        """
        self.compression = encoding.get("compression") or "none"
        if encoding.get("format") != "jsonl" or self.compression not in _COMPRESSIONS:
            raise UnusableInput(
                f"A BATCH message has the encoding {encoding.get('format')}, {self.compression}. "
                "This loader reads jsonl with gzip or none."
            )
        self._url = url
        self.version = version
        parts = urlsplit(url)
        self.label = Path(parts.path).name
        self._path = unquote(parts.path) if parts.scheme == "file" else url
        self._is_local = parts.scheme in _LOCAL

    @property
    def size(self) -> int:
        """An estimate of the bytes to load; of a file that is not local nothing is known."""
        with _disk(self.label):
            size = Path(self._path).stat().st_size if self._is_local else 0
        return size * (_GZIP_RATIO if self.compression == "gzip" else 1)

    @contextmanager
    def opened(self) -> Iterator[tuple[str, int]]:
        """Open and check the file; one that is not local is copied into a temporary file.

        Yields:
            A path to the file, and the size of the largest object it may hold.

        Raises:
            UnusableInput: If the file does not exist, or is damaged.
        """
        with tempfile.TemporaryFile() as copy:
            if not self._is_local:
                with _disk(self.label), fsspec.open(self._url, "rb") as remote:
                    shutil.copyfileobj(remote, copy, _COPY_CHUNK)
                copy.flush()
                self._check(copy)
                yield f"/dev/fd/{copy.fileno()}", LARGEST_LINE
                return
            with _disk(self.label):
                file = Path(self._path).open("rb")  # noqa: SIM115 -- closed below; errors of the reader are not this file's
            with file:
                self._check(file)
                yield f"/dev/fd/{file.fileno()}", LARGEST_LINE

    def _check(self, file: IO[bytes]) -> None:
        """Compare the checksums of a gzip file with its content, which DuckDB does not: it loads damaged values."""
        if self.compression != "gzip":
            return
        file.seek(0)
        with _disk(self.label), igzip.open(file) as content:  # type: ignore[no-untyped-call]
            try:
                while content.read(_COPY_CHUNK):
                    pass
            except (EOFError, igzip.BadGzipFile, INFLATE_ERROR):
                raise UnusableInput(
                    f"The BATCH file {self.label} is damaged, not whole, or not compressed with gzip."
                ) from None

    def remove(self) -> None:
        """Delete the file after its rows are committed."""
        with _disk(self.label):
            if self._is_local:
                Path(self._path).unlink(missing_ok=True)
            else:
                filesystem, path = fsspec.core.url_to_fs(self._url)
                filesystem.rm_file(path)


Source = Spool | BatchFile


@contextmanager
def _disk(label: str = "") -> Iterator[None]:
    """Translate errors of files."""
    try:
        yield
    except FileNotFoundError:
        raise UnusableInput(f"The BATCH file {label} does not exist.") from None
    except OSError as error:
        raise _failure(error, label) from None


def _failure(error: OSError, label: str = "") -> LocalFailure:
    what = f"The BATCH file {label}" if label else f"A temporary file in {tempfile.gettempdir()}"
    return LocalFailure(f"{what} cannot be read or written: {error.strerror or type(error).__name__}.")
