"""An export is requested once, saved in STATE immediately, and polled until the timeout at most."""

from __future__ import annotations

import dataclasses
import signal
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tap_cdp_export.errors import (
    DeadlinePassed,
    ExportsFailed,
    IncompleteAnswer,
    Interrupted,
    UnusableAnswer,
    VendorUnavailable,
)
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.jobs.job import ExportJob, ExportRequest, ExportStatus
from tap_cdp_export.jobs.runner import ExportRunner, PollPolicy, PollResult
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.helpers.virtual_clock import VirtualClock

REQUEST = ExportRequest("Vendor", {"a": 1})
POLL_POLICY = PollPolicy(poll_initial=2, poll_max=60, timeout=600)
PENDING, READY, FAILED, GONE = ExportStatus.PENDING, ExportStatus.READY, ExportStatus.FAILED, ExportStatus.GONE
UNAVAILABLE = ExportStatus.UNAVAILABLE

pytestmark = pytest.mark.usefixtures("clock")


@dataclass
class Vendor:
    """An exporter with prepared poll results, the last of which repeats.

    Attributes:
        poll_results: the results of the polls, in order.
        calls: the calls in order, those that save a job included.
        deadlines: `deadline_seconds` of each poll.
        spools: the files that were downloaded.
        request_count: number of requested exports.
    """

    poll_results: list[PollResult]
    calls: list[str] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    spools: list[Spool] = field(default_factory=list)
    request_count: int = 0

    def request_export(self, request: ExportRequest) -> ExportJob:
        self.request_count += 1
        self.calls.append(f"request {self.request_count}")
        now = datetime.now(UTC)
        return ExportJob({"number": str(self.request_count)}, request.digest, now, now + timedelta(hours=1))

    def poll(self, job: ExportJob, *, deadline_seconds: float) -> PollResult:
        self.calls.append(f"poll {job.reference['number']}")
        self.deadlines.append(deadline_seconds)
        return self.poll_results.pop(0) if len(self.poll_results) > 1 else self.poll_results[0]

    def download(self, job: ExportJob, _result: PollResult) -> Generator[Spool, None, None]:
        self.calls.append(f"download {job.reference['number']}")
        for content in (b"one", b"two"):
            self.spools.append(Spool([content]))
            yield self.spools[-1]

    def record(self, job: ExportJob | None) -> None:
        self.calls.append(f"record {job.reference['number']}" if job else "record none")

    def runner(self, poll_policy: PollPolicy = POLL_POLICY) -> ExportRunner:
        return ExportRunner(self, poll_policy, self.record)

    def export(self, job: ExportJob | None = None, poll_policy: PollPolicy = POLL_POLICY) -> list[bytes]:
        with self.runner(poll_policy).export(REQUEST, job) as files:
            return [file.head(10) for file in files]


def earlier_job(*, minutes: float = 30, digest: str = REQUEST.digest) -> ExportJob:
    now = datetime.now(UTC)
    return ExportJob({"number": "earlier"}, digest, now, now + timedelta(minutes=minutes))


def test_a_job_is_saved_right_after_its_request_and_before_the_first_poll() -> None:
    vendor = Vendor([PollResult(PENDING), PollResult(READY)])
    assert vendor.export() == [b"one", b"two"]
    assert vendor.calls == ["request 1", "record 1", "poll 1", "poll 1", "download 1"]


def test_a_file_is_closed_when_the_next_is_requested() -> None:
    vendor = Vendor([PollResult(READY)])
    with vendor.runner().export(REQUEST) as files:
        for _ in files:
            assert [spool.file.closed for spool in vendor.spools] == [True, False][-len(vendor.spools) :]
    assert [spool.file.closed for spool in vendor.spools] == [True, True]


def test_files_are_closed_after_an_error() -> None:
    vendor = Vendor([PollResult(READY)])

    def fail() -> None:
        with vendor.runner().export(REQUEST) as files:
            next(files)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [spool.file.closed for spool in vendor.spools] == [True]


def test_a_file_from_the_poll_is_closed_even_if_it_is_not_read() -> None:
    spool = Spool([b"x"])
    with Vendor([PollResult(READY, spool)]).runner().export(REQUEST):
        pass
    assert spool.file.closed


