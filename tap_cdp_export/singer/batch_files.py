"""BATCH messages: records as files of JSON lines, selection and stream maps applied.

The files of the SDK contain deselected columns and ignore stream maps (docs/performance.md, section 4). So its
messages, storage and settings are used, but the files are written here.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final
from uuid import uuid4

import fsspec  # type: ignore[import-untyped]
from fsspec.core import split_protocol  # type: ignore[import-untyped]
from isal import igzip

from tap_cdp_export.errors import LocalFailure, SettingsError
from tap_cdp_export.records.batch import EncodedRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig

_GZIP_LEVEL: Final = 1  # level 9 takes six times as long for a sixth less
_IN_MEMORY_BYTES: Final = 4 * 2**20
_SEPARATOR: Final = re.compile(r"[/\\]")


class Batches:
    """The BATCH files of one stream, or of the streams that its stream maps make of it."""

    def __init__(self, config: BatchConfig, write: Callable[[str, BaseBatchFileEncoding, str], None]) -> None:
        """Initialize without opening a file.

        Args:
            config: encoding, storage and size.
            write: writes a BATCH message; called with the stream, the file's encoding and its URL.
        """
        self._config = config
        self._write = write
        self._files: dict[str, _Files] = {}

    def compress(self, lines: EncodedRecords) -> EncodedRecords:
        """Compress records if the files are gzip; gzip members may follow each other in one file.

        Args:
            lines: encoded records.

        Returns:
            The records as `add` takes them.
        """
        return (
            lines._replace(data=igzip.compress(lines.data, _GZIP_LEVEL, mtime=0)) if _is_gzip(self._config) else lines
        )

    def add(self, stream: str, lines: EncodedRecords) -> None:
        """Write encoded records.

        Args:
            stream: their name.
            lines: from `compress`.
        """
        if stream not in self._files:
            self._files[stream] = _Files(self._config, stream)
        files = self._files[stream]
        for part in self._parts(lines):
            if not files.has_room_for(part.number):
                self._finish(stream)
            files.add(part)

    def write(self) -> None:
        """Finish all files, and write their BATCH messages."""
        for stream in self._files:
            self._finish(stream)

    def _parts(self, lines: EncodedRecords) -> Iterator[EncodedRecords]:
        """Split a batch that has more records than a file may have."""
        size = self._config.batch_size
        if lines.number <= size:
            yield lines
            return
        data = bytes(lines.data)
        if _is_gzip(self._config):
            data = igzip.decompress(data)  # type: ignore[no-untyped-call]
        rows = data.split(b"\n")[:-1]
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield self.compress(EncodedRecords(len(part), b"\n".join([*part, b""])))

    def _finish(self, stream: str) -> None:
        url = self._files[stream].take()
        if url:
            self._write(stream, self._config.encoding, url)


class _Files:
    """The files of one stream, one open at a time; a file is stored when it is complete."""

    def __init__(self, config: BatchConfig, stream: str) -> None:
        """Initialize without opening a file.

        Args:
            config: encoding, storage and size.
            stream: name of the stream, part of the files' names.
        """
        self._config = config
        self._name = f"{config.storage.prefix or ''}{stream}-{uuid4()}"
        self._number = 0
        self._records = 0
        self._file: IO[bytes] | None = None

    def has_room_for(self, number: int) -> bool:
        """Return whether the open file may have so many more records."""
        return self._records + number <= self._config.batch_size

    def add(self, lines: EncodedRecords) -> None:
        """Write records to the open file, which must have room for them.

        Args:
            lines: from `compress`.

        Raises:
            LocalFailure: If the temporary folder is full.
        """
        if self._file is None:
            self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 -- closed by take
        try:
            self._file.write(lines.data)
        except OSError as error:
            raise LocalFailure(f"A batch file cannot be kept in {tempfile.gettempdir()}: {error.strerror}.") from None
        self._records += lines.number

    def take(self) -> str | None:
        """Complete the open file and copy it to the storage.

        Returns:
            Its URL; None if there is no record in it.

        Raises:
            LocalFailure: If the storage does not take it.
        """
        if self._file is None:
            return None
        self._number += 1
        self._records = 0
        name = f"{self._name}-{self._number}.jsonl{'.gz' if _is_gzip(self._config) else ''}"
        with self._file as file:
            try:
                file.seek(0)
                self._store(file, name)
            except Exception as error:  # noqa: BLE001 -- every storage client has errors of its own, with URLs in them
                raise LocalFailure(
                    f"A batch file cannot be written to the storage of batch_config ({type(error).__name__}). "
                    "Check its root and the rights there."
                ) from None
            finally:
                self._file = None
        return self._config.storage.get_url(name)

    def _store(self, file: IO[bytes], name: str) -> None:
        """Copy a file to the storage, completely or not at all, readable by this user only."""
        storage = self._config.storage
        files, root = fsspec.url_to_fs(storage.root, **storage.params)
        path = f"{root.rstrip('/')}/{name}"
        with _private(), files.transaction:  # which the SDK's storage does not end after an error
            files.makedirs(path.rpartition("/")[0], exist_ok=True)
            with files.open(path, "wb") as stored:
                shutil.copyfileobj(file, stored)


@contextmanager
def _private() -> Iterator[None]:
    """Create files and folders that only this user can read."""
    umask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(umask)


def check_storage(root: str) -> None:
    """Check that the client of a storage is installed, without a request.

    Args:
        root: the storage's address.

    Raises:
        SettingsError: If its client is not installed, or the scheme of the address is unknown.
    """
    try:
        for protocol in (split_protocol(root)[0] or "file").split("::"):  # one behind the other, as fsspec chains them
            fsspec.get_filesystem_class(protocol)
    except ImportError:
        raise SettingsError(
            "The storage of batch_config needs a client: install the tap's extra s3, gcs or azure."
        ) from None
    except ValueError:
        raise SettingsError("Setting batch_config.storage.root begins with no scheme of a known storage.") from None


def stays_below_root(name: str) -> bool:
    """Return whether a file of this name can only be in the storage's root or in a folder below it.

    Args:
        name: what the file's name begins with.

    Returns:
        False for what is absolute, an address, or has a folder that is none of its own, such as `..`.
    """
    return "://" not in name and name.isprintable() and {"", ".", ".."}.isdisjoint(_SEPARATOR.split(name))


def _is_gzip(config: BatchConfig) -> bool:
    return config.encoding.compression == "gzip"
