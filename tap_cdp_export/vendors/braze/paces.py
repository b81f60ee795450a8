"""The pace of requests that Braze counts together (docs/vendors/endpoints.md, B.0)."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from tap_cdp_export.http.responses import retry_after, server_time
from tap_cdp_export.signals import STOP
from tap_cdp_export.windows import duration_text

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

_HOUR: Final = 3600.0
_LONGEST_PAUSE: Final = 60.0


def seconds_until_reset(response: requests.Response) -> float | None:
    """Read how long a pool without a request left stays so.

    Args:
        response: any answer.

    Returns:
        Seconds from the time of the answer, so that a wrong clock of this machine does no harm; at most an hour. None
        where requests are left, or the headers are empty or odd.
    """
    remaining, reset = _limit_of(response)
    return _seconds_until(reset, response) if remaining == "0" and reset.isdecimal() else None


def _limit_of(response: requests.Response) -> tuple[str, str]:
    """Return the headers that say how many requests are left, and when the period ends; empty where there are none."""
    headers = response.headers
    return headers.get("X-RateLimit-Remaining", "").strip(), headers.get("X-RateLimit-Reset", "").strip()


def _seconds_until(reset: str, response: requests.Response) -> float:
    return min(max(float(reset) - server_time(response).timestamp(), 0.0), _HOUR)


class Pace:
    """A pool of requests: so many an hour, unless the vendor's headers say how many are left.

    The headers are believed where there are any: the limits of some endpoints are not documented. A request that is
    refused all the same pauses the whole pool.
    """

    def __init__(self, requests_per_hour: float = math.inf, *, deadline_seconds: float = 900.0) -> None:
        """Begin with no request.

        Args:
            requests_per_hour: the limit that is kept where no headers come.
            deadline_seconds: how long refusals are put up with, from the end of the first pause.
        """
        self._requests_per_hour = requests_per_hour
        self._deadline_seconds = deadline_seconds
        self._refusals = 0
        self._paused_until = 0.0
        self._deadline = math.inf
        self._announced = 0.0
        self._times: deque[float] = deque()
        self._remaining: float | None = None
        self._reset_at = 0.0
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Wait until one more request is allowed, and count it.

        Returns:
            The value of `time.monotonic` at which it was allowed.
        """
        while delay := self._delay():
            with STOP.interruptible():
                time.sleep(delay)
        return time.monotonic()

    def _delay(self) -> int:
        """Return how many seconds to wait; 0 if the request was counted and may be sent."""
        with self._lock:
            now = time.monotonic()
            if now < self._paused_until:
                return self._until(self._paused_until, now)
            if self._remaining is not None and now >= self._reset_at:
                self._remaining = None
                self._times.clear()  # a new period of the vendor's
            while self._times and self._times[0] <= now - _HOUR:
                self._times.popleft()
            if self._remaining is not None:
                if self._remaining <= 0:
                    return self._until(self._reset_at, now)
                self._remaining -= 1
            elif len(self._times) >= self._requests_per_hour:
                return self._until(self._times[0] + _HOUR, now)
            if self._requests_per_hour < math.inf:
                self._times.append(now)
            return 0

    def _until(self, moment: float, now: float) -> int:
        """Return the whole seconds until a moment; the first thread that waits for it says so in the log."""
        delay = math.ceil(moment - now)
        if moment > self._announced:
            self._announced = moment + 1.0  # the vendor's moments are whole seconds, so ours differ by less
            logger.warning("Braze allows no more of these requests for now; waiting for %s.", duration_text(delay))
        return delay

    def refused(self, response: requests.Response, *, sent_at: float) -> bool:
        """Pause the pool after a 429, until the moment that the vendor names or for a growing time, if that is longer.

        Args:
            response: the refusal; `note` has read it.
            sent_at: what `wait` returned before the request.

        Returns:
            Whether to ask again: not if refusals go on until the deadline, or if the vendor asks for more than an hour.
        """
        named = max(retry_after(response) or 0.0, seconds_until_reset(response) or 0.0)
        if named > _HOUR:
            return False
        with self._lock:
            now = time.monotonic()
            if sent_at >= self._paused_until:  # otherwise it was in flight beside one that was refused
                own = random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE, 2.0**self._refusals)  # noqa: S311 -- no secret
                self._refusals += 1
                self._paused_until = now + own
            self._paused_until = max(self._paused_until, now + named)
            if self._deadline == math.inf:
                self._deadline = self._paused_until + self._deadline_seconds
            return self._paused_until < self._deadline

    def note(self, response: requests.Response) -> None:
        """Read what the headers of an answer say is left; empty or odd ones say nothing.

        Args:
            response: an answer to a request of the pool.
        """
        remaining, reset = _limit_of(response)
        if response.ok:
            with self._lock:
                self._refusals, self._deadline = 0, math.inf
        if remaining.isdecimal() and reset.isdecimal():
            seconds = _seconds_until(reset, response)
            with self._lock:
                in_this_period = self._remaining is not None and self._reset_at > time.monotonic()
                known = self._remaining if in_this_period and self._remaining is not None else math.inf
                self._remaining = min(float(remaining), known)  # int() refuses thousands of digits
                self._reset_at = time.monotonic() + seconds
