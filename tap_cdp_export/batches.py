"""BATCH messages: records as files of JSON lines, selection and stream maps applied.

The SDK's own batches hold what the catalog deselects and know nothing of stream maps (research: performance,
section 4); so its messages, storage and settings are used, and the files are written here.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Any, Final
from uuid import uuid4

from isal import igzip

from tap_cdp_export.errors import LocalFailure, SettingsError
from tap_cdp_export.messages import Lines

if TYPE_CHECKING:
    from singer_sdk.helpers._batch import BatchConfig

_FAST: Final = 1  # the level; 9 takes six times as long for a sixth less
_IN_MEMORY_BYTES: Final = 4 * 2**20
_PACKED_AT_ONCE_BYTES: Final = 128 * 1024


class BatchFiles:
    """The files of one stream's records in a run, one open at a time, kept aside until it is whole."""

    def __init__(self, config: BatchConfig, stream: str) -> None:
        """Open nothing yet.

        Args:
            config: encoding, storage and size.
            stream: its name, for the files'.
        """
        self._config = config
        self._name = f"{config.storage.prefix or ''}{stream}-{uuid4()}"
        self._is_packed = config.encoding.compression == "gzip"
        self._number = 0
        self._records = 0
        self._kept: IO[bytes] | None = None
        self._lines: IO[bytes] | io.BufferedWriter | None = None

    @property
    def is_full(self) -> bool:
        """Whether the open file has as many records as it may have."""
        return self._records >= self._config.batch_size

    def add(self, lines: Lines) -> Lines:
        """Write records into the open file, as many as it may still have.

        Args:
            lines: encoded records.

        Returns:
            Those for which it has no room.

        Raises:
            LocalFailure: If the temporary folder is full.
        """
        if self._lines is None:
            self._kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 -- closed by take
            self._lines = self._kept
            if self._is_packed:
                packed: Any = igzip.IGzipFile(fileobj=self._kept, mode="wb", compresslevel=_FAST, mtime=0)  # type: ignore[no-untyped-call]
                self._lines = io.BufferedWriter(packed, _PACKED_AT_ONCE_BYTES)
        fitting, rest = _parted(lines, self._config.batch_size - self._records)
        try:
            self._lines.write(fitting.data)
        except OSError as error:
            raise LocalFailure(f"A batch file cannot be kept in {tempfile.gettempdir()}: {error.strerror}.") from None
        self._records += fitting.number
        return rest

    def take(self) -> str | None:
        """Finish the open file and put it into the storage.

        Returns:
            Its URL; None if there is no record in it.

        Raises:
            LocalFailure: If the storage does not take it.
            SettingsError: If the storage's client is not installed.
        """
        if self._lines is None or self._kept is None:
            return None
        self._number += 1
        self._records = 0
        name = f"{self._name}-{self._number}.jsonl{'.gz' if self._is_packed else ''}"
        with self._kept as kept:
            try:
                if self._is_packed:
                    self._lines.close()
                kept.seek(0)
                with self._config.storage.open(name, "wb") as stored:
                    shutil.copyfileobj(kept, stored)
            except ImportError:
                raise SettingsError(
                    "The storage of batch_config needs a client: install the tap's extra s3, gcs or azure."
                ) from None
            except Exception as error:  # noqa: BLE001 -- every storage client has errors of its own, with URLs in them
                raise LocalFailure(
                    f"A batch file cannot be written to the storage of batch_config ({type(error).__name__}). "
                    "Check its root and the rights there."
                ) from None
            finally:
                self._lines = self._kept = None
        return self._config.storage.get_url(name)


def _parted(lines: Lines, number: int) -> tuple[Lines, Lines]:
    """Cut behind so many records."""
    if lines.number <= number:
        return lines, Lines(0, b"")
    data = bytes(lines.data)
    end = 0
    for _ in range(number):
        end = data.index(b"\n", end) + 1
    return Lines(number, data[:end]), Lines(lines.number - number, data[end:])
