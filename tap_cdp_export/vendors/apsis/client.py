"""Export request and poll URL (docs/vendors/apsis.md, sections 3 to 6)."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import RequestRefused, UnusableAnswer
from tap_cdp_export.files.json_container import NoMembers
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.http.client import ApiRequest
from tap_cdp_export.http.reasons import read_reason, reason_in, reason_of
from tap_cdp_export.http.responses import announced_size, read_object, retry_after
from tap_cdp_export.jobs.busy import Busy, request_when_free
from tap_cdp_export.jobs.job import ExportJob, ExportStatus
from tap_cdp_export.jobs.runner import PollPolicy, PollResult
from tap_cdp_export.signals import STOP
from tap_cdp_export.vendors.apsis.export_file import verify_file

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    import requests

    from tap_cdp_export.jobs.job import ExportRequest
    from tap_cdp_export.vendors.apsis.api import ApsisApi

logger = logging.getLogger(__name__)

_JOB_LIFETIME: Final = timedelta(hours=24)
_JOB_MARGIN: Final = timedelta(minutes=10)
_URL_FIELDS: Final = ("file_download_url_v2", "file_download_url", "poll_url", "url")
_URL_BEGINNINGS: Final = ("https://", "http://", "/")
_SECOND_VERSION: Final = "_v2"
_LARGEST_BODY: Final = 100_000
_LARGEST_REASON: Final = 64 * 1024
_REPEATS: Final = 3  # after 408, 5xx or a lost answer, as the vendor's own modules do
_WORDS_OF_SIZE: Final = re.compile(r"too (large|big|much data)|data ?set[^.]*(exceed|limit)", re.IGNORECASE)

_POLL_ANSWERS: Final = {
    200: ExportStatus.READY,
    202: ExportStatus.PENDING,
    404: ExportStatus.PENDING,
    410: ExportStatus.GONE,
    503: ExportStatus.FAILED,
}
_POLL_ANSWERS_V2: Final = {**_POLL_ANSWERS, 404: ExportStatus.GONE}
"""The vendor's newer poll URLs answer 202 while waiting, so their 404 means that the ID is invalid."""


class TooLarge(RequestRefused):
    """The vendor refuses an export for its size: one of a shorter window may be accepted."""


