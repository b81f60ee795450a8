"""HTTP client with retries, a total deadline and renewal of credentials.

Each vendor's API has its own client; downloads use another one without credentials.
"""

from __future__ import annotations

import ipaddress
import itertools
import logging
import random
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import backoff
import requests
from requests.auth import AuthBase
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import LocationValueError

from tap_cdp_export.errors import (
    CdpExportError,
    CredentialsRefused,
    IncompleteAnswer,
    QuotaReached,
    RequestRefused,
    SettingsError,
    UnusableAnswer,
    VendorUnavailable,
)
from tap_cdp_export.http import network_errors
from tap_cdp_export.http.connections import InterruptibleAdapter
from tap_cdp_export.http.public_addresses import PublicAddressAdapter
from tap_cdp_export.http.reasons import read_reason
from tap_cdp_export.http.responses import READ_TIMEOUT, body, http_date, retry_after, without_web_page
from tap_cdp_export.signals import STOP
from tap_cdp_export.windows import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

T = TypeVar("T")
ResponseHandler: TypeAlias = "Callable[[requests.Response, Iterator[bytes]], T]"

logger = logging.getLogger(__name__)

_CONNECT_TIMEOUT: Final = 30.0
_CLOCK_TOLERANCE: Final = timedelta(minutes=5)
_DATE_RESOLUTION: Final = timedelta(seconds=1)
_MAX_DELAY: Final = 60.0
_MAX_LOOKUPS: Final = 3  # of a name that never resolved in this run: most likely it is mistyped
_MAX_ATTEMPTS: Final[dict[type[CdpExportError], int]] = {IncompleteAnswer: 3, VendorUnavailable: 8}


def origin(url: str) -> tuple[str, str, int]:
    """Return the origin of a URL, to which credentials are bound.

    Args:
        url: an absolute URL.

    Returns:
        Scheme, host in lower case, and port.

    Raises:
        ValueError: If it is not an http or https URL.
    """
    parts = urlsplit(url)
    default_port = {"http": 80, "https": 443}.get(parts.scheme)
    if default_port is None or not parts.hostname:
        raise ValueError("no http or https URL")
    return parts.scheme, parts.hostname, parts.port or default_port


def is_loopback(url: str) -> bool:
    """Return whether the host of a URL is `localhost` or a loopback address; such requests bypass proxies."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Credentials(AuthBase):
    """Authentication of requests to an API; with any `auth` set, requests does not read `.netrc`."""

    def renew(self, _status: int) -> bool:
        """Renew the credentials after a 401 or 403 response.

        Returns:
            True if the request should be sent once more.
        """
        return False

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request unchanged."""
        return request


@dataclass(frozen=True)
class ApiRequest:
    """A request to a vendor's API.

    Attributes:
        method: `GET` or `POST`.
        url: absolute URL.
        what: description for messages, such as "an export".
        params: query parameters.
        json: JSON body.
        headers: additional headers.
        expected: statuses besides 2xx that are passed to the response handler instead of raised.
        is_idempotent: whether the request may be repeated if the vendor may have received it.
        repeats: how often a request that is not idempotent is repeated all the same.
        min_delay: minimum seconds between two attempts.
        starts_job: whether the response names a job that must be saved in STATE; a signal then waits for the response.
    """

    method: str
    url: str
    what: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    expected: frozenset[int] = frozenset()
    is_idempotent: bool = True
    repeats: int = 0
    min_delay: float = 0.0
    starts_job: bool = False


class _Retry(Exception):
    """The attempt failed, and may be repeated; `error` is raised after the last attempt."""

    def __init__(
        self,
        error: CdpExportError,
        retry_after: float | None = None,
        *,
        immediately: bool = False,
        may_be_accepted: bool = False,
        max_attempts: int | None = None,
    ) -> None:
        super().__init__()
        self.error = error
        self.min_delay = retry_after or 0.0
        self.immediately = immediately
        self.may_be_accepted = may_be_accepted
        self.max_attempts = max_attempts


def _retry_delays() -> Generator[float, _Retry, None]:
    """Yield random delays below a doubling limit (full jitter), or the server's `Retry-After` if that is longer."""
    failure = yield 0
    for attempt in itertools.count():
        delay = random.uniform(0, min(_MAX_DELAY, 2.0 ** min(attempt, 10)))  # noqa: S311 -- no secret
        failure = yield 0.0 if failure.immediately else max(delay, failure.min_delay)


