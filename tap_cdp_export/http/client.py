"""HTTP as all vendors need it: one client for each API, and a bare one for downloads."""

from __future__ import annotations

import ipaddress
import itertools
import logging
import random
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import backoff
import requests
from requests.auth import AuthBase
from urllib3.exceptions import NewConnectionError

from tap_cdp_export.errors import (
    CdpExportError,
    CredentialsRefused,
    IncompleteAnswer,
    QuotaReached,
    RequestRefused,
    UnusableAnswer,
    VendorUnavailable,
)
from tap_cdp_export.http.public_addresses import PublicAddressAdapter
from tap_cdp_export.http.reasons import read_reason
from tap_cdp_export.http.responses import LONGEST_SILENCE, body, http_date, retry_after
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

T = TypeVar("T")
ResponseHandler: TypeAlias = "Callable[[requests.Response, Iterator[bytes]], T]"

logger = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 30.0
_CLOCK_TOLERANCE: Final = timedelta(minutes=5)
_DATE_STEP: Final = timedelta(seconds=1)
_LONGEST_WAIT: Final = 60.0
_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
_TRIES: Final[dict[type[CdpExportError], int]] = {IncompleteAnswer: 3, VendorUnavailable: 8}


def origin(url: str) -> tuple[str, str, int]:
    """Take the part of a URL that credentials are bound to.

    Args:
        url: an absolute URL.

    Returns:
        Scheme, host and port.

    Raises:
        ValueError: If it is no http or https URL.
    """
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    if default is None or not parts.hostname:
        raise ValueError("no http or https URL")
    return parts.scheme, parts.hostname, parts.port or default


def is_loopback(url: str) -> bool:
    """Tell whether a URL stays on this machine, where no proxy has business.

    Args:
        url: an absolute URL.

    Returns:
        Whether its host is `localhost` or a loopback address.
    """
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Credentials(AuthBase):
    """What goes with every request to an API; being there also keeps `.netrc` out."""

    def renew(self, _status: int) -> bool:
        """Get new credentials after a refusal, where that can help.

        Returns:
            Whether the request is worth one more try.
        """
        return False

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return request


@dataclass(frozen=True)
class ApiRequest:
    """One request, as its vendor's client describes it.

    Attributes:
        method: `GET` or `POST`.
        url: absolute URL.
        what: what is asked for, in a few words for a message.
        params: query.
        json: body.
        headers: further headers.
        expected: statuses besides 2xx that the caller judges himself.
        is_idempotent: whether sending it twice does no harm.
        starts_job: whether the answer names a job that the next run must know of, so that a signal waits for it.
    """

    method: str
    url: str
    what: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    expected: frozenset[int] = frozenset()
    is_idempotent: bool = True
    starts_job: bool = False


class _Retry(Exception):
    def __init__(self, error: CdpExportError, retry_after: float | None = None, *, at_once: bool = False) -> None:
        super().__init__()
        self.error = error
        self.retry_after = retry_after or 0.0
        self.at_once = at_once


def _retry_delays() -> Generator[float, _Retry, None]:
    """Wait a random time below a doubling bound (full jitter), or as long as the server says where that is longer."""
    failure = yield 0
    for attempt in itertools.count():
        pause = random.uniform(0, min(_LONGEST_WAIT, 2.0 ** min(attempt, 10)))  # noqa: S311 -- no secret
        failure = yield 0.0 if failure.at_once else max(pause, failure.retry_after)


