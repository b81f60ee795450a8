"""Export request, busy segments, and the download URL (vendors/braze.md, sections 2 to 6)."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tap_cdp_export.braze.archive import prove
from tap_cdp_export.errors import CredentialsRefused, QuotaReached, RequestRefused, UnusableAnswer
from tap_cdp_export.exports.job import ExportJob, ExportStatus
from tap_cdp_export.exports.runner import Look
from tap_cdp_export.exports.spool import Spool
from tap_cdp_export.http import Call, Credentials, HttpClient, is_loopback, origin, read_object
from tap_cdp_export.peers import is_inside
from tap_cdp_export.redaction import REDACTOR
from tap_cdp_export.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from tap_cdp_export.exports.job import ExportRequest
    from tap_cdp_export.exports.runner import Patience

logger = logging.getLogger(__name__)

_JOB_LIFETIME: Final = timedelta(hours=4)
_BUSY_STATUS: Final = 429
_NO_LATER_THAN: Final = 3600.0
_PERMISSIONS: Final = (
    "Check api_key, its permission users.export.segment, its IP allowlist, "
    "and that base_url is the instance of the key."
)

_URL_ANSWERS: Final = {
    200: ExportStatus.READY,
    403: ExportStatus.PENDING,
    404: ExportStatus.PENDING,
}
_EXPIRED: Final = b"ExpiredToken"
_ALL_REFUSALS: Final = frozenset(range(300, 500)) - {408, 425, 429}


class _Bearer(Credentials):
    """The REST API key."""

    def __init__(self, api_key: str) -> None:
        self._header = f"Bearer {api_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class BrazeExporter:
    """Braze's side of an export by URL."""

    def __init__(self, settings: Mapping[str, Any], patience: Patience, *, deadline_seconds: float) -> None:
        """Connect nothing yet.

        Args:
            settings: `braze`.
            patience: how long a busy segment is waited for.
            deadline_seconds: for one request with all its tries.
        """
        self._settings = settings
        self._patience = patience
        self._base_url = settings["base_url"].rstrip("/")
        trust = not is_loopback(self._base_url)
        self._api = HttpClient(
            "Braze", _Bearer(settings["api_key"]), deadline_seconds=deadline_seconds, trust_environment=trust
        )
        self._storage = HttpClient(
            "Braze's storage",
            deadline_seconds=deadline_seconds,
            trust_environment=trust,
            public_only=not is_inside(self._base_url),
        )

    def check_access(self) -> None:
        """List segments: the one read that any key may try and that starts nothing."""
        call = Call("GET", f"{self._base_url}/segments/list", what="the list of segments", params={"page": 0})
        try:
            self._api.send(call, lambda _answer, chunks: read_object(chunks))
        except CredentialsRefused as error:
            if error.status == 403:  # noqa: PLR2004 -- the status
                logger.info("Braze knows the key, but it may not list segments; the right to export is not checked.")
                return
            raise CredentialsRefused(f"Braze refuses the API key ({error.status}). {_PERMISSIONS}") from None

    def ask(self, request: ExportRequest) -> ExportJob:
        """Ask for an export, once the segment is free.

        Args:
            request: its parameters are the whole body.

        Returns:
            The job.

        Raises:
            QuotaReached: If the segment, or the company, stays busy.
            UnusableAnswer: If the answer has no URL.
        """
        deadline = time.monotonic() + self._patience.timeout
        pauses = self._patience.pauses()
        conflict = self._settings["on_conflict"]
        while True:
            try:
                return self._ask_once(request)
            except _Busy as busy:
                wait = next(pauses) if busy.seconds is None else busy.seconds
            if conflict == "fail":
                raise QuotaReached(
                    f"{request.subject}: Braze is already exporting the segment or at its limit of exports. "
                    "Run again when the other export has ended, or set on_conflict to wait."
                )
            if conflict == "cancel":
                conflict = "wait"  # once: what is still running after that is not ours to end
                self._cancel(request)
                continue
            if wait >= deadline - time.monotonic():
                raise QuotaReached(
                    f"{request.subject}: the segment stayed busy until export_timeout_seconds. "
                    "Find out what else exports it, or set on_conflict to cancel."
                )
            logger.info("%s: Braze is busy with it or at its limit, waiting %.0f s.", request.subject, wait)
            with SHUTDOWN.waiting():
                time.sleep(wait)

    def _ask_once(self, request: ExportRequest) -> ExportJob:
        """Send the request; a lost answer may be asked for again, since Braze refuses a second export of a segment."""
        call = Call(
            "POST",
            f"{self._base_url}/users/export/segment",
            what=f"an export of {request.subject}",
            json=request.parameters,
            expected=frozenset({_BUSY_STATUS}),
        )
        asked_at = datetime.now(UTC)

        def consume(answer: requests.Response, chunks: Iterator[bytes]) -> ExportJob:
            if answer.status_code == _BUSY_STATUS:
                raise _Busy(_seconds_until_reset(answer))
            return self._job(read_object(chunks), request, asked_at)

        try:
            return self._api.send(call, consume)
        except CredentialsRefused as error:
            raise CredentialsRefused(
                f"Braze refuses an export of {request.subject} ({error.status}). {_PERMISSIONS}"
            ) from None
        except RequestRefused as error:
            raise RequestRefused(
                f"Braze refuses an export of {request.subject} ({error.status}). "
                "Check segment_ids, fields_to_export and base_url."
            ) from None

    def _job(self, answer: Mapping[str, Any], request: ExportRequest, asked_at: datetime) -> ExportJob:
        if answer.get("message") != "success":
            raise UnusableAnswer(f"{request.subject}: Braze took the request but does not call it a success.")
        url = answer.get("url")
        if not isinstance(url, str):
            raise UnusableAnswer(
                f"{request.subject}: Braze gave no download URL, since a bucket is connected to the company "
                "and every export goes there. This version reads exports by URL only."
            )
        if not self._is_acceptable(url):
            raise UnusableAnswer(
                f"{request.subject}: Braze gave a download URL that is not at least as safe as base_url."
            )
        REDACTOR.learn([url, urlsplit(url).path])
        handle = {
            "segment_id": request.parameters["segment_id"],
            "object_prefix": str(answer.get("object_prefix", "")),
        }
        return ExportJob(handle, request.digest, asked_at, asked_at + _JOB_LIFETIME, secret=url)

    def _is_acceptable(self, url: str) -> bool:
        try:
            scheme = origin(url)[0]
        except ValueError:
            return False
        return scheme == "https" or scheme == origin(self._base_url)[0]

    def _cancel(self, request: ExportRequest) -> None:
        logger.warning("%s: cancelling the running export, as on_conflict says.", request.subject)
        call = Call(
            "POST",
            f"{self._base_url}/export/segment/cancel",
            what="the end of a running export",
            json={"segment_id": request.parameters["segment_id"]},
        )
        self._api.send(call, lambda _answer, chunks: list(chunks))

    def look(self, job: ExportJob, *, deadline_seconds: float) -> Look:
        """Try the URL; 403 and 404 mean that it is not ready, and nothing is sent that names the customer.

        Args:
            job: an accepted export.
            deadline_seconds: for the try and the download behind it.

        Returns:
            How it stands, with the archive if it is ready.

        Raises:
            UnusableAnswer: If the status is not documented, or the archive is none.
        """
        if job.secret is None:
            return Look(ExportStatus.GONE)
        call = Call("GET", job.secret, what="the archive", expected=_ALL_REFUSALS)

        def consume(answer: requests.Response, chunks: Iterator[bytes]) -> Look:
            status = _URL_ANSWERS.get(answer.status_code)
            if status is None:
                raise UnusableAnswer(f"Braze's storage answered {answer.status_code}, which is not documented.")
            if status is not ExportStatus.READY:
                is_expired = _EXPIRED in next(chunks, b"")
                return Look(ExportStatus.GONE if is_expired else status)
            spool = Spool(chunks)
            logger.info("Export downloaded: %d bytes.", spool.size)
            try:
                prove(spool)
            except BaseException:
                spool.close()
                raise
            return Look(status, spool)

        return self._storage.send(call, consume, deadline_seconds=deadline_seconds)

    def fetch(self, _job: ExportJob, look: Look) -> Iterator[Spool]:
        """Give the archive that the look has brought.

        Args:
            look: a look at a ready export.

        Yields:
            The one archive.
        """
        if look.spool:
            yield look.spool


class _Busy(Exception):
    """Braze exports the segment already, is at its limit of exports, or the hour's requests are used up."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self.seconds = seconds


def _seconds_until_reset(answer: requests.Response) -> float | None:
    """Tell the hourly limit (nothing remains: wait for its reset) from a busy segment (None: not said)."""
    remaining = answer.headers.get("X-RateLimit-Remaining", "").strip()
    reset = answer.headers.get("X-RateLimit-Reset", "").strip()
    if remaining == "0" and reset.isdecimal():  # the headers may be there without a value
        return min(max(float(reset) - time.time(), 1.0), _NO_LATER_THAN)
    return None
