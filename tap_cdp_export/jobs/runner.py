"""Run an export: resume or request it, save the job in STATE, poll until it is ready, download its files.

See docs/reliability.md, section 5.
"""

from __future__ import annotations

import logging
import random
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from tap_cdp_export.errors import CdpExportError, DeadlinePassed, ExportsFailed, UnusableAnswer, VendorUnavailable
from tap_cdp_export.files.activity import ACTIVITY, size_text
from tap_cdp_export.jobs.job import ExportJob, ExportStatus
from tap_cdp_export.signals import STOP
from tap_cdp_export.windows import duration_text, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.jobs.job import ExportRequest
    from tap_cdp_export.windows import Window

logger = logging.getLogger(__name__)

REPLACEMENTS: Final = 2
"""How often a failed export is requested again by default."""

_POLLS_TO_BELIEVE: Final = {ExportStatus.FAILED: 2, ExportStatus.UNAVAILABLE: 8}
"""How many polls in a row must tell of a failure before the export counts as failed."""


@dataclass(frozen=True)
class PollResult:
    """The result of one poll.

    Attributes:
        status: status of the job.
        spool: file of the export, if the response to the poll contains it.
        files: names of the files in the order in which they are downloaded, if there are several.
        retry_after: seconds to wait before the next poll, as the vendor asked for.
        reason: the vendor's reason, as `http.reasons` returns it.
        error: raised if a failed export counts as failed, in place of a new request.
    """

    status: ExportStatus
    spool: Spool | None = None
    files: Sequence[str] = ()
    retry_after: float | None = None
    reason: str = ""
    error: CdpExportError | None = None


class Exporter(Protocol):
    """The calls to a vendor's API that an export needs."""

    def request_export(self, request: ExportRequest) -> ExportJob:
        """Request an export, at most once per call."""

    def poll(self, job: ExportJob, *, deadline_seconds: float) -> PollResult:
        """Return the status of a job, with its file if the vendor sends it in the same response."""

    def download(self, job: ExportJob, result: PollResult) -> Generator[Spool]:
        """Yield the verified files of a ready export: those that the poll named, if it named any."""


@dataclass(frozen=True)
class PollPolicy:
    """Intervals and timeout of polling, in seconds.

    Attributes:
        poll_initial: first interval.
        poll_max: maximum interval.
        timeout: maximum time from the request until the export is ready.
    """

    poll_initial: float
    poll_max: float
    timeout: float

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> PollPolicy:
        """Create a policy from `poll_initial_seconds`, `poll_max_seconds` and `export_timeout_seconds`."""
        return cls(
            float(settings["poll_initial_seconds"]),
            float(settings["poll_max_seconds"]),
            float(settings["export_timeout_seconds"]),
        )

    def delays(self) -> Iterator[float]:
        """Yield the seconds between two polls: doubling up to `poll_max`, each reduced by up to a half at random."""
        delay = self.poll_initial
        while True:
            yield min(delay, self.poll_max) * random.uniform(0.5, 1)  # noqa: S311 -- no secret
            delay = min(delay * 2, self.poll_max)


