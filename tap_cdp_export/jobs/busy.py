"""Wait for a vendor that cannot accept an export yet: too many are pending, or the segment is being exported."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tap_cdp_export.errors import QuotaReached
from tap_cdp_export.files.activity import ACTIVITY
from tap_cdp_export.signals import STOP
from tap_cdp_export.windows import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_cdp_export.jobs.job import ExportJob
    from tap_cdp_export.jobs.runner import PollPolicy

logger = logging.getLogger(__name__)


class Busy(Exception):
    """The vendor cannot accept the export yet.

    Attributes:
        reason: the vendor's reason, as `http.reasons` returns it.
        min_delay: minimum seconds before the next request.
    """

    def __init__(self, reason: str, min_delay: float = 0.0) -> None:
        """Create the exception.

        Args:
            reason: the vendor's reason.
            min_delay: minimum seconds before the next request.
        """
        super().__init__()
        self.reason = reason
        self.min_delay = min_delay


def request_when_free(
    request: Callable[[], ExportJob], poll_policy: PollPolicy, *, subject: str, limit: str, advice: str
) -> ExportJob:
    """Request an export, and again in the pauses of polling as long as the vendor is busy.

    Args:
        request: requests the export once; raises `Busy`.
        poll_policy: pauses, and the timeout.
        subject: description of the export for messages.
        limit: what lasted until the timeout, for the message.
        advice: what to do then.

    Returns:
        The job.

    Raises:
        QuotaReached: If the vendor is busy until the timeout.
    """
    deadline = time.monotonic() + poll_policy.timeout
    delays = poll_policy.delays()
    is_first = True
    while True:
        try:
            return request()
        except Busy as error:
            busy = error
        delay = max(next(delays), busy.min_delay)
        if delay >= deadline - time.monotonic():
            raise QuotaReached(
                f"{subject}: {limit} until export_timeout_seconds.{busy.reason} {advice}", reason=busy.reason
            )
        if is_first:
            is_first = False
            logger.info(
                "%s: %s; waiting, at most %s.%s", subject, limit, duration_text(poll_policy.timeout), busy.reason
            )
        logger.debug("%s: the next request is in %.3f s.", subject, delay)
        with STOP.interruptible(), ACTIVITY.during("waiting to request the export"):
            time.sleep(delay)
