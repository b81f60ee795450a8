"""What every REST endpoint of Braze checks: key, permission, rate limits and parameters."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.routing import Route

from tap_cdp_export.sandbox.responses import json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from tap_cdp_export.sandbox.options import Options

    Answer = tuple[int, dict[str, Any]] | tuple[int, dict[str, Any], dict[str, str]]
    """Status and content, and perhaps headers."""

T = TypeVar("T")

HOUR: Final = 3600
MINUTE: Final = 60
_BEARER: Final = "Bearer"


class Refused(Exception):
    """A request that the vendor refuses, with a text in `message`."""

    def __init__(self, status: int, message: str) -> None:
        """Take the status of the response and its text."""
        super().__init__(message)
        self.status = status


class _Pool:
    """Requests of several endpoints that are counted together, by clock hour or minute."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._period = 0
        self._number = 0

    def count(self) -> None:
        """Count one more request."""
        period = int(time.time()) // self._seconds
        self._number = self._number + 1 if period == self._period else 1
        self._period = period

    def exceeds(self, limit: int) -> bool:
        return self._number > limit

    def headers(self, limit: int) -> tuple[int, int, int]:
        return limit, max(0, limit - self._number), (self._period + 1) * self._seconds


class Access:
    """The checks, shared by all endpoints of the workspace."""

    def __init__(self, options: Options) -> None:
        """Check under these options, which may change at run time."""
        self._options = options
        self._pools = {"workspace": _Pool(HOUR), "names": _Pool(HOUR), "campaign series": _Pool(MINUTE)}

    def route(
        self, path: str, endpoint: Callable[[Request], Answer], *, method: str = "GET", pool: str = "workspace"
    ) -> Route:
        """Route to an endpoint behind the key check, the limit of its pool, and errors as `{"message": …}`."""

        async def answer(request: Request) -> Response:
            is_authenticated = False
            headers: dict[str, str] = {}
            try:
                self._authenticate(request)
                is_authenticated = True
                self._count(pool)
                status, content, *more = endpoint(request)
                headers = more[0] if more else {}
            except Refused as refusal:
                status, content = refusal.status, {"message": str(refusal)}
            response = json_response(content, status, headers)
            response.raw_headers += self._rate_headers(pool, is_authenticated=is_authenticated)
            return response

        return Route(path, answer, methods=[method])

    def require(self, permission: str) -> None:
        """Refuse a key without a permission."""
        if permission not in self._options.braze.permissions:
            raise Refused(403, "Access Denied")

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != _BEARER:
            raise Refused(401, "Error authenticating credentials")
        if not hmac.compare_digest(key.encode(), self._options.braze.api_key.encode()):
            raise Refused(401, f"Invalid API key: {key}")  # Braze quotes the key in clear, as recorded

    def _limit(self, pool: str) -> int:
        options = self._options.braze
        return {
            "workspace": options.requests_per_hour,
            "names": options.name_requests_per_hour,
            "campaign series": options.campaign_series_per_minute,
        }[pool]

    def _count(self, pool: str) -> None:
        self._pools[pool].count()
        if self._pools[pool].exceeds(self._limit(pool)):
            raise Refused(429, "You have exceeded the hourly rate limit")

    def _rate_headers(self, pool: str, *, is_authenticated: bool) -> list[tuple[bytes, bytes]]:
        """Rate limit headers, in the recorded spelling; empty on a 401."""
        values = self._pools[pool].headers(self._limit(pool)) if is_authenticated else ("", "", "")
        names = (b"X-Ratelimit-Limit", b"X-Ratelimit-Remaining", b"X-Ratelimit-Reset")
        return [(name, str(value).encode()) for name, value in zip(names, values, strict=True)]


def parameters(request: Request, *allowed: str) -> dict[str, str]:
    """Return the query, and refuse a parameter that is not documented."""
    query = dict(request.query_params)
    if unknown := query.keys() - set(allowed):
        raise Refused(400, f"unknown parameter {min(unknown)}")
    return query


def whole_number(query: dict[str, str], name: str, default: int, most: int | None = None, *, least: int = 0) -> int:
    """Return a parameter that is a whole number, and refuse one outside its range."""
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or int(text) < least or (most is not None and int(text) > most):
        raise Refused(400, f"{name} must be a number from {least}" + (f" to {most}" if most else ""))
    return int(text)


def page_of(items: list[T], page: int, size: int, past_end: str) -> list[T] | None:
    """Return the items of a page, counted from 0; past the end what the option of this name says."""
    found = items[page * size : (page + 1) * size]
    if found or not page or past_end == "empty":
        return found
    if past_end == "404":
        raise Refused(404, "Not Found")
    return None


def choice(query: dict[str, str], name: str, *allowed: str) -> str:
    """Return a parameter with a few values, by default the first of them."""
    value = query.get(name, allowed[0])
    if value not in allowed:
        raise Refused(400, f"{name} must be {' or '.join(allowed)}")
    return value