class HttpClient:
    """Sends calls to one vendor, and tries again what can heal, until a deadline.

    Attributes:
        clock_lead: how far this machine's clock is ahead of the server's, by its last answer.
    """

    def __init__(
        self,
        vendor: str,
        credentials: Credentials | None = None,
        *,
        deadline_seconds: float,
        trust_environment: bool = True,
        public_only: bool = False,
    ) -> None:
        """Open a session.

        Args:
            vendor: name for messages.
            credentials: what every request carries; none for a bare client.
            deadline_seconds: for one call with all its tries and waits.
            trust_environment: whether proxy variables count; not for a loopback server.
            public_only: whether to refuse addresses of private networks.
        """
        self._vendor = vendor
        self._credentials = credentials or Credentials()
        self._deadline_seconds = deadline_seconds
        self.clock_lead = timedelta(0)
        self._session = requests.Session()
        self._session.trust_env = trust_environment
        self._session.auth = self._credentials
        if public_only:
            for scheme in ("http://", "https://"):
                self._session.mount(scheme, PublicAddressAdapter())
        self._session.headers["User-Agent"] = "tap-cdp-export"
        self._session.headers["Accept-Encoding"] = "identity"

    def send(self, call: ApiRequest, consume: ResponseHandler[T], *, deadline_seconds: float | None = None) -> T:
        """Send a call and use its answer.

        Args:
            call: what to send.
            consume: uses the open answer and the chunks of its body; when those end too early, the whole call
                is tried again.
            deadline_seconds: for reading the body, in place of the client's; an answer must begin by the client's.

        Returns:
            What `consume` returned.

        Raises:
            CdpExportError: One of the tree, if no try succeeded.
        """
        seconds = self._deadline_seconds if deadline_seconds is None else deadline_seconds
        began = time.monotonic()
        deadline = began + seconds
        tries: dict[type[CdpExportError], int] = {}

        def exchange() -> T:
            with self._request(call, deadline) as response:
                self._compare_clocks(response)
                self._raise_for_status(call, response, deadline=deadline, first=CredentialsRefused not in tries)
                return consume(response, body(response, deadline=deadline))

        def attempt() -> T:
            try:
                with STOP.finishing() if call.starts_job else nullcontext():
                    return exchange()
            except IncompleteAnswer as error:
                if not call.is_idempotent:
                    raise IncompleteAnswer(
                        f"{error} The request for {call.what} may have been accepted all the same, "
                        "so it is not sent again: run once more later."
                    ) from None
                failure = _Retry(error)
            except _Retry as error:
                failure = error
            kind = type(failure.error)
            tries[kind] = tries.get(kind, 0) + 1
            ends = deadline if kind is IncompleteAnswer else min(deadline, began + self._deadline_seconds)
            left = ends - time.monotonic()
            if tries[kind] >= _TRIES.get(kind, tries[kind] + 1) or failure.retry_after >= left:
                raise failure.error from None
            raise failure

        retrying = backoff.on_exception(
            _retry_delays, _Retry, max_time=seconds, jitter=None, logger=None, on_backoff=self._log_wait
        )
        try:
            with STOP.interruptible():
                return retrying(attempt)()
        except _Retry as failure:
            raise failure.error from None

    def _log_wait(self, details: Any) -> None:  # noqa: ANN401 -- the library's own dict
        logger.warning("%s Next try in %.0f s.", details["exception"].error, details["wait"])

    def _request(self, call: ApiRequest, deadline: float) -> requests.Response:
        left = max(deadline - time.monotonic(), 1.0)
        try:
            return self._session.request(
                call.method,
                call.url,
                params=call.params,
                json=call.json,
                headers=dict(call.headers),
                timeout=(min(_CONNECT_SECONDS, left), min(LONGEST_SILENCE, left)),
                allow_redirects=False,  # credentials never follow a redirect
                stream=True,
            )
        except requests.RequestException as failure:
            error = VendorUnavailable(f"{self._vendor}: {_network_reason(failure)} while asking for {call.what}.")
            if _UNTRUSTED in str(failure):  # never heals, and is never overlooked
                raise VendorUnavailable(
                    f"{error} Check base_url, and the authorities that this machine trusts (REQUESTS_CA_BUNDLE)."
                ) from None
            if call.is_idempotent or _was_not_sent(failure):
                raise _Retry(error) from None
            raise VendorUnavailable(
                f"{error} Whether the request arrived is not known, so it is not sent again: run once more later."
            ) from None

    def _compare_clocks(self, response: requests.Response) -> None:
        """Notice how far this machine's clock is ahead of the server's: a window must not end in its future."""
        date = http_date(response.headers.get("Date", ""))
        if date is None:
            return
        lead = datetime.now(UTC) - date - _DATE_STEP
        if abs(lead) > _CLOCK_TOLERANCE and abs(self.clock_lead) <= _CLOCK_TOLERANCE:
            minutes = lead / timedelta(minutes=1)
            logger.warning("This machine's clock is %.0f minutes ahead of %s's.", minutes, self._vendor)
        self.clock_lead = lead

    def _raise_for_status(self, call: ApiRequest, response: requests.Response, *, deadline: float, first: bool) -> None:
        """Turn a status that is not expected into its error, with the vendor's own reason."""
        status = response.status_code
        if status == HTTPStatus.PARTIAL_CONTENT:
            raise IncompleteAnswer(f"{self._vendor} answered 206 with a part of {call.what}, which was not asked for.")
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES or status in call.expected:
            return
        reason = read_reason(response, deadline=deadline)
        said = f"{self._vendor} answered {status}{_phrase(status)} to the request for {call.what}.{reason}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise _Retry(QuotaReached(said, status=status, reason=reason), retry_after(response))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {408, 425}:
            wait = retry_after(response)
            refused_for_now = status == HTTPStatus.SERVICE_UNAVAILABLE and wait is not None
            if call.is_idempotent or refused_for_now:
                raise _Retry(VendorUnavailable(said, status=status, reason=reason), wait)
            raise VendorUnavailable(
                f"{said} It may have been accepted all the same, so it is not sent again.", status=status, reason=reason
            )
        if status in {401, 403}:
            refused = CredentialsRefused(
                f"{said} Check the credentials and their rights.", status=status, reason=reason
            )
            if first and self._credentials.renew(status):
                raise _Retry(refused, at_once=True)
            raise refused
        if status >= HTTPStatus.BAD_REQUEST:
            raise RequestRefused(f"{said} Check the settings it was made from.", status=status, reason=reason)
        raise UnusableAnswer(f"{said} A redirect is not followed; check base_url.", status=status, reason=reason)


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


def _network_reason(failure: requests.RequestException) -> str:
    """Name the trouble without the library's text, which holds the URL."""
    if isinstance(failure, requests.exceptions.SSLError):
        return "the TLS certificate or handshake is not acceptable"
    if isinstance(failure, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(failure, requests.Timeout):
        return "no answer in time"
    return "the connection failed"


def _was_not_sent(failure: requests.RequestException) -> bool:
    if isinstance(failure, requests.ConnectTimeout):
        return True
    cause = failure.args[0] if failure.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)
