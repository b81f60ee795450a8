"""The loop of every export: resume or ask, record, look until it is ready, fetch."""

from __future__ import annotations

import logging
import random
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from tap_cdp_export.errors import DeadlinePassed, ExportsFailed, VendorUnavailable
from tap_cdp_export.jobs.job import ExportJob, ExportStatus
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.jobs.job import ExportRequest

logger = logging.getLogger(__name__)

REPLACEMENTS: Final = 2


@dataclass(frozen=True)
class PollResult:
    """What a look at a job saw.

    Attributes:
        status: how the job stands.
        spool: the export's file, if the look already brought it.
        files: names of the export's files in the order in which they are fetched, if it has several.
        retry_after: seconds the vendor wants to be left alone.
        reason: what the vendor says about it, as `reasons` gives it.
    """

    status: ExportStatus
    spool: Spool | None = None
    files: Sequence[str] = ()
    retry_after: float | None = None
    reason: str = ""


class Exporter(Protocol):
    """A vendor's side of an export."""

    def request_export(self, request: ExportRequest) -> ExportJob:
        """Ask for an export; never twice for one call."""

    def poll(self, job: ExportJob, *, deadline_seconds: float) -> PollResult:
        """See how a job stands; a vendor that streams the file from the same address brings it along."""

    def download(self, job: ExportJob, result: PollResult) -> Generator[Spool]:
        """Give the files of a ready export, each of them whole: those that the look names, where it names any."""


@dataclass(frozen=True)
class PollPolicy:
    """How a job is waited for, in seconds."""

    poll_initial: float
    poll_max: float
    timeout: float

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> PollPolicy:
        """Read the three settings that every polled export has.

        Args:
            settings: a vendor's settings.

        Returns:
            The same, named.
        """
        return cls(
            float(settings["poll_initial_seconds"]),
            float(settings["poll_max_seconds"]),
            float(settings["export_timeout_seconds"]),
        )

    def delays(self) -> Iterator[float]:
        """Give the pauses between two looks.

        Yields:
            Seconds, doubling up to `poll_max`, each with jitter.
        """
        delay = self.poll_initial
        while True:
            yield min(delay, self.poll_max) * random.uniform(0.5, 1)  # noqa: S311 -- no secret
            delay = min(delay * 2, self.poll_max)


class ExportRunner:
    """Brings one export after the other to its files."""

    def __init__(self, exporter: Exporter, poll_policy: PollPolicy, record: Callable[[ExportJob | None], None]) -> None:
        """Connect the parts.

        Args:
            exporter: the vendor's side.
            poll_policy: how long and how often to look.
            record: writes a job (or that there is none) to STATE, at once.
        """
        self._exporter = exporter
        self._poll_policy = poll_policy
        self._record = record

    @contextmanager
    def export(
        self, request: ExportRequest, job: ExportJob | None = None, *, replacements: int = REPLACEMENTS
    ) -> Iterator[Iterator[Spool]]:
        """Give the files of an export one by one; each is given back when the next is asked for.

        A file counts as written when the next is asked for, and STATE says so where there are several:
        the next run goes on behind it.

        Args:
            request: what to ask for.
            job: the job of an earlier run, to be taken up if it still fits the request and the time.
            replacements: how often to ask anew for an export that failed or vanished.

        Yields:
            The files, each of them whole.

        Raises:
            DeadlinePassed: If it was not ready in time; its job stays in STATE.
            ExportsFailed: If the vendor gave up on it and on every replacement.
            VendorUnavailable: If the last one vanished.
        """
        job, result = self._until_ready(request, job, replacements)
        with ExitStack() as resources:
            if result.spool:
                resources.enter_context(result.spool)
            left = job.remaining_files(result.files)
            if len(left) == len(result.files):
                job = replace(job, completed_files="")
            else:
                written = len(result.files) - len(left)
                logger.info("%s: going on behind %d of %d files.", request.subject, written, len(result.files))
            yield resources.enter_context(closing(self._files(request, job, replace(result, files=left))))

    def _files(self, request: ExportRequest, job: ExportJob, result: PollResult) -> Generator[Spool]:
        names = iter(result.files)
        with closing(self._exporter.download(job, result)) as spools:
            for spool in spools:
                name = next(names, None)
                if name:
                    logger.info("%s: file %s, %d bytes.", request.subject, name, spool.size)
                with spool:
                    yield spool
                if name:
                    job = job.with_file_done(name)
                    self._record(job)

    def _until_ready(
        self, request: ExportRequest, job: ExportJob | None, replacements: int
    ) -> tuple[ExportJob, PollResult]:
        deadline = time.monotonic() + self._poll_policy.timeout
        if job and not job.matches(request):
            logger.info("%s: the export of an earlier run expired or was asked for otherwise.", request.subject)
            job = None
        if job:
            logger.info("%s: taking up the export asked for at %s.", request.subject, job.asked_at)
        error = VendorUnavailable
        reason = ""
        for _ in range(1 + replacements):
            if job is None:
                job = self._exporter.request_export(request)
                self._record(job)
                logger.info("%s: export asked for.", request.subject)
            result = self._wait(request, job, deadline)
            if result.status is ExportStatus.READY:
                return job, result
            logger.warning("%s: the export %s at the vendor.%s", request.subject, _ENDS[result.status], result.reason)
            reason = result.reason
            error = ExportsFailed if result.status is ExportStatus.FAILED else VendorUnavailable
            job = None
            self._record(None)
        raise error(
            f"{request.subject}: {1 + replacements} exports in a row failed at the vendor.{reason} "
            "Make the export smaller (a shorter window, fewer fields), or ask the vendor.",
            reason=reason,
        )

    def _wait(self, request: ExportRequest, job: ExportJob, deadline: float) -> PollResult:
        pauses = self._poll_policy.delays()
        began = time.monotonic()
        while True:
            left = deadline - time.monotonic()
            result = self._exporter.poll(job, deadline_seconds=max(left, 1.0))
            if result.status is not ExportStatus.PENDING:
                return result
            wait = max(next(pauses), result.retry_after or 0.0)
            if wait >= deadline - time.monotonic():
                raise DeadlinePassed(
                    f"{request.subject}: the export was not ready after {time.monotonic() - began:.0f} s."
                    f"{result.reason} "
                    "Run again to take it up where the vendor allows it, raise export_timeout_seconds, "
                    "or make the export smaller.",
                    reason=result.reason,
                )
            logger.info("%s: export not ready yet, looking again in %.1f s.", request.subject, wait)
            with STOP.interruptible():
                time.sleep(wait)


_ENDS: Final = {ExportStatus.FAILED: "failed", ExportStatus.GONE: "is no longer known"}
