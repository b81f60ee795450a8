"""The pace of requests that Braze counts by the hour (docs/vendors/endpoints.md, B.0)."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from tap_cdp_export.http.responses import server_time
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

_HOUR: Final = 3600.0


class Pace:
    """A pool of requests: so many an hour, unless the vendor's headers say how many are left.

    The headers are believed where there are any: the limits of some endpoints are not documented.
    """

    def __init__(self, requests_per_hour: int) -> None:
        """Begin with no request.

        Args:
            requests_per_hour: the documented limit.
        """
        self._requests_per_hour = requests_per_hour
        self._times: deque[float] = deque()
        self._remaining: int | None = None
        self._reset_at = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until one more request is allowed, and count it."""
        while delay := self._delay():
            logger.warning("Braze allows no more of these requests in this hour; waiting for %d s.", delay)
            with STOP.interruptible():
                time.sleep(delay)

    def _delay(self) -> int:
        """Return how many seconds to wait; 0 if the request was counted and may be sent."""
        with self._lock:
            now = time.monotonic()
            if self._remaining is not None and now >= self._reset_at:
                self._remaining = None
                self._times.clear()  # a new period of the vendor's
            while self._times and self._times[0] <= now - _HOUR:
                self._times.popleft()
            if self._remaining is not None:
                if self._remaining <= 0:
                    return math.ceil(self._reset_at - now)
                self._remaining -= 1
            elif len(self._times) >= self._requests_per_hour:
                return math.ceil(self._times[0] + _HOUR - now)
            self._times.append(now)
            return 0

    def note(self, response: requests.Response) -> None:
        """Read what the headers of an answer say is left; empty or odd ones say nothing.

        Args:
            response: an answer to a request of the pool.
        """
        remaining, reset = (response.headers.get(f"X-RateLimit-{name}", "") for name in ("Remaining", "Reset"))
        if remaining.isdecimal() and reset.isdecimal():
            seconds = min(max(int(reset) - server_time(response).timestamp(), 0.0), _HOUR)
            with self._lock:
                in_this_period = self._remaining is not None and self._reset_at > time.monotonic()
                known = self._remaining if in_this_period and self._remaining is not None else int(remaining)
                self._remaining = min(int(remaining), known)
                self._reset_at = time.monotonic() + seconds
