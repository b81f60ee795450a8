"""Helpers that the vendors share: responses, streaming bodies and rate limits."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import deque
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

_CHUNK = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_FAST = 1
_YIELD_EVERY = 32  # parts; each is a record, so that makes a few milliseconds of work


def json_response(
    content: Any,  # noqa: ANN401 - any JSON value
    status: int = 200,
    headers: dict[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    """Build a JSON response."""
    return Response(msgspec.json.encode(content), status, headers, media_type)


def unchecked(text: str) -> bytes:
    """Encode the text of an option; a lone surrogate gives invalid UTF-8 on purpose."""
    return text.encode("utf-8", "surrogatepass")


def gzipped(parts: Iterable[bytes], layers: int = 1) -> Iterable[bytes]:
    """Compress the parts into one gzip member, several times if asked; a part may be empty while zlib buffers."""
    for _ in range(layers):
        parts = _gzipped(parts)
    return parts


def _gzipped(parts: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP)
    for part in parts:
        yield compressor.compress(part)
    yield compressor.flush()


def time_in(form: str, at: int) -> int | str:
    """Write a time in epoch milliseconds, in seconds, or as ISO 8601 text with an offset."""
    if form == "text":
        zone = timezone(timedelta(hours=1))
        return datetime.fromtimestamp(at / 1000, zone).isoformat(timespec="milliseconds")
    return at // 1000 if form == "seconds" else at


async def streamed(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Join the parts into chunks of about 64 KiB, and let other requests run after every few parts."""
    buffer: list[bytes] = []
    size = 0
    for number, part in enumerate(parts):
        buffer.append(part)
        size += len(part)
        if size >= _CHUNK:
            yield b"".join(buffer)
            buffer.clear()
            size = 0
        if number % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    if size:
        yield b"".join(buffer)


class RateLimit:
    """Counts the requests of the last `seconds` seconds of the machine's time."""

    def __init__(self, seconds: float = 60) -> None:
        """Start with no requests."""
        self._seconds = seconds
        self._times: deque[float] = deque()

    def allows(self, limit: int) -> bool:
        """Count one more request and return True, or return False if the limit is reached (0 is no limit)."""
        now = time.monotonic()
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if limit and len(self._times) >= limit:
            return False
        self._times.append(now)
        return True
