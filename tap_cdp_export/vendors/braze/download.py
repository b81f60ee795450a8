"""The download URL: refused until the export is ready, then an archive for hours (docs/vendors/braze.md, section 6)."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files import zip_archive
from tap_cdp_export.files.compression import is_gzip
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.http.client import ApiRequest, HttpClient, origin
from tap_cdp_export.http.public_addresses import is_private_host
from tap_cdp_export.http.responses import announced_size, is_framed, retry_after
from tap_cdp_export.jobs.job import ExportStatus
from tap_cdp_export.jobs.runner import PollResult
from tap_cdp_export.redaction import REDACTOR
from tap_cdp_export.vendors.braze.archive import unpacked, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tap_cdp_export.http.client import ResponseHandler, T
    from tap_cdp_export.vendors.braze.api import BrazeApi

_ANSWERS: Final = {
    200: ExportStatus.READY,
    403: ExportStatus.PENDING,
    404: ExportStatus.PENDING,
}
_BAD_REQUEST: Final = 400
_EXPIRED: Final = (  # in the order of S3 (credentials, then a presigned URL), Google Cloud Storage, Azure
    b"ExpiredToken",
    b"Request has expired",
    b"Request signature expired",
    b"Signature not valid in the specified time frame",
)
_REASON_BYTES: Final = 64 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_ALL_REFUSALS: Final = frozenset(range(300, 500)) - {408, 425, 429}


class Downloads:
    """Braze's storage host, which never sees the API key."""

    def __init__(self, api: BrazeApi, *, deadline_seconds: float) -> None:
        """Connect nothing yet.

        Args:
            api: the REST host, which decides how far a URL is trusted.
            deadline_seconds: for one request with all its tries.
        """
        self._api = api
        self._deadline_seconds = deadline_seconds

    @cached_property
    def _http(self) -> HttpClient:
        """The client of the storage host; whether `base_url` is a private address itself, the name service tells."""
        return HttpClient(
            "Braze's storage",
            deadline_seconds=self._deadline_seconds,
            trust_environment=not self._api.is_local,
            public_only=not is_private_host(self._api.base_url),
            names_host=False,
        )

    def send(self, call: ApiRequest, consume: ResponseHandler[T]) -> T:
        """Send any request to the storage host, without the key.

        Args:
            call: its URL is one that `accepts`.
            consume: uses the answer.

        Returns:
            What `consume` returned.
        """
        return self._http.send(call, consume)

    def accepts(self, url: str) -> bool:
        """Return whether a URL may be followed.

        Args:
            url: from an answer.

        Returns:
            Whether its scheme is at least as safe as that of `base_url`.
        """
        try:
            scheme = origin(url)[0]
        except ValueError:
            return False
        return scheme == "https" or scheme == origin(self._api.base_url)[0]

    def poll(self, url: str, *, deadline_seconds: float) -> PollResult:
        """Try the URL; 403 and 404 mean that it is not ready, and nothing is sent that names the customer.

        Args:
            url: of an accepted export.
            deadline_seconds: for the try and the download behind it.

        Returns:
            How it stands, with the archive if it is ready.

        Raises:
            UnusableAnswer: If the status is not documented, the archive is none, or a redirect may not be followed.
        """
        deadline = time.monotonic() + deadline_seconds
        for _ in range(1 + _MOST_REDIRECTS):
            call = ApiRequest("GET", url, what="the archive", expected=_ALL_REFUSALS)
            result = self._http.send(call, _consume, deadline_seconds=max(deadline - time.monotonic(), 1.0))
            if isinstance(result, PollResult):
                return result
            url = self._redirected(url, result)
        raise UnusableAnswer(f"Braze's storage redirects a download more than {_MOST_REDIRECTS} times.")

    def _redirected(self, url: str, location: str) -> str:
        """Return the URL that a redirect leads to; it is as secret as the first one, and held to the same rules."""
        try:
            target = urljoin(url, location)
        except ValueError:
            target = ""
        if not location or not self.accepts(target):
            raise UnusableAnswer(
                "Braze's storage redirects a download to a URL that is not at least as safe as base_url."
            )
        REDACTOR.add_secret_url(target)
        return target


def _consume(answer: requests.Response, chunks: Iterator[bytes]) -> PollResult | str:
    """Return how the export stands, or where a redirect leads."""
    if answer.status_code in _REDIRECTS:
        return answer.headers.get("Location", "")
    if answer.status_code == _BAD_REQUEST and _is_expired(chunks):
        return PollResult(ExportStatus.GONE)
    status = _ANSWERS.get(answer.status_code)
    if status is None:
        raise UnusableAnswer(f"Braze's storage answered {answer.status_code}, which is not documented.")
    if status is not ExportStatus.READY:
        return PollResult(ExportStatus.GONE if _is_expired(chunks) else status, retry_after=retry_after(answer))
    spool = unpacked(Spool(chunks, announced_size=announced_size(answer)))
    try:
        _check_beginning(spool)
        verify(spool)
        _check_end(answer, spool)
    except BaseException:
        spool.close()
        raise
    return PollResult(status, spool)


def _is_expired(chunks: Iterator[bytes]) -> bool:
    text = b""
    with suppress(IncompleteAnswer):  # the status stands, and the bytes read until now may tell
        for chunk in chunks:
            text += chunk
            if len(text) > _REASON_BYTES:
                break
    return any(mark in text for mark in _EXPIRED)


def _check_beginning(spool: Spool) -> None:
    """Refuse an error page as a body that another try may mend."""
    if not spool.head(4).startswith(zip_archive.SIGNATURES) and not is_gzip(spool):
        raise IncompleteAnswer(f"The download is no archive but {spool.size} bytes of something else.")


def _check_end(answer: requests.Response, spool: Spool) -> None:
    """Refuse what may go on behind its end: gzip may have further members, while a zip ends with its directory."""
    if is_gzip(spool) and not is_framed(answer):
        raise UnusableAnswer("The archive came without a length, so it may be cut short. Set output_format to zip.")