def test_files_are_closed_when_a_later_download_fails() -> None:
    class BrokenDownload(Vendor):
        def download(self, job: ExportJob, result: PollResult) -> Generator[Spool, None, None]:
            yield next(super().download(job, result))
            raise IncompleteAnswer("cut")

    vendor = BrokenDownload([PollResult(READY)])
    with pytest.raises(IncompleteAnswer):
        vendor.export()
    assert [spool.file.closed for spool in vendor.spools] == [True]


# Several files


class Bucket(Vendor):
    """An export of several named files, with the job as STATE keeps it."""

    def __init__(self, *names: str) -> None:
        super().__init__([PollResult(READY, files=names)])
        self.downloads: list[str] = []
        self.state: ExportJob | None = None

    def download(self, _job: ExportJob, result: PollResult) -> Generator[Spool, None, None]:
        for name in result.files:
            self.downloads.append(name)
            yield Spool([name.encode()])

    def record(self, job: ExportJob | None) -> None:
        self.state = ExportJob.from_state(job.to_state()) if job else None


def test_the_job_is_saved_after_each_file_and_the_next_run_resumes_after_the_last_complete_one() -> None:
    bucket = Bucket("a", "b", "c")
    with bucket.runner().export(REQUEST) as files:
        assert [next(files).head(9), next(files).head(9)] == [b"a", b"b"]  # the second one is not written yet
    next_bucket = Bucket("a", "b", "c")
    assert next_bucket.export(bucket.state) == [b"b", b"c"]
    assert next_bucket.downloads == ["b", "c"]
    assert next_bucket.request_count == 0
    assert Bucket("a", "b", "c").export(next_bucket.state) == []


@pytest.mark.parametrize("names", [("0", "a", "b", "c"), ("a", "aa", "b", "c"), ("b", "c"), ("x",)])
def test_files_added_among_the_completed_ones_make_the_next_run_read_all_files(names: tuple[str, ...]) -> None:
    bucket = Bucket("a", "b", "c")
    with bucket.runner().export(REQUEST) as files:
        for _ in range(3):
            next(files)
    assert Bucket(*names).export(bucket.state) == [name.encode() for name in names]


def test_only_a_file_added_after_the_completed_ones_is_read() -> None:
    bucket = Bucket("a", "b")
    bucket.export()
    assert Bucket("a", "b", "c").export(bucket.state) == [b"c"]


# An earlier run's export


def test_the_export_of_an_earlier_run_is_resumed_without_a_new_request() -> None:
    vendor = Vendor([PollResult(PENDING), PollResult(READY)])
    vendor.export(earlier_job())
    assert vendor.calls == ["poll earlier", "poll earlier", "download earlier"]


def test_an_expired_export_is_requested_again() -> None:
    vendor = Vendor([PollResult(READY)])
    vendor.export(earlier_job(minutes=-1))
    assert vendor.calls == ["request 1", "record 1", "poll 1", "download 1"]


def test_an_export_with_other_parameters_is_requested_again() -> None:
    vendor = Vendor([PollResult(READY)])
    vendor.export(earlier_job(digest="other"))
    assert vendor.request_count == 1


@pytest.mark.parametrize(("end", "polls"), [(FAILED, 2), (UNAVAILABLE, 8), (GONE, 1)])
def test_a_lost_export_is_replaced_in_state_and_requested_again(end: ExportStatus, polls: int) -> None:
    vendor = Vendor([*[PollResult(end)] * polls, PollResult(READY)])
    vendor.export(earlier_job())
    assert vendor.calls == [*["poll earlier"] * polls, "record none", "request 1", "record 1", "poll 1", "download 1"]


# Failures


@pytest.mark.parametrize(
    "polls", [[FAILED], [UNAVAILABLE] * 7, [FAILED, PENDING, FAILED], [*[UNAVAILABLE] * 7, PENDING, UNAVAILABLE]]
)
def test_a_failure_that_later_polls_do_not_confirm_is_not_believed(
    clock: VirtualClock, polls: list[ExportStatus]
) -> None:
    vendor = Vendor([*map(PollResult, polls), PollResult(READY)])
    assert vendor.export() == [b"one", b"two"]
    assert vendor.request_count == 1
    assert len(clock.pauses) == len(polls)
    assert min(clock.pauses) >= 1


