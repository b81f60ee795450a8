"""Token, export request and poll URL (vendors/apsis.md, sections 1 to 6)."""

from __future__ import annotations

import base64
import binascii
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from tap_cdp_export import json_text
from tap_cdp_export.apsis.export_file import PROFILES
from tap_cdp_export.errors import CredentialsRefused, SettingsError, UnusableAnswer
from tap_cdp_export.exports.job import ExportJob, ExportStatus
from tap_cdp_export.exports.json_members import prove
from tap_cdp_export.exports.runner import Look
from tap_cdp_export.exports.spool import Spool
from tap_cdp_export.http import Call, Credentials, HttpClient, is_loopback, origin, read_object, retry_after
from tap_cdp_export.redaction import REDACTOR
from tap_cdp_export.shutdown import SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from tap_cdp_export.exports.job import ExportRequest

logger = logging.getLogger(__name__)

_EARLY_SECONDS: Final = 300.0
_LEAST_SECONDS: Final = 60.0  # also for a token that this machine's clock takes for expired: a refusal renews it
_SHORT_LIFE_SECONDS: Final = 900.0
_JOB_LIFETIME: Final = timedelta(hours=24)
_JOB_MARGIN: Final = timedelta(minutes=10)
_URL_FIELDS: Final = ("file_download_url_v2", "file_download_url", "poll_url", "url")
_SECOND_VERSION: Final = "file_download_url_v2"

_POLL_ANSWERS: Final = {
    200: ExportStatus.READY,
    202: ExportStatus.PENDING,
    404: ExportStatus.PENDING,
    410: ExportStatus.GONE,
    503: ExportStatus.FAILED,
}
_POLL_ANSWERS_V2: Final = {**_POLL_ANSWERS, 404: ExportStatus.GONE}
"""The vendor's newer poll URLs answer 202 while waiting, so their 404 means that the ID is invalid."""


class _Token(Credentials):
    """A bearer token, asked for once and kept until it is about to expire.

    The endpoint allows ten calls a minute, so a token serves the whole run. After a refusal (the vendor's own
    clients take 401 and 403 alike) it is renewed once for a call.
    """

    def __init__(self, base_url: str, settings: Mapping[str, Any], deadline_seconds: float) -> None:
        self._http = HttpClient(
            "APSIS One", deadline_seconds=deadline_seconds, trust_environment=not is_loopback(base_url)
        )
        self._call = Call(
            "POST",
            f"{base_url}/oauth/token",
            what="a token",
            json={
                "grant_type": "client_credentials",
                "client_id": settings["client_id"],
                "client_secret": settings["client_secret"],
            },
        )
        self._value = ""
        self._good_until = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if time.time() >= self._good_until:
            self.ask()
        request.headers["Authorization"] = f"Bearer {self._value}"
        return request

    def renew(self, _status: int) -> bool:
        self._good_until = 0.0
        return True

    def ask(self) -> timedelta:
        """Ask for a token; tell how far this machine's clock is ahead of the vendor's."""
        try:
            answer = self._http.send(self._call, lambda _answer, chunks: read_object(chunks))
        except CredentialsRefused as error:
            raise CredentialsRefused(
                f"APSIS One gives no token ({error.status}). Check client_id and client_secret, "
                "and that base_url is the account's region."
            ) from None
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise UnusableAnswer("APSIS One answered the request for a token without access_token.")
        REDACTOR.learn([token])
        self._value = token
        self._good_until = max(_expiry(token, answer) - _EARLY_SECONDS, time.time() + _LEAST_SECONDS)
        return max(self._http.clock_lead, timedelta(0))


def _expiry(token: str, answer: Mapping[str, Any]) -> float:
    """Find when a token expires, in Unix seconds: the JWT's `exp` counts, `expires_in` is deprecated."""
    parts = token.split(".")
    if len(parts) == 3:  # noqa: PLR2004 -- a JWT's parts
        try:
            claims = json_text.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
            return float(claims["exp"])
        except (ValueError, TypeError, KeyError, binascii.Error):
            pass
    try:
        return time.time() + float(answer["expires_in"])
    except (ValueError, TypeError, KeyError):
        return time.time() + _SHORT_LIFE_SECONDS


