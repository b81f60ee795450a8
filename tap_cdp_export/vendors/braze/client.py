"""The request for an export, busy segments, and where the files come from (docs/vendors/braze.md, sections 2 to 5)."""

from __future__ import annotations

import logging
import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import CredentialsRefused, QuotaReached, RequestRefused, UnusableAnswer
from tap_cdp_export.http.reasons import read_reason, reason_in
from tap_cdp_export.http.responses import read_object, retry_after
from tap_cdp_export.jobs.busy import Busy, request_when_free
from tap_cdp_export.jobs.job import ExportJob, ExportStatus
from tap_cdp_export.jobs.runner import PollResult
from tap_cdp_export.redaction import REDACTOR
from tap_cdp_export.vendors.braze.bucket import Bucket, is_place
from tap_cdp_export.vendors.braze.download import Downloads
from tap_cdp_export.vendors.braze.paces import seconds_until_reset
from tap_cdp_export.vendors.braze.segments import GLOBAL_CONTROL_GROUP

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    import requests

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.jobs.job import ExportRequest
    from tap_cdp_export.jobs.runner import PollPolicy
    from tap_cdp_export.vendors.braze.api import BrazeApi

logger = logging.getLogger(__name__)

_URL_LIFETIME: Final = timedelta(hours=4)
_BUCKET_LIFETIME: Final = timedelta(days=1)
"""The files stay, but after a day a new snapshot is worth more than what is left of an old one."""

_BUSY_STATUS: Final = 429
_RUNNING: Final = re.compile(r"in progress|running", re.IGNORECASE)
_PERMISSIONS: Final = (
    "Check api_key, its permission {}, its IP allowlist, and that base_url is the instance of the key."
)
_ADVICE: Final = {
    False: "Find out what else exports it, or set on_conflict to cancel.",
    True: "Find out what else exports it, or raise export_timeout_seconds.",
}
_NOT_OF_THE_GROUP: Final = frozenset({"segment_id", "custom_attributes_to_export"})