def test_the_wait_that_an_unavailable_vendor_asks_for_is_honoured(clock: VirtualClock) -> None:
    Vendor([PollResult(UNAVAILABLE, retry_after=17), PollResult(READY)]).export()
    assert clock.pauses == [17]


def test_an_error_in_place_of_an_export_is_raised_after_a_second_poll_without_a_replacement() -> None:
    vendor = Vendor([PollResult(FAILED, error=UnusableAnswer("no export"))])
    runner = vendor.runner()
    with pytest.raises(UnusableAnswer, match="no export"), runner.export(REQUEST):
        pass
    assert (vendor.request_count, len(vendor.deadlines), runner.failures) == (1, 2, 1)


def test_failed_exports_are_counted_until_one_is_ready() -> None:
    vendor = Vendor([PollResult(FAILED)])
    runner = vendor.runner()
    for count in (2, 4):
        with pytest.raises(ExportsFailed, match=f"{count} exports"), runner.export(REQUEST, replacements=1):
            pass
        assert runner.failures == count
    vendor.poll_results = [PollResult(READY)]
    with runner.export(REQUEST):
        assert runner.failures == 0


@pytest.mark.parametrize("secret", [None, "https://storage.test/a.zip"])
def test_the_same_export_for_two_requests_is_an_error_and_not_saved(secret: str | None) -> None:
    class Repeating(Vendor):
        def request_export(self, request: ExportRequest) -> ExportJob:
            job = super().request_export(request)
            number = self.request_count if secret else 1
            return dataclasses.replace(job, reference={"number": str(number)}, secret=secret)

    vendor = Repeating([PollResult(READY)])
    runner = vendor.runner()
    for _ in range(2):  # the same request may get the same export
        with runner.export(REQUEST):
            pass
    saved = vendor.calls.count("record 1")
    with pytest.raises(UnusableAnswer, match="two different requests"), runner.export(ExportRequest("Other", {"a": 2})):
        pass
    assert vendor.calls.count("record 1") == saved
    assert "record 3" not in vendor.calls


@pytest.mark.parametrize(
    ("end", "kind", "text"),
    [
        (FAILED, ExportsFailed, "3 exports in a row failed at the vendor. Make the export smaller"),
        (GONE, VendorUnavailable, "3 exports in a row expired or were no longer known at the vendor. Run again"),
        (UNAVAILABLE, VendorUnavailable, "3 exports in a row could not be polled at the vendor. Run again later"),
    ],
)
def test_the_run_fails_after_three_failed_exports(end: ExportStatus, kind: type[VendorUnavailable], text: str) -> None:
    vendor = Vendor([PollResult(end)])
    with pytest.raises(VendorUnavailable, match=text) as failure:
        vendor.export()
    assert type(failure.value) is kind
    assert failure.value.exit_code == 13
    assert vendor.request_count == 3
    assert vendor.calls[-1] == "record none"


@pytest.mark.parametrize("replacements", [0, 1, 2])
def test_the_caller_sets_the_number_of_replacements(replacements: int) -> None:
    vendor = Vendor([PollResult(FAILED)])
    with pytest.raises(ExportsFailed), vendor.runner().export(REQUEST, replacements=replacements):
        pass
    assert vendor.request_count == 1 + replacements


def test_an_export_that_disappeared_last_does_not_count_as_failed() -> None:
    vendor = Vendor([PollResult(FAILED), PollResult(FAILED), PollResult(GONE)])
    with pytest.raises(VendorUnavailable) as failure:
        vendor.export()
    assert type(failure.value) is VendorUnavailable


def test_the_vendors_reason_is_in_the_error() -> None:
    reason = ' The vendor says: "too large".'
    with pytest.raises(ExportsFailed, match="too large") as failure:
        Vendor([PollResult(FAILED, reason=reason)]).export()
    assert failure.value.reason == reason
    with pytest.raises(DeadlinePassed, match="too large"):
        Vendor([PollResult(PENDING, reason=reason)]).export()


# Polling


def test_delays_grow_with_jitter_up_to_the_maximum(clock: VirtualClock) -> None:
    Vendor([*[PollResult(PENDING)] * 9, PollResult(READY)]).export()
    bounds = [2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert len(clock.pauses) == 9
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(clock.pauses, bounds, strict=True))
    assert clock.pauses != bounds