class HttpClient:
    """Sends requests to one vendor, and retries transient failures until a deadline.

    Attributes:
        clock_lead: how far this machine's clock is ahead of the server's, by the `Date` of the last response.
    """

    def __init__(  # noqa: PLR0913 -- each is a choice of its own
        self,
        vendor: str,
        credentials: Credentials | None = None,
        *,
        deadline_seconds: float,
        trust_environment: bool = True,
        public_only: bool = False,
        names_host: bool = True,
        connections: int = 10,
    ) -> None:
        """Open a session.

        Args:
            vendor: name of the vendor, for messages.
            credentials: authentication of every request; None for downloads.
            deadline_seconds: limit for one request with all its attempts and delays.
            trust_environment: whether proxy variables are used; False for a loopback server.
            public_only: whether to refuse connections to private addresses.
            names_host: whether messages name the host; False where URLs are secrets.
            connections: how many are kept open for threads that send requests at the same time.
        """
        self._vendor = vendor
        self._credentials = credentials or Credentials()
        self._deadline_seconds = deadline_seconds
        self.clock_lead = timedelta(0)
        self._has_answered = False
        self._names_host = names_host
        self._session = requests.Session()
        self._session.trust_env = trust_environment
        self._session.auth = self._credentials
        adapter = PublicAddressAdapter if public_only else InterruptibleAdapter
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter(pool_maxsize=connections))
        self._session.headers["User-Agent"] = "tap-cdp-export"
        self._session.headers["Accept-Encoding"] = "identity"

    def send(self, request: ApiRequest, consume: ResponseHandler[T], *, deadline_seconds: float | None = None) -> T:
        """Send a request, with retries, and process its response.

        Args:
            request: the request.
            consume: processes the open response and the chunks of its body; called again if the body is truncated.
            deadline_seconds: deadline for the body, in place of the client's; the response must still begin by the
                client's deadline.

        Returns:
            The result of `consume`.

        Raises:
            CredentialsRefused: If the vendor answers 401 or 403, after a renewal of the credentials.
            RequestRefused: If it answers with another 4xx status that is not retried.
            QuotaReached: If it answers 429 until the deadline.
            VendorUnavailable: If it cannot be reached or answers with 5xx.
            UnusableAnswer: If it redirects, or its body is truncated (`IncompleteAnswer`) in each of three attempts.
            Interrupted: If a signal arrives.
        """
        seconds = self._deadline_seconds if deadline_seconds is None else deadline_seconds
        start = time.monotonic()
        deadline = start + seconds
        attempts: dict[type[CdpExportError], int] = {}
        uncertain_attempts = 0

        def exchange() -> T:
            with self._open_response(request, deadline) as response:
                self._has_answered = True
                self._measure_clock_lead(response)
                self._raise_for_status(
                    request, response, deadline=deadline, may_renew=CredentialsRefused not in attempts
                )
                with self._naming(request):
                    chunks = body(response, deadline=deadline)
                    return consume(response, without_web_page(chunks) if response.ok else chunks)

        def attempt() -> T:
            nonlocal uncertain_attempts
            try:
                with STOP.finishing() if request.starts_job else nullcontext():
                    return exchange()
            except IncompleteAnswer as error:
                failure = _Retry(error)
                if not request.is_idempotent:
                    text = f"{error} The request for {request.what} may have been accepted all the same."
                    failure = _Retry(IncompleteAnswer(text), may_be_accepted=True)
            except _Retry as error:
                failure = error
            if not failure.immediately:
                failure.min_delay = max(failure.min_delay, request.min_delay)
            uncertain_attempts += failure.may_be_accepted
            if uncertain_attempts > request.repeats:
                raise failure.error from None
            kind = type(failure.error)
            attempts[kind] = attempts.get(kind, 0) + 1
            kind_deadline = deadline if kind is IncompleteAnswer else min(deadline, start + self._deadline_seconds)
            remaining = kind_deadline - time.monotonic()
            max_attempts = failure.max_attempts or _MAX_ATTEMPTS.get(kind, attempts[kind] + 1)
            if attempts[kind] >= max_attempts or failure.min_delay >= remaining:
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

    @contextmanager
    def _naming(self, request: ApiRequest) -> Iterator[None]:
        """Name vendor and request in errors of modules that know neither."""
        try:
            yield
        except UnusableAnswer as error:
            raise error.about(self._vendor, request.what) from None

    def _log_wait(self, details: Any) -> None:  # noqa: ANN401 -- the library's own dict
        logger.warning("%s Next try in %s.", details["exception"].error, duration_text(details["wait"]))

    def _open_response(self, request: ApiRequest, deadline: float) -> requests.Response:
        remaining = max(deadline - time.monotonic(), 1.0)
        try:
            return self._session.request(
                request.method,
                request.url,
                params=request.params,
                json=request.json,
                headers=dict(request.headers),
                timeout=(min(_CONNECT_TIMEOUT, remaining), min(READ_TIMEOUT, remaining)),
                allow_redirects=False,  # credentials must not be sent to another host
                stream=True,
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError, LocationValueError):
            proxies = get_environ_proxies(request.url) if self._session.trust_env else {}
            if select_proxy(request.url, proxies):  # our own addresses are validated before
                raise SettingsError(f"{self._vendor}: {network_errors.PROXY_ADVICE}") from None
            raise UnusableAnswer(
                f"{self._vendor}: the address for {request.what} is not one that can be asked."
            ) from None
        except requests.RequestException as failure:
            host = network_errors.host_of(request.url) if self._names_host else "its host"
            what = f"{self._vendor}: {network_errors.explain(failure, host)} while asking for {request.what}."
            if network_errors.is_without_authorities(failure):
                raise SettingsError(f"{self._vendor}: {network_errors.CA_BUNDLE_ADVICE}") from None
            error = VendorUnavailable(f"{what} {network_errors.advice(failure)}")
            if network_errors.is_untrusted(failure):
                raise error from None
            if request.is_idempotent or network_errors.was_not_sent(failure):
                is_mistyped = network_errors.is_unknown_name(failure) and not self._has_answered
                raise _Retry(error, max_attempts=_MAX_LOOKUPS if is_mistyped else None) from None
            error = VendorUnavailable(f"{what} Whether the request arrived is not known: run once more later.")
            raise _Retry(error, may_be_accepted=True) from None
        except ValueError:  # requests reads the Location of a redirect even if it does not follow it
            raise UnusableAnswer(
                f"{self._vendor}: the request for {request.what}, or its redirect, leads to no valid URL."
            ) from None
        except OSError:  # of requests itself, before it connects
            raise SettingsError(f"{self._vendor}: {network_errors.CA_BUNDLE_ADVICE}") from None

    def _measure_clock_lead(self, response: requests.Response) -> None:
        """Set `clock_lead`, so that a window does not end in the server's future."""
        date = http_date(response.headers.get("Date", ""))
        if date is None:
            return
        lead = datetime.now(UTC) - date - _DATE_RESOLUTION
        if abs(lead) > _CLOCK_TOLERANCE and abs(self.clock_lead) <= _CLOCK_TOLERANCE:
            minutes = abs(lead) / timedelta(minutes=1)
            direction = "ahead of" if lead > timedelta(0) else "behind"
            logger.warning("This machine's clock is %.0f minutes %s %s's.", minutes, direction, self._vendor)
        self.clock_lead = lead

    def _raise_for_status(
        self, request: ApiRequest, response: requests.Response, *, deadline: float, may_renew: bool
    ) -> None:
        """Raise the error for a status that is not expected, with the vendor's own reason."""
        status = response.status_code
        if status == HTTPStatus.PARTIAL_CONTENT:
            raise IncompleteAnswer(
                f"{self._vendor} answered 206 with a part of {request.what}, which was not asked for."
            )
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES or status in request.expected:
            return
        reason = read_reason(response, deadline=deadline)
        message = f"{self._vendor} answered {status}{_phrase(status)} to the request for {request.what}.{reason}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise _Retry(
                QuotaReached(f"{message} Run again later, and less often.", status=status, reason=reason),
                retry_after(response),
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {408, 425}:
            delay = retry_after(response)
            is_overloaded = status == HTTPStatus.SERVICE_UNAVAILABLE and delay is not None
            if request.is_idempotent or is_overloaded:
                raise _Retry(VendorUnavailable(f"{message} Run again later.", status=status, reason=reason), delay)
            message += " It may have been accepted all the same: run once more later."
            error = VendorUnavailable(message, status=status, reason=reason)
            raise _Retry(error, delay, may_be_accepted=True)
        if status in {401, 403}:
            refusal = CredentialsRefused(
                f"{message} Check the credentials and their rights.", status=status, reason=reason
            )
            if may_renew and self._credentials.renew(status):
                raise _Retry(refusal, immediately=True)
            raise refusal
        if status >= HTTPStatus.BAD_REQUEST:
            raise RequestRefused(
                f"{message} Check base_url and the settings it was made from.", status=status, reason=reason
            )
        raise UnusableAnswer(f"{message} A redirect is not followed; check base_url.", status=status, reason=reason)


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