class BrazeExporter:
    """Braze's side of an export by URL or into a bucket.

    Attributes:
        bucket: the company's own, if one is configured.
    """

    def __init__(
        self, api: BrazeApi, settings: Mapping[str, Any], poll_policy: PollPolicy, *, deadline_seconds: float
    ) -> None:
        """Connect nothing yet.

        Args:
            api: the REST host.
            settings: `braze`.
            poll_policy: how long a busy segment is waited for.
            deadline_seconds: for one request with all its tries.

        Raises:
            SettingsError: If the client of the bucket is not installed, or refuses its options.
        """
        self._api = api
        self._on_conflict: str = settings["on_conflict"]
        self._poll_policy = poll_policy
        self._downloads = Downloads(api, deadline_seconds=deadline_seconds)
        self.bucket = Bucket(settings) if "bucket_url" in settings else None

    def check_bucket(self) -> None:
        """Make sure, before hours of waiting, that the bucket is there, if one is configured.

        Raises:
            SettingsError: If it is not there.
            CredentialsRefused: If it refuses.
        """
        if self.bucket:
            self.bucket.check()

    def can_find(self, job: ExportJob) -> bool:
        """Return whether an export that an earlier run asked for can be found again.

        Args:
            job: from STATE, so without its URL.

        Returns:
            Whether its files come into the bucket.
        """
        return self.bucket is not None and "object_prefix" in job.reference

    def request_export(self, request: ExportRequest) -> ExportJob:
        """Ask for an export, once the segment is free.

        Args:
            request: its parameters are the whole body.

        Returns:
            The job.

        Raises:
            QuotaReached: If the segment, or the company, stays busy.
            UnusableAnswer: If the answer leads to no file.
        """
        segment = request.parameters["segment_id"]
        conflict = "wait" if segment == GLOBAL_CONTROL_GROUP and self._on_conflict == "cancel" else self._on_conflict

        def ask() -> ExportJob:
            nonlocal conflict
            try:
                return self._ask_once(request)
            except _Refused as busy:
                if busy.is_conflict and conflict == "fail":
                    raise QuotaReached(
                        f"{request.subject}: Braze is already exporting the segment or at its limit of exports."
                        f"{busy.reason} Run again when the other export has ended, or set on_conflict to wait.",
                        reason=busy.reason,
                    ) from None
                if busy.is_conflict and conflict == "cancel":
                    conflict = "wait"  # once: what is still running after that is not ours to end
                    self._cancel(segment, request.subject)
                raise

        return request_when_free(
            ask,
            self._poll_policy,
            subject=request.subject,
            limit="the segment stayed busy",
            advice=_ADVICE[conflict == "cancel"],
        )

    def _ask_once(self, request: ExportRequest) -> ExportJob:
        """Send the request; a lost answer may be asked for again, since Braze refuses a second export of a segment."""
        asked_at = datetime.now(UTC)
        path, body, permission = "/users/export/segment", request.parameters, "users.export.segment"
        if body["segment_id"] == GLOBAL_CONTROL_GROUP:
            path, permission = "/users/export/global_control_group", "users.export.global_control_group"
            body = {name: value for name, value in body.items() if name not in _NOT_OF_THE_GROUP}

        def consume(answer: requests.Response, chunks: Iterator[bytes]) -> ExportJob:
            if answer.status_code == _BUSY_STATUS:
                raise _Refused(answer, read_reason(answer, deadline=math.inf))
            return self._job(read_object(chunks), request, asked_at)

        what = f"an export of {request.subject}"
        try:
            return self._api.post(path, body, consume, what=what, expected=frozenset({_BUSY_STATUS}), starts_job=True)
        except CredentialsRefused as error:
            raise CredentialsRefused(
                f"Braze refuses {what} ({error.status}).{error.reason} {_PERMISSIONS.format(permission)}",
                status=error.status,
                reason=error.reason,
            ) from None
        except RequestRefused as error:
            raise RequestRefused(
                f"Braze refuses {what} ({error.status}).{error.reason} "
                "Check segment_ids, fields_to_export and base_url.",
                status=error.status,
                reason=error.reason,
            ) from None

    def _job(self, answer: Mapping[str, Any], request: ExportRequest, asked_at: datetime) -> ExportJob:
        """Read where the files will be: the answer decides, a URL may come although a bucket is connected."""
        if answer.get("message") != "success":
            raise UnusableAnswer(
                f"{request.subject}: Braze took the request but does not call it a success.{reason_in(answer)}"
            )
        reference = {"segment_id": request.parameters["segment_id"]}
        if errors := reason_in({"errors": answer.get("errors")}):
            logger.warning("%s: Braze accepted the export but reports errors.%s", request.subject, errors)
        url = answer.get("url")
        if url in {None, ""}:
            reference["object_prefix"] = self._place_in_bucket(answer, request)
            return ExportJob(reference, request.digest, asked_at, asked_at + _BUCKET_LIFETIME)
        if not isinstance(url, str) or not self._downloads.accepts(url):
            raise UnusableAnswer(
                f"{request.subject}: Braze gave a download URL that is not at least as safe as base_url."
            )
        REDACTOR.add_secret_url(url)
        return ExportJob(reference, request.digest, asked_at, asked_at + _URL_LIFETIME, secret=url)

    def _place_in_bucket(self, answer: Mapping[str, Any], request: ExportRequest) -> str:
        segment, prefix = request.parameters["segment_id"], answer.get("object_prefix")
        if segment == GLOBAL_CONTROL_GROUP:
            raise UnusableAnswer(
                f"{request.subject}: Braze gave no download URL, since a bucket is connected to the company. "
                "Where it puts this group there is not documented, so it is read by URL only."
            )
        if self.bucket is None:
            raise UnusableAnswer(
                f"{request.subject}: Braze gave no download URL, since a bucket is connected to the company "
                "and every export goes there. Set bucket_url (and bucket_options) to read it there."
            )
        if not is_place(segment, prefix):
            raise UnusableAnswer(
                f"{request.subject}: Braze gave neither a download URL nor an object_prefix that names one folder. "
                "Report the form of the prefix that the dashboard's Exports Log shows."
            )
        return str(prefix)

    def _cancel(self, segment: str, subject: str) -> None:
        logger.warning("%s: cancelling the running export, as on_conflict says.", subject)
        what = "the end of a running export"
        body = {"segment_id": segment}
        try:
            self._api.post("/export/segment/cancel", body, lambda _answer, chunks: list(chunks), what=what)
        except CredentialsRefused as error:
            raise CredentialsRefused(
                f"{subject}: Braze refuses {what} ({error.status}).{error.reason} "
                f"{_PERMISSIONS.format('segments.list')} Or set on_conflict to wait.",
                status=error.status,
                reason=error.reason,
            ) from None

    def poll(self, job: ExportJob, *, deadline_seconds: float) -> PollResult:
        """Look where the job's files will be.

        Args:
            job: an accepted export.
            deadline_seconds: for the try of a URL and the download behind it.

        Returns:
            How it stands; gone, if its URL ended with an earlier run.

        Raises:
            UnusableAnswer: If something else than documented is there.
        """
        if job.secret is not None:
            return self._downloads.poll(job.secret, deadline_seconds=deadline_seconds)
        if self.bucket and self.can_find(job):
            return self.bucket.poll(job)
        return PollResult(ExportStatus.GONE)

    def download(self, job: ExportJob, result: PollResult) -> Generator[Spool]:
        """Give the archive that the look has brought, or those that it has found in the bucket.

        Args:
            job: an export that is ready.
            result: the look that saw it so.

        Yields:
            Archives, each proven whole.
        """
        if result.spool:
            yield result.spool
        elif self.bucket:
            yield from self.bucket.download(job, result.files)


class _Refused(Busy):
    """Braze exports the segment already, is at its limit of exports, or the hour's requests are used up.

    Attributes:
        is_conflict: whether the answer is about running exports: requests remain in the hour, or Braze says so in
            words where it sends no rate headers. Empty rate headers tell nothing.
    """

    def __init__(self, answer: requests.Response, reason: str) -> None:
        super().__init__(reason, max(retry_after(answer) or 0.0, seconds_until_reset(answer) or 0.0))
        remaining = answer.headers.get("X-RateLimit-Remaining")
        if remaining is None:
            self.is_conflict = bool(_RUNNING.search(reason))
        else:
            self.is_conflict = remaining.strip().isdecimal() and float(remaining) > 0
