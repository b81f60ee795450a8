"""BATCH messages: records as files of JSON lines, selection and stream maps applied.

The SDK's own batches hold what the catalog deselects and know nothing of stream maps (docs/performance.md,
section 4); so its messages, storage and settings are used, and the files are written here.
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

_FAST: Final = 1  # the level; 9 takes six times as long for a sixth less
_IN_MEMORY_BYTES: Final = 4 * 2**20
_SEPARATOR: Final = re.compile(r"[/\\]")


class Batches:
    """The BATCH files of a run: of one stream, or of those that its stream maps make of it."""

    def __init__(self, config: BatchConfig, write: Callable[[str, BaseBatchFileEncoding, str], None]) -> None:
        """Open nothing yet.

        Args:
            config: encoding, storage and size.
            write: writes a BATCH message: the stream, the file's encoding and its URL.
        """
        self._config = config
        self._write = write
        self._files: dict[str, _Files] = {}

    def packed(self, lines: EncodedRecords) -> EncodedRecords:
        """Make a piece of a file: pieces of gzip follow each other in one file.

        Args:
            lines: encoded records.

        Returns:
            The same, as a file has them.
        """
        return lines._replace(data=igzip.compress(lines.data, _FAST, mtime=0)) if _is_gzip(self._config) else lines

    def add(self, stream: str, lines: EncodedRecords) -> None:
        """Write encoded records.

        Args:
            stream: their name.
            lines: from `packed`.
        """
        if stream not in self._files:
            self._files[stream] = _Files(self._config, stream)
        files = self._files[stream]
        for part in self._parts(lines):
            if not files.has_room_for(part.number):
                self._finish(stream)
            files.add(part)

    def write(self) -> None:
        """Finish all files, and tell of them."""
        for stream in self._files:
            self._finish(stream)

    def _parts(self, lines: EncodedRecords) -> Iterator[EncodedRecords]:
        """Cut what is too much for one file, which is little for any usual size."""
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
            yield self.packed(EncodedRecords(len(part), b"\n".join([*part, b""])))

    def _finish(self, stream: str) -> None:
        url = self._files[stream].take()
        if url:
            self._write(stream, self._config.encoding, url)


class _Files:
    """The files of one stream's records in a run, one open at a time, kept aside until it is whole."""

    def __init__(self, config: BatchConfig, stream: str) -> None:
        """Open nothing yet.

        Args:
            config: encoding, storage and size.
            stream: its name, for the files'.
        """
        self._config = config
        self._name = f"{config.storage.prefix or ''}{stream}-{uuid4()}"
        self._number = 0
        self._records = 0
        self._kept: IO[bytes] | None = None

    def has_room_for(self, number: int) -> bool:
        """Tell whether the open file may have so many records more."""
        return self._records + number <= self._config.batch_size

    def add(self, lines: EncodedRecords) -> None:
        """Write records into the open file, which must have room for them.

        Args:
            lines: from `packed`.

        Raises:
            LocalFailure: If the temporary folder is full.
        """
        if self._kept is None:
            self._kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 -- closed by take
        try:
            self._kept.write(lines.data)
        except OSError as error:
            raise LocalFailure(f"A batch file cannot be kept in {tempfile.gettempdir()}: {error.strerror}.") from None
        self._records += lines.number

    def take(self) -> str | None:
        """Finish the open file and put it into the storage.

        Returns:
            Its URL; None if there is no record in it.

        Raises:
            LocalFailure: If the storage does not take it.
        """
        if self._kept is None:
            return None
        self._number += 1
        self._records = 0
        name = f"{self._name}-{self._number}.jsonl{'.gz' if _is_gzip(self._config) else ''}"
        with self._kept as kept:
            try:
                kept.seek(0)
                self._store(kept, name)
            except Exception as error:  # noqa: BLE001 -- every storage client has errors of its own, with URLs in them
                raise LocalFailure(
                    f"A batch file cannot be written to the storage of batch_config ({type(error).__name__}). "
                    "Check its root and the rights there."
                ) from None
            finally:
                self._kept = None
        return self._config.storage.get_url(name)

    def _store(self, kept: IO[bytes], name: str) -> None:
        """Copy a file into the storage, whole or not at all, for this user's eyes alone."""
        storage = self._config.storage
        files, root = fsspec.url_to_fs(storage.root, **storage.params)
        path = f"{root.rstrip('/')}/{name}"
        with _private(), files.transaction:  # which the SDK's storage does not end after an error
            files.makedirs(path.rpartition("/")[0], exist_ok=True)
            with files.open(path, "wb") as stored:
                shutil.copyfileobj(kept, stored)


@contextmanager
def _private() -> Iterator[None]:
    """Let nobody but this user read the files and folders that are made meanwhile."""
    usual = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(usual)


def check_storage(root: str) -> None:
    """Make sure that there is a client for a storage; it is asked nothing.

    Args:
        root: the storage's address.

    Raises:
        SettingsError: If its client is not installed, or nobody has one for such an address.
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
    """Tell whether a file of this name, a prefix and a stream, can only be in the storage's root or a folder below.

    Args:
        name: what the file's name begins with.

    Returns:
        False for what is absolute, an address, or has a folder that is none of its own, such as `..`.
    """
    return "://" not in name and name.isprintable() and {"", ".", ".."}.isdisjoint(_SEPARATOR.split(name))


def _is_gzip(config: BatchConfig) -> bool:
    return config.encoding.compression == "gzip"