class ExportRunner:
    """Requests, polls and downloads exports, one at a time.

    Attributes:
        failures: number of exports that failed since the last one that was ready.
    """

    def __init__(self, exporter: Exporter, poll_policy: PollPolicy, record: Callable[[ExportJob | None], None]) -> None:
        """Initialize the runner.

        Args:
            exporter: calls of the vendor's API.
            poll_policy: intervals and timeout of polling.
            record: writes a job, or None for no job, to STATE immediately.
        """
        self._exporter = exporter
        self._poll_policy = poll_policy
        self._record = record
        self.failures = 0
        self._requests: dict[object, tuple[str, Window | None]] = {}

    @contextmanager
    def export(
        self, request: ExportRequest, job: ExportJob | None = None, *, replacements: int = REPLACEMENTS
    ) -> Iterator[Iterator[Spool]]:
        """Open the files of an export, one at a time.

        A file is closed, and counts as written, when the next one is requested. If the export has several, the job in
        STATE is updated then, so that the next run resumes after that file.

        Args:
            request: parameters of the export.
            job: job of an earlier run; resumed if it matches the request and has not expired.
            replacements: how often to request the export again if it fails or disappears.

        Yields:
            An iterator over the verified files.

        Raises:
            DeadlinePassed: If the export was not ready in time; its job stays in STATE.
            ExportsFailed: If the vendor could not create it, nor any replacement.
            VendorUnavailable: If the last replacement disappeared, or could not be polled.
            UnusableAnswer: If the vendor names one export for two different requests.
        """
        job, result = self._until_ready(request, job, replacements)
        with ExitStack() as resources:
            if result.spool:
                resources.enter_context(result.spool)
            remaining_files = job.remaining_files(result.files)
            if len(remaining_files) == len(result.files):
                job = replace(job, completed_files="")
            else:
                completed = len(result.files) - len(remaining_files)
                logger.info("%s: %d of %d files are written already.", request.subject, completed, len(result.files))
            yield resources.enter_context(closing(self._files(request, job, replace(result, files=remaining_files))))

    def _files(self, request: ExportRequest, job: ExportJob, result: PollResult) -> Generator[Spool]:
        names = iter(result.files)
        with closing(self._exporter.download(job, result)) as spools:
            for spool in spools:
                name = next(names, None)
                if name:
                    logger.info("%s: downloaded %s, %s.", request.subject, name, size_text(spool.size))
                with spool:
                    yield spool
                if name:
                    job = job.with_file_done(name)
                    self._record(job)

    def _until_ready(
        self, request: ExportRequest, job: ExportJob | None, replacements: int
    ) -> tuple[ExportJob, PollResult]:
        deadline: float | None = None
        if job and not job.matches(request):
            logger.info("%s: the export of an earlier run has expired, or its settings were others.", request.subject)
            job = None
        if job:
            logger.info("%s: resuming the export requested at %s.", request.subject, time_text(job.asked_at))
        for _ in range(1 + replacements):
            if job is None:
                job = self._exporter.request_export(request)
                self._check_is_new(request, job)
                self._record(job)
                logger.info("%s: export requested%s.", request.subject, _span(request))
            else:
                self._check_is_new(request, job)
            if deadline is None:  # the request itself may have waited; a replacement has what is left
                deadline = time.monotonic() + self._poll_policy.timeout
            with ACTIVITY.during("waiting for the export"):
                result = self._wait(request, job, deadline)
            if result.status is ExportStatus.READY:
                self.failures = 0
                return job, result
            self.failures += 1
            if result.error:
                raise result.error
            happened, all_happened, advice = _FAILURES[result.status]
            logger.warning("%s: the export %s at the vendor.%s", request.subject, happened, result.reason)
            job = None
            self._record(None)
        error = ExportsFailed if result.status is ExportStatus.FAILED else VendorUnavailable
        raise error(
            f"{request.subject}: {self.failures} exports in a row {all_happened} at the vendor.{result.reason} "
            f"{advice}",
            reason=result.reason,
        )

    def _check_is_new(self, request: ExportRequest, job: ExportJob) -> None:
        """Refuse an export that an earlier request got: its records would be written as those of this request."""
        identity = job.secret or frozenset(job.reference.items())
        asked = (request.digest, request.window)
        if self._requests.setdefault(identity, asked) != asked:
            raise UnusableAnswer(
                f"{request.subject}: the vendor answered two different requests with the same export, so it is not "
                "known whose records it holds."
            )

    def _wait(self, request: ExportRequest, job: ExportJob, deadline: float) -> PollResult:
        delays = self._poll_policy.delays()
        start = time.monotonic()
        failed_polls = 0
        is_first = True
        while True:
            remaining = deadline - time.monotonic()
            result = self._exporter.poll(job, deadline_seconds=max(remaining, 1.0))
            failed_polls = failed_polls + 1 if result.status in _POLLS_TO_BELIEVE else 0
            if result.status is not ExportStatus.PENDING and failed_polls >= _POLLS_TO_BELIEVE.get(result.status, 0):
                if result.spool:
                    seconds = duration_text(time.monotonic() - start)
                    logger.info("%s: downloaded %s after %s.", request.subject, size_text(result.spool.size), seconds)
                return result
            delay = max(next(delays), result.retry_after or 0.0)
            if delay >= deadline - time.monotonic():
                raise DeadlinePassed(
                    f"{request.subject}: the export was not ready after {duration_text(time.monotonic() - start)}."
                    f"{result.reason} "
                    f"{_NEXT_RUN[job.secret is None]} Raise export_timeout_seconds, or make the export smaller.",
                    reason=result.reason,
                )
            if is_first:
                is_first = False
                logger.info("%s: waiting, at most %s.", request.subject, duration_text(self._poll_policy.timeout))
            logger.debug("%s: the next poll is in %.3f s.", request.subject, delay)
            with STOP.interruptible():
                time.sleep(delay)


def _span(request: ExportRequest) -> str:
    """Write the time that a request covers, its lookback included."""
    if request.window is None:
        return ""
    return f" for {time_text(request.window.start - request.lookback)} to {time_text(request.window.end)}"


_NEXT_RUN: Final = {
    True: "The next run resumes it.",
    False: "The next run requests another one. If this one failed, the vendor may have said so by e-mail only.",
}
_FAILURES: Final = {
    ExportStatus.FAILED: (
        "failed",
        "failed",
        "Make the export smaller (a shorter window, fewer fields), or ask the vendor.",
    ),
    ExportStatus.UNAVAILABLE: ("cannot be polled", "could not be polled", "Run again later, or ask the vendor."),
    ExportStatus.GONE: (
        "expired or is no longer known",
        "expired or were no longer known",
        "Run again; if it stays so, ask the vendor.",
    ),
}
"""What happened to one export, what happened to all of them, and what to do."""