def test_the_first_delay_is_limited_by_the_maximum(clock: VirtualClock) -> None:
    Vendor([PollResult(PENDING), PollResult(PENDING), PollResult(READY)]).export(poll_policy=PollPolicy(100, 10, 600))
    assert max(clock.pauses) <= 10


@pytest.mark.parametrize("seconds", [0, 1e-9, 0.5])
def test_retry_after_never_shortens_a_delay(clock: VirtualClock, seconds: float) -> None:
    vendor = Vendor([PollResult(PENDING, retry_after=seconds)])
    with pytest.raises(DeadlinePassed):
        vendor.export()
    assert 10 <= len(clock.pauses) < 25
    assert max(clock.pauses) >= 30


@pytest.mark.parametrize("seconds", [17.5, 300])
def test_retry_after_is_honoured_to_the_second(clock: VirtualClock, seconds: float) -> None:
    Vendor([PollResult(PENDING, retry_after=seconds), PollResult(READY)]).export()
    assert clock.pauses == [seconds]


def test_an_export_that_is_never_ready_ends_at_the_deadline_and_stays_in_state(clock: VirtualClock) -> None:
    vendor = Vendor([PollResult(PENDING)])
    with pytest.raises(DeadlinePassed, match=r"The next run resumes it\. Raise export_timeout_seconds") as failure:
        vendor.export()
    assert failure.value.exit_code == 15
    assert 600 - 60 <= clock.paused <= 600
    assert "record none" not in vendor.calls


def test_an_export_by_a_secret_url_is_not_said_to_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = Vendor([PollResult(PENDING)])
    job = replace(vendor.request_export(REQUEST), secret="https://storage.test/x.zip")
    monkeypatch.setattr(vendor, "request_export", lambda _request: job)
    with pytest.raises(DeadlinePassed, match=r"The next run requests another one\. .* by e-mail only\.") as failure:
        vendor.export()
    assert "resumes" not in str(failure.value)


def test_a_delay_beyond_the_deadline_ends_the_run_immediately(clock: VirtualClock) -> None:
    with pytest.raises(DeadlinePassed):
        Vendor([PollResult(PENDING, retry_after=601)]).export()
    assert clock.pauses == []


def test_a_replacement_does_not_extend_the_deadline(clock: VirtualClock) -> None:
    vendor = Vendor([*[PollResult(PENDING)] * 11, *[PollResult(FAILED)] * 2, PollResult(PENDING)])
    with pytest.raises(DeadlinePassed):
        vendor.export()
    assert vendor.request_count == 2
    assert clock.paused <= 600


def test_the_timeout_begins_when_the_vendor_has_accepted_the_request(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = Vendor([PollResult(PENDING, retry_after=500), PollResult(READY)])
    accept = vendor.request_export

    def accept_late(request: ExportRequest) -> ExportJob:
        clock.advance(590)  # as while another export of the segment is running
        return accept(request)

    monkeypatch.setattr(vendor, "request_export", accept_late)
    assert vendor.export() == [b"one", b"two"]
    assert vendor.request_count == 1


def test_each_poll_gets_the_remaining_time_and_at_least_a_second(clock: VirtualClock) -> None:
    vendor = Vendor([PollResult(PENDING, retry_after=500), PollResult(READY)])
    vendor.export()
    first, second = vendor.deadlines
    assert 590 < first <= 600
    assert 90 < second <= 100
    slow_vendor = Vendor([PollResult(READY)])
    with slow_vendor.runner().export(REQUEST):
        clock.advance(1000)
    assert slow_vendor.deadlines[0] >= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_and_the_export_stays_in_state(clock: VirtualClock, number: signal.Signals) -> None:
    STOP.install()
    clock.during_pause = lambda: signal.raise_signal(number)
    vendor = Vendor([PollResult(PENDING)])
    with pytest.raises(Interrupted):
        vendor.export()
    assert vendor.calls == ["request 1", "record 1", "poll 1"]


def test_the_poll_policy_is_read_from_the_settings_of_every_vendor() -> None:
    settings = {"poll_initial_seconds": 1, "poll_max_seconds": 2, "export_timeout_seconds": 3, "other": 4}
    assert PollPolicy.from_settings(settings) == PollPolicy(1.0, 2.0, 3.0)