class ApsisExporter:
    """APSIS One's side of an export."""

    def __init__(self, api: ApsisApi, settings: Mapping[str, Any]) -> None:
        """Connect nothing yet.

        Args:
            api: where to ask.
            settings: `apsis`.
        """
        self._api = api
        self._pace_seconds = 60 / settings["requests_per_minute"]
        self._poll_policy = PollPolicy.from_settings(settings)
        self._next_request = 0.0

    def request_export(self, request: ExportRequest) -> ExportJob:
        """Ask for an export, and again at its pace where it was lost or too many are pending.

        Args:
            request: its parameters are the whole body.

        Returns:
            The job; it is valid for a day.

        Raises:
            RequestRefused: If the vendor refuses it.
            TooLarge: If it does so for its size.
            UnusableAnswer: If the answer has no poll URL.
            QuotaReached: If too many exports are pending until the timeout.
            VendorUnavailable: If the request fails, repeats included.
        """
        return request_when_free(
            lambda: self._request_once(request),
            self._poll_policy,
            subject=request.subject,
            limit="no further export was accepted, as too many are pending or asked for",
            advice="Run again when other exports have ended, or lower requests_per_minute.",
        )

    def _request_once(self, request: ExportRequest) -> ExportJob:
        delay = self._next_request - time.monotonic()
        if delay > 0:
            with STOP.interruptible():
                time.sleep(delay)
        start, end = request_bounds(request)
        call = ApiRequest(
            "POST",
            f"{self._api.base_url}/audience/profiles/exports",
            what="an export",
            json={**request.parameters, "start_at": start, "end_at": end},
            expected=frozenset({400, 413, 429}),
            is_idempotent=False,
            repeats=_REPEATS,
            min_delay=self._pace_seconds,
            starts_job=True,
        )

        def consume(answer: requests.Response, chunks: Iterator[bytes]) -> dict[str, str]:
            if answer.status_code in call.expected:
                reason = read_reason(answer, deadline=math.inf)  # a refusal counts though its body is cut
                if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                    raise Busy(reason, max(retry_after(answer) or 0.0, self._pace_seconds))
                raise _refusal(call, answer.status_code, reason)
            return self._handle(answer, b"".join(chunks))

        asked_at = datetime.now(UTC)
        try:
            reference = self._api.send(call, consume)
        finally:
            self._next_request = time.monotonic() + self._pace_seconds
        return ExportJob(reference, request.digest, asked_at, asked_at + _JOB_LIFETIME - _JOB_MARGIN, request.window)

    def _handle(self, answer: requests.Response, text: bytes) -> dict[str, str]:
        """Find the poll URL: its field is not documented, its siblings' are; else it is the one that holds a URL."""
        fields = read_object([text]) if text.strip() else {}
        if errors := reason_in({"errors": fields.get("errors")}):
            logger.warning("APSIS One accepted the export but reports errors.%s", errors)
        found = {
            name: value
            for name, value in fields.items()
            if isinstance(value, str) and value.strip() and (name in _URL_FIELDS or value.startswith(_URL_BEGINNINGS))
        }
        known = [name for name in _URL_FIELDS if name in found]
        if known or len(found) == 1:
            name = [*known, *found][0]
            return {"poll_path": self._own_path(found[name]), "field": name}
        if location := answer.headers.get("Location"):
            return {"poll_path": self._own_path(location), "field": "Location"}
        keys = ", ".join(sorted(key for key in fields if key.isidentifier())) or "none"
        raise UnusableAnswer(
            f"APSIS One accepted an export but gave no poll URL; the keys of its answer: {keys}.{reason_in(fields)}"
        )

    def _own_path(self, url: str) -> str:
        return self._api.own_path(url, "a poll URL")

    def poll(self, job: ExportJob, *, deadline_seconds: float) -> PollResult:
        """Poll; the file streams at once when it is ready, and is checked whole before it counts.

        Args:
            job: an accepted export.
            deadline_seconds: for the poll and the download behind it.

        Returns:
            How it stands, with the file if it is ready.

        Raises:
            UnusableAnswer: If the status is not documented, or the file is none.
        """
        path = job.reference.get("poll_path", "")
        if not path.startswith("/"):  # anything else could name another host behind the origin
            return PollResult(ExportStatus.GONE)
        table = _POLL_ANSWERS_V2 if job.reference.get("field", "").endswith(_SECOND_VERSION) else _POLL_ANSWERS
        call = ApiRequest(
            "GET",
            self._api.url(path),
            what="the state of an export",
            headers={"Accept-Encoding": "gzip"},
            expected=frozenset(table),
        )

        def consume(answer: requests.Response, chunks: Iterator[bytes]) -> PollResult:
            status = table.get(answer.status_code)
            if status is None:
                raise UnusableAnswer(f"APSIS One answered a poll with {answer.status_code}, which is not documented.")
            if status is not ExportStatus.READY:
                reason = read_reason(answer, deadline=time.monotonic() + deadline_seconds)
                if status is ExportStatus.FAILED and "Retry-After" in answer.headers:
                    status = ExportStatus.UNAVAILABLE  # a gateway says so, not the export
                return PollResult(status, retry_after=retry_after(answer), reason=reason)
            spool = Spool(chunks, announced_size=announced_size(answer))
            try:
                _verify(spool)
            except NoMembers as error:  # a "status of error", such as for a data set that is too large
                spool.close()
                return PollResult(ExportStatus.FAILED, error=error)
            except BaseException:
                spool.close()
                raise
            return PollResult(status, spool)

        return self._api.send(call, consume, deadline_seconds=deadline_seconds)

    def download(self, _job: ExportJob, result: PollResult) -> Generator[Spool]:
        """Give the file that the look has brought.

        Args:
            result: a look at a ready export.

        Yields:
            The one file.
        """
        if result.spool:
            yield result.spool


def _verify(spool: Spool) -> None:
    """Verify a file; quote the reason of an object that is an error in place of it, with `profiles` or without."""
    try:
        verify_file(spool)
    except NoMembers:
        pass
    else:
        if spool.chunk_offsets or not reason_of(spool.head(_LARGEST_REASON)):
            return
    reason = reason_of(spool.head(_LARGEST_REASON))
    raise NoMembers(f"APSIS One sent an object without profiles in place of the export file.{reason}")


def request_bounds(request: ExportRequest) -> tuple[str, str]:
    """Return the start and the end of an export as they are sent.

    Args:
        request: its window and its lookback count.
    """
    if request.window is None:
        raise ValueError("an export of APSIS One has a window")
    start, end = request.window.start - request.lookback, request.window.end
    return f"{start:%Y-%m-%dT%H:%M:%SZ}", f"{end:%Y-%m-%dT%H:%M:%SZ}"


def _refusal(call: ApiRequest, status: int, reason: str) -> RequestRefused:
    """Distinguish a refusal for size from one for content; the form of such a refusal is not documented.

    413 means a body over 100 kB, so with a smaller one it means the data.
    """
    is_small = len(json.dumps(call.json).encode()) < _LARGEST_BODY
    if _WORDS_OF_SIZE.search(reason) if status == HTTPStatus.BAD_REQUEST else is_small:
        return TooLarge(
            f"APSIS One refuses an export as too large ({status}).{reason} "
            "Ask for fewer attributes, tags and event types, or for a simpler segment.",
            status=status,
            reason=reason,
        )
    return RequestRefused(
        f"APSIS One refuses the request for an export ({status}).{reason} Check the settings apsis.attributes, tags, "
        "events, item_fields, segment_filter and extra_body.",
        status=status,
        reason=reason,
    )