class ApsisExporter:
    """APSIS One's side of an export."""

    def __init__(self, settings: Mapping[str, Any], *, earliest: datetime | None, deadline_seconds: float) -> None:
        """Connect nothing yet.

        Args:
            settings: `apsis`.
            earliest: the lookback never reaches behind this time.
            deadline_seconds: for one request with all its tries.
        """
        self._base_url = settings["base_url"].rstrip("/")
        self._origin = "{0.scheme}://{0.netloc}".format(urlsplit(self._base_url))
        self._lookback = timedelta(minutes=settings["lookback_minutes"])
        self._earliest = earliest
        self._token = _Token(self._base_url, settings, deadline_seconds)
        self._http = HttpClient(
            "APSIS One",
            self._token,
            deadline_seconds=deadline_seconds,
            trust_environment=not is_loopback(self._base_url),
        )
        self._pace_seconds = 60 / settings["requests_per_minute"]
        self._next_request = 0.0

    def check_access(self) -> timedelta:
        """Ask for a token, which checks the credentials and starts nothing.

        Returns:
            How far this machine's clock is ahead of the vendor's.
        """
        return self._token.ask()

    def ask(self, request: ExportRequest) -> ExportJob:
        """Ask for an export.

        Args:
            request: its parameters are the whole body.

        Returns:
            The job; it is valid for a day.

        Raises:
            UnusableAnswer: If the answer has no poll URL.
        """
        with SHUTDOWN.waiting():
            time.sleep(max(self._next_request - time.monotonic(), 0))
        call = Call(
            "POST",
            f"{self._base_url}/audience/profiles/exports",
            what="an export",
            json={**request.parameters, **self._bounds(request)},
            repeatable=False,
        )
        asked_at = datetime.now(UTC)
        try:
            handle = self._http.send(call, self._handle)
        finally:
            self._next_request = time.monotonic() + self._pace_seconds
        return ExportJob(handle, request.digest, asked_at, asked_at + _JOB_LIFETIME - _JOB_MARGIN, request.window)

    def _bounds(self, request: ExportRequest) -> dict[str, str]:
        """Write the window with its lookback: the bounds' clock is unknown, and events may arrive late."""
        if request.window is None:
            raise ValueError("an export of APSIS One has a window")
        start = request.window.start - self._lookback
        if self._earliest:
            start = max(start, min(self._earliest, request.window.start))
        return {
            "start_at": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "end_at": f"{request.window.end:%Y-%m-%dT%H:%M:%SZ}",
        }

    def _handle(self, answer: requests.Response, chunks: Iterator[bytes]) -> dict[str, str]:
        """Find the poll URL: its field is not documented, its siblings' are."""
        text = b"".join(chunks)
        fields = read_object([text]) if text.strip() else {}
        for name in _URL_FIELDS:
            if isinstance(fields.get(name), str):
                return {"poll_path": self._own_path(fields[name]), "field": name}
        if location := answer.headers.get("Location"):
            return {"poll_path": self._own_path(location), "field": "Location"}
        keys = ", ".join(sorted(key for key in fields if key.isidentifier())) or "none"
        raise UnusableAnswer(f"APSIS One accepted an export but gave no poll URL; the keys of its answer: {keys}.")

    def _own_path(self, url: str) -> str:
        """Cut a poll URL to its path and query; it must be at the API, since it needs the token."""
        try:
            absolute = urljoin(self._base_url + "/", url)
            is_own = origin(absolute) == origin(self._base_url)
        except ValueError:
            absolute, is_own = "", False
        if not is_own:
            raise UnusableAnswer(
                "APSIS One gave a poll URL on another host than base_url; the token is not sent there. "
                "Check that base_url is the account's region."
            )
        parts = urlsplit(absolute)
        path = parts.path or "/"
        return f"{path}?{parts.query}" if parts.query else path

    def look(self, job: ExportJob, *, deadline_seconds: float) -> Look:
        """Poll; the file streams at once when it is ready, and is checked whole before it counts.

        Args:
            job: an accepted export.
            deadline_seconds: for the poll and the download behind it.

        Returns:
            How it stands, with the file if it is ready.

        Raises:
            SettingsError: If STATE gave a job without a path.
            UnusableAnswer: If the status is not documented, or the file is none.
        """
        path = job.handle.get("poll_path", "")
        if not path.startswith("/"):  # anything else could name another host behind the origin
            raise SettingsError("The state of an export of APSIS One holds no path to poll; take the export out of it.")
        table = _POLL_ANSWERS_V2 if job.handle.get("field") == _SECOND_VERSION else _POLL_ANSWERS
        call = Call(
            "GET",
            f"{self._origin}{path}",
            what="the state of an export",
            headers={"Accept-Encoding": "gzip"},
            expected=frozenset(table),
        )

        def consume(answer: requests.Response, chunks: Iterator[bytes]) -> Look:
            status = table.get(answer.status_code)
            if status is None:
                raise UnusableAnswer(f"APSIS One answered a poll with {answer.status_code}, which is not documented.")
            if status is not ExportStatus.READY:
                return Look(status, retry_after=retry_after(answer))
            spool = Spool(chunks)
            logger.info("Export downloaded: %d bytes.", spool.size)
            try:
                prove(spool, PROFILES)
            except BaseException:
                spool.close()
                raise
            return Look(status, spool)

        look = self._http.send(call, consume, deadline_seconds=deadline_seconds)
        if look.status is ExportStatus.FAILED and look.retry_after is not None:
            return Look(ExportStatus.PENDING, retry_after=look.retry_after)  # a gateway says so, not the export
        return look

    def fetch(self, _job: ExportJob, look: Look) -> Iterator[Spool]:
        """Give the file that the look has brought.

        Args:
            look: a look at a ready export.

        Yields:
            The one file.
        """
        if look.spool:
            yield look.spool
