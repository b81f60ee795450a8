"""Read HTTP responses: the whole body, dates in headers, and small JSON objects.

Bodies are not decompressed here: HTTP libraries accept a truncated gzip body (docs/reliability.md, section 3), so
`files.compression` decompresses and checks them.
"""

from __future__ import annotations

import email.utils
import http.client
import re
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

READ_TIMEOUT: Final = 300.0
"""Maximum seconds without a byte: vendors prepare bodies slowly."""

_WEB_PAGE: Final = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|!--|\?xml|html|head|body|error)", re.IGNORECASE)
_CHUNK_BYTES: Final = 256 * 1024
_OBJECT_BYTES: Final = 2**20
_LENGTH_DIGITS: Final = 18
LIST_LEVELS: Final = 2
"""Levels of objects in a list, whose values may be split over a repeated key: the top level and its items."""
_MIN_PROGRESS_BYTES: Final = 1024 * 120  # within `_PROGRESS_SECONDS`
_PROGRESS_SECONDS: Final = 120.0


def retry_after(response: requests.Response) -> float | None:
    """Read `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).

    Args:
        response: any response.

    Returns:
        Seconds from the time of the response, 0 for a date in the past; None without a valid header.
    """
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    date = http_date(text)
    return None if date is None else max((date - server_time(response)).total_seconds(), 0.0)


def server_time(response: requests.Response) -> datetime:
    """Return the `Date` of a response, or this machine's time if it has none.

    Times that the server sends are compared with this one, since this machine's clock may be wrong.
    """
    return http_date(response.headers.get("Date", "")) or datetime.now(UTC)


def http_date(text: str) -> datetime | None:
    """Parse an HTTP date such as `Wed, 21 Oct 2015 07:28:00 GMT`; return None if it is invalid."""
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=date.tzinfo or UTC)


def is_framed(response: requests.Response) -> bool:
    """Return whether a body ends at a length or a last chunk, and not only with the connection.

    A body that ends with the connection may be truncated unnoticed. The state of `http.client` decides, not the
    headers: it ignores `Transfer-Encoding: identity` or `Content-Length: abc`, and reads until the connection closes.

    Args:
        response: an open response.
    """
    original = _original_response(response.raw)
    if original is None:
        return getattr(response.raw, "length_remaining", None) is not None
    return original.chunked or original.length is not None


def announced_size(response: requests.Response) -> int:
    """Return the `Content-Length` of a response, to report progress; 0 if there is none, or none to believe."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and len(text) <= _LENGTH_DIGITS else 0


def _original_response(raw: urllib3.BaseHTTPResponse) -> http.client.HTTPResponse | None:
    """Return the response of `http.client`; None if the response did not come from a connection."""
    original = getattr(raw, "_original_response", None)
    return original if isinstance(original, http.client.HTTPResponse) else None


def body(response: requests.Response, *, deadline: float) -> Iterator[bytes]:
    """Read a body without decoding it, and check that it is complete.

    Args:
        response: an open response.
        deadline: value of `time.monotonic` by which the last byte must have arrived.

    Yields:
        The body in chunks.

    Raises:
        IncompleteAnswer: If the connection ends before the announced length or last chunk, the body arrives at less
            than 1 KiB a second over two minutes, or the deadline passes.
    """
    raw: urllib3.BaseHTTPResponse = response.raw
    interval_start: float | None = None  # progress is measured from the first bytes: vendors prepare bodies slowly
    interval_bytes = 0
    _wait_no_longer_than(deadline, raw)
    try:
        while chunk := raw.read1(_CHUNK_BYTES, decode_content=False):
            yield chunk
            _wait_no_longer_than(deadline, raw)
            interval_bytes += len(chunk)
            now = time.monotonic()
            if now > deadline:
                raise IncompleteAnswer("The answer's body did not end before its deadline.")
            if interval_start is None:
                interval_start, interval_bytes = now, 0
            elif now - interval_start > _PROGRESS_SECONDS:
                if interval_bytes < _MIN_PROGRESS_BYTES:
                    raise IncompleteAnswer("The answer's body trickles: less than 1 KiB a second.")
                interval_start, interval_bytes = now, 0
    except (HTTPError, OSError):
        raise IncompleteAnswer("The answer's body ended too early.") from None
    original = _original_response(raw)
    if original and not original.chunked and original.length:  # urllib3 ignores the length beside a Transfer-Encoding
        raise IncompleteAnswer("The answer's body ended too early.")


def without_web_page(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Refuse a body that is a page for people: a login, or the notice of a proxy or gateway, with a status of success.

    Args:
        chunks: a body.

    Yields:
        The same chunks.

    Raises:
        IncompleteAnswer: If the body begins like HTML or XML, as no documented answer does; it may be gone at once.
    """
    first = next(chunks, b"")
    if _WEB_PAGE.match(first):
        raise IncompleteAnswer(
            "The answer is a web page, such as a login or the notice of a proxy, and no data. "
            "Check whether a proxy stands between, and the host in the settings."
        )
    yield first
    yield from chunks


def _wait_no_longer_than(deadline: float, raw: urllib3.BaseHTTPResponse) -> None:
    """Set the socket's timeout, so that the next read ends by the deadline."""
    connection = _socket(raw)
    if connection:
        remaining = max(deadline - time.monotonic(), 1.0)
        connection.settimeout(min(READ_TIMEOUT, remaining))


def _socket(raw: urllib3.BaseHTTPResponse) -> socket.socket | None:
    """Return the socket of a response; after `Connection: close` only the file of `http.client` refers to it."""
    connection = getattr(getattr(raw, "connection", None), "sock", None)
    if connection is None:
        connection = getattr(getattr(getattr(_original_response(raw), "fp", None), "raw", None), "_sock", None)
    return connection if isinstance(connection, socket.socket) else None


def read_object(chunks: Iterable[bytes], *, limit: int = _OBJECT_BYTES, joined: int = LIST_LEVELS) -> dict[str, Any]:
    """Read a small JSON object from the body of a response.

    Args:
        chunks: the body.
        limit: maximum size in bytes; 1 MiB by default.
        joined: levels of objects in which repeated keys are merged, as of `strict_json.decode`.

    Returns:
        The decoded object; arrays and objects under a repeated key are joined.

    Raises:
        UnusableAnswer: If the body is not a JSON object, or larger than `limit`.
    """
    text = bytearray()
    for chunk in chunks:
        text += chunk
        if len(text) > limit:
            raise UnusableAnswer("An answer is larger than the small JSON object that it should be. Check base_url.")
    try:
        answer = strict_json.decode(bytes(text), joined=joined)
    except strict_json.InvalidJSON as error:
        raise UnusableAnswer(f"An answer {error}; it has {len(text)} bytes. Check base_url.") from None
    if not isinstance(answer, dict):
        raise UnusableAnswer("An answer is JSON, but no object. Check base_url.")
    return answer
