"""Reading what a server answers: its body to the last byte, its dates, its small objects.

Bodies are never decoded here: HTTP libraries take a gzip body that is cut short for a whole one
(docs/reliability.md, section 3), so `files.compression` decodes and checks them.
"""

from __future__ import annotations

import email.utils
import http.client
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from urllib3.exceptions import HTTPError

from tap_cdp_export.errors import IncompleteAnswer, UnusableAnswer
from tap_cdp_export.files import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import requests
    import urllib3

LONGEST_SILENCE: Final = 300.0
"""Seconds between two bytes: vendors prepare bodies slowly."""

_CHUNK_BYTES: Final = 256 * 1024
_OBJECT_BYTES: Final = 2**20
_LIST_LEVELS: Final = 2  # a list may be sent in two parts, in the answer itself and in what the answer lists
_SLOWEST_BYTES: Final = 1024 * 120  # less than this in two minutes is no progress
_PROGRESS_SECONDS: Final = 120.0


def retry_after(response: requests.Response) -> float | None:
    """Read `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).

    Args:
        response: any answer.

    Returns:
        Seconds from the answer on, 0 for a date in its past; None if there is none.
    """
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    date = http_date(text)
    return None if date is None else max((date - server_time(response)).total_seconds(), 0.0)


def server_time(response: requests.Response) -> datetime:
    """Read when the server answered: a time that it names is measured from there, whatever this machine's clock says.

    Args:
        response: any answer.

    Returns:
        Its `Date`; this machine's time if it has none.
    """
    return http_date(response.headers.get("Date", "")) or datetime.now(UTC)


def http_date(text: str) -> datetime | None:
    """Read a date as HTTP writes it.

    Args:
        text: a header's value.

    Returns:
        The time; None if it is none.
    """
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=date.tzinfo or UTC)


def is_framed(response: requests.Response) -> bool:
    """Tell whether a body has an announced end; else the connection's end is all there is, and proves nothing.

    Args:
        response: an answer.

    Returns:
        Whether `http.client` reads it by a length or in chunks. Headers do not tell: it makes nothing of
        `Transfer-Encoding: identity` or `Content-Length: abc`, and reads on until the connection is closed.
    """
    parsed = _parsed(response.raw)
    if parsed is None:
        return getattr(response.raw, "length_remaining", None) is not None
    return parsed.chunked or parsed.length is not None


def _parsed(raw: urllib3.BaseHTTPResponse) -> http.client.HTTPResponse | None:
    """Find the answer as `http.client` has it; None if it did not come from a connection."""
    parsed = getattr(raw, "_original_response", None)
    return parsed if isinstance(parsed, http.client.HTTPResponse) else None


def body(response: requests.Response, *, deadline: float) -> Iterator[bytes]:
    """Read a body as it is on the wire, and make sure that it is whole.

    Args:
        response: an open answer.
        deadline: `time.monotonic` by which the last byte must be there.

    Yields:
        The body in chunks.

    Raises:
        IncompleteAnswer: If the connection ends before the length or the chunks announced, or the body trickles.
    """
    raw: urllib3.BaseHTTPResponse = response.raw
    mark: float | None = None  # progress counts from the first bytes: vendors prepare bodies slowly
    since_mark = 0
    _wait_no_longer_than(deadline, raw)
    try:
        while chunk := raw.read1(_CHUNK_BYTES, decode_content=False):
            yield chunk
            _wait_no_longer_than(deadline, raw)
            since_mark += len(chunk)
            now = time.monotonic()
            if now > deadline:
                raise IncompleteAnswer("The answer's body did not end before its deadline.")
            if mark is None:
                mark, since_mark = now, 0
            elif now - mark > _PROGRESS_SECONDS:
                if since_mark < _SLOWEST_BYTES:
                    raise IncompleteAnswer("The answer's body trickles: less than 1 KiB a second.")
                mark, since_mark = now, 0
    except (HTTPError, OSError):
        raise IncompleteAnswer("The answer's body ended too early.") from None
    parsed = _parsed(raw)
    if parsed and not parsed.chunked and parsed.length:  # urllib3 ignores the length beside a Transfer-Encoding
        raise IncompleteAnswer("The answer's body ended too early.")


def _wait_no_longer_than(deadline: float, raw: urllib3.BaseHTTPResponse) -> None:
    """Let the next read end by the deadline, where the socket can be reached."""
    connected = _socket(raw)
    if connected:
        left = max(deadline - time.monotonic(), 1.0)
        connected.settimeout(min(LONGEST_SILENCE, left))


def _socket(raw: urllib3.BaseHTTPResponse) -> socket.socket | None:
    """Find the socket of an answer: after `Connection: close`, `http.client` leaves it to the answer's file alone."""
    connected = getattr(getattr(raw, "connection", None), "sock", None)
    if connected is None:
        connected = getattr(getattr(getattr(_parsed(raw), "fp", None), "raw", None), "_sock", None)
    return connected if isinstance(connected, socket.socket) else None


def read_object(chunks: Iterable[bytes], *, limit: int = _OBJECT_BYTES) -> dict[str, Any]:
    """Read the small JSON object that an API answers with.

    Args:
        chunks: an answer's body.
        limit: bytes it may have at most.

    Returns:
        The object.

    Raises:
        UnusableAnswer: If it is none, or not small.
    """
    text = bytearray()
    for chunk in chunks:
        text += chunk
        if len(text) > limit:
            raise UnusableAnswer("An answer is larger than the small JSON object that it should be. Check base_url.")
    try:
        answer = strict_json.decode(bytes(text), joined=_LIST_LEVELS)
    except strict_json.InvalidJSON as error:
        raise UnusableAnswer(f"An answer {error}; it has {len(text)} bytes. Check base_url.") from None
    if not isinstance(answer, dict):
        raise UnusableAnswer("An answer is JSON, but no object. Check base_url.")
    return answer
