"""The company's own bucket: files arrive one by one, and the last is not marked (docs/vendors/braze.md, section 8)."""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files.activity import size_text
from tap_cdp_export.files.object_store import ObjectStore
from tap_cdp_export.files.prefetch import prefetch_files
from tap_cdp_export.files.side_files import is_side_file
from tap_cdp_export.jobs.job import ExportStatus
from tap_cdp_export.jobs.runner import PollResult
from tap_cdp_export.vendors.braze.archive import unpacked, verify

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from tap_cdp_export.files.object_store import StoredObject
    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.jobs.job import ExportJob

logger = logging.getLogger(__name__)

_FOLDER: Final = "segment-export"
_PREFIX: Final = re.compile(r"[0-9A-Za-z_~=+@-][0-9A-Za-z_~=+@.-]{0,254}")
_TIME_OF_REQUEST: Final = re.compile(r"-([0-9]{9,10}|[0-9]{13})$")
_MOST_SECONDS_DIGITS: Final = 10
_SEGMENT: Final = re.compile(r"[0-9A-Za-z_-]+")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZONES: Final = timedelta(days=1)


def is_place(segment: str, prefix: object) -> bool:
    """Return whether a segment and an `object_prefix` lead to one export's folder, and to nothing else.

    Args:
        segment: ID of the segment.
        prefix: from the answer to the request, or from STATE; its form is known from few records.

    Returns:
        Whether both are names of one folder: an empty prefix, a slash, or dots at its beginning, would read others.
    """
    return bool(_SEGMENT.fullmatch(segment)) and isinstance(prefix, str) and bool(_PREFIX.fullmatch(prefix))


class Bucket:
    """Where exports arrive in archives, batch by batch.

    Attributes:
        finished: by segment, what STATE keeps of an export that was read to its end: its prefix, and how many files
            it had.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Make the client of the bucket.

        Args:
            settings: `braze`, with `bucket_url`.

        Raises:
            SettingsError: If its client is not installed, or refuses its options.
        """
        self._store = ObjectStore(settings["bucket_url"], settings["bucket_options"])
        self._quiet_seconds = float(settings["bucket_quiet_seconds"])
        self._longest_silence = timedelta(seconds=settings["export_timeout_seconds"])
        self._prefix = ""
        self._seen: dict[str, StoredObject] = {}
        self._seen_since = 0.0
        self.finished: dict[str, dict[str, Any]] = {}

    def check(self) -> None:
        """Make sure that the bucket is there and may be read.

        Raises:
            SettingsError: If it is not there.
            CredentialsRefused: If it refuses.
        """
        self._store.check(_FOLDER)

    def poll(self, job: ExportJob) -> PollResult:
        """List an export's archives; it is whole when nothing has come or changed for `bucket_quiet_seconds`.

        The time is that between two listings, so that no clock needs to agree with the store's.

        Args:
            job: an accepted export.

        Returns:
            How it stands, with the names of its archives if it is whole.
        """
        if not is_place(job.reference["segment_id"], job.reference.get("object_prefix")):
            return PollResult(ExportStatus.GONE)
        found = self._list(job.reference["segment_id"], job.reference["object_prefix"])
        now = time.monotonic()
        if (job.reference["object_prefix"], found) != (self._prefix, self._seen):
            self._prefix, self._seen, self._seen_since = job.reference["object_prefix"], found, now
            size = sum(archive.size for archive in found.values())
            logger.info("In the bucket: %d files of the export, %s.", len(found), size_text(size))
        if not found:
            is_lost = datetime.now(UTC) > job.asked_at + self._longest_silence
            return PollResult(ExportStatus.GONE if is_lost else ExportStatus.PENDING)
        if now - self._seen_since < self._quiet_seconds:
            return PollResult(ExportStatus.PENDING)
        return PollResult(ExportStatus.READY, files=tuple(found))

    def download(self, job: ExportJob, files: Sequence[str]) -> Generator[Spool]:
        """Fetch archives, a few ahead.

        Args:
            job: an export that a look has found whole.
            files: names from that look.

        Yields:
            Archives, each proven whole.

        Raises:
            IncompleteAnswer: If an archive changed, or another one came after the quiet time.
        """
        yield from prefetch_files((self._seen[file] for file in files), self._fetch)
        segment, prefix = job.reference["segment_id"], job.reference["object_prefix"]
        if self._list(segment, prefix) != self._seen:
            raise IncompleteAnswer(
                "More files of the export came to the bucket after bucket_quiet_seconds without any. "
                "Run again to read them too, and raise bucket_quiet_seconds."
            )
        self.finished[segment] = {"object_prefix": prefix, "files": len(self._seen)}

    def late_files(self, segment: str, finished: object) -> int:
        """Count the files of an export that came after a run had read it to its end.

        Args:
            segment: ID of the segment.
            finished: what `finished` had of the segment in that run, from STATE.

        Returns:
            How many; 0 where STATE holds no such export.
        """
        prefix, files = (
            (finished.get("object_prefix"), finished.get("files")) if isinstance(finished, dict) else ("", 0)
        )
        if not is_place(segment, prefix) or not isinstance(files, int):
            return 0
        return max(len(self._list(segment, str(prefix))) - files, 0)

    def _fetch(self, archive: StoredObject) -> Spool:
        spool = self._store.fetch(archive)
        try:
            spool = unpacked(spool)
            spool.name = archive.path
            verify(spool)
        except UnusableAnswer as error:
            spool.close()
            raise type(error)(f"The object {archive.path}: {error}") from None
        except BaseException:
            spool.close()
            raise
        return spool

    def _list(self, segment_id: str, prefix: str) -> dict[str, StoredObject]:
        """List the archives of an export in a stable order; empty files and side files are none.

        The date in their path is the day the export finished, which may be days after the request.
        """
        segment = f"{_FOLDER}/{segment_id}"
        found = [
            archive
            for day in self._store.folders(segment)
            if not _is_before(day, prefix)
            for archive in self._store.objects(f"{segment}/{day}/{prefix}")
            if archive.size and not is_side_file(archive.path)
        ]
        return {archive.path: archive for archive in sorted(found)}


def _is_before(day: str, prefix: str) -> bool:
    """Return whether a date folder is older than the request, whose time in Unix seconds a usual prefix ends with.

    A prefix of another form, or a time in the future, tells nothing.
    """
    match = _TIME_OF_REQUEST.search(prefix)
    if not match:
        return False
    seconds = int(match[1]) // (1000 if len(match[1]) > _MOST_SECONDS_DIGITS else 1)
    requested = datetime.fromtimestamp(seconds, UTC) - _ZONES
    is_past = requested < datetime.now(UTC)
    return is_past and bool(_DAY.fullmatch(day)) and day < f"{requested:%Y-%m-%d}"
