"""Small helpers of the three vendors: answers, streams and request pacing."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

_CHUNK = 64 * 1024
_TURN = 32  # parts, each a record: a few milliseconds of work


def json_answer(
    content: Any,  # noqa: ANN401 - any JSON value
    status: int = 200,
    headers: dict[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(content), status, headers, media_type)


def unchecked(text: str) -> bytes:
    """Text of an option as it is; a lone surrogate in it gives bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


async def streamed(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The parts in chunks of about 64 KiB; after every few parts, empty ones too, other requests get their turn."""
    waiting: list[bytes] = []
    size = 0
    for number, part in enumerate(parts):
        waiting.append(part)
        size += len(part)
        if size >= _CHUNK:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
        if number % _TURN == 0:
            await asyncio.sleep(0)
    if size:
        yield b"".join(waiting)


class Pace:
    """Counts requests in the last so many seconds of the machine's time."""

    def __init__(self, seconds: float = 60) -> None:
        """Begin with no requests."""
        self._seconds = seconds
        self._times: deque[float] = deque()

    def allows(self, limit: int) -> bool:
        """Take note of one more request, unless the limit (0 is none) is reached."""
        now = time.monotonic()
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if limit and len(self._times) >= limit:
            return False
        self._times.append(now)
        return True
