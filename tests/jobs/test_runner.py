"""The loop of every export: asked for once, recorded at once, looked at with patience, never longer than allowed."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tap_cdp_export.errors import DeadlinePassed, ExportsFailed, IncompleteAnswer, Interrupted, VendorUnavailable
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.jobs.job import ExportJob, ExportRequest, ExportStatus
from tap_cdp_export.jobs.runner import ExportRunner, PollPolicy, PollResult
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.helpers.virtual_clock import VirtualClock

REQUEST = ExportRequest("Vendor", {"a": 1})
PATIENCE = PollPolicy(poll_initial=2, poll_max=60, timeout=600)
PENDING, READY, FAILED, GONE = ExportStatus.PENDING, ExportStatus.READY, ExportStatus.FAILED, ExportStatus.GONE

pytestmark = pytest.mark.usefixtures("clock")


@dataclass
class Vendor:
    """A vendor's side that follows a script; its last look repeats.

    Attributes:
        diary: what happened, in order, STATE included.
        deadlines: what each look was allowed to take.
    """

    looks: list[PollResult]
    diary: list[str] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    spools: list[Spool] = field(default_factory=list)
    asked: int = 0

    def request_export(self, request: ExportRequest) -> ExportJob:
        self.asked += 1
        self.diary.append(f"ask {self.asked}")
        now = datetime.now(UTC)
        return ExportJob({"number": str(self.asked)}, request.digest, now, now + timedelta(hours=1))

    def poll(self, job: ExportJob, *, deadline_seconds: float) -> PollResult:
        self.diary.append(f"look at {job.reference['number']}")
        self.deadlines.append(deadline_seconds)
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def download(self, job: ExportJob, _look: PollResult) -> Generator[Spool, None, None]:
        self.diary.append(f"fetch {job.reference['number']}")
        for content in (b"one", b"two"):
            self.spools.append(Spool([content]))
            yield self.spools[-1]

    def record(self, job: ExportJob | None) -> None:
        self.diary.append(f"record {job.reference['number']}" if job else "record none")

    def runner(self, poll_policy: PollPolicy = PATIENCE) -> ExportRunner:
        return ExportRunner(self, poll_policy, self.record)

    def export(self, job: ExportJob | None = None, poll_policy: PollPolicy = PATIENCE) -> list[bytes]:
        with self.runner(poll_policy).export(REQUEST, job) as files:
            return [file.head(10) for file in files]


def earlier_job(*, minutes: float = 30, digest: str = REQUEST.digest) -> ExportJob:
    now = datetime.now(UTC)
    return ExportJob({"number": "earlier"}, digest, now, now + timedelta(minutes=minutes))


def test_an_export_is_recorded_right_after_it_was_asked_for_and_before_anything_else() -> None:
    vendor = Vendor([PollResult(PENDING), PollResult(READY)])
    assert vendor.export() == [b"one", b"two"]
    assert vendor.diary == ["ask 1", "record 1", "look at 1", "look at 1", "fetch 1"]


def test_a_file_is_given_back_when_the_next_is_asked_for() -> None:
    vendor = Vendor([PollResult(READY)])
    with vendor.runner().export(REQUEST) as files:
        for _ in files:
            assert [spool.file.closed for spool in vendor.spools] == [True, False][-len(vendor.spools) :]
    assert [spool.file.closed for spool in vendor.spools] == [True, True]


def test_files_are_given_back_even_after_a_failure() -> None:
    vendor = Vendor([PollResult(READY)])

    def fail() -> None:
        with vendor.runner().export(REQUEST) as files:
            next(files)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [spool.file.closed for spool in vendor.spools] == [True]


def test_a_file_that_the_look_brought_is_given_back_even_if_nobody_reads_it() -> None:
    spool = Spool([b"x"])
    with Vendor([PollResult(READY, spool)]).runner().export(REQUEST):
        pass
    assert spool.file.closed


def test_files_are_given_back_when_a_later_one_cannot_be_fetched() -> None:
    class Halfway(Vendor):
        def download(self, job: ExportJob, result: PollResult) -> Generator[Spool, None, None]:
            yield next(super().download(job, result))
            raise IncompleteAnswer("cut")

    vendor = Halfway([PollResult(READY)])
    with pytest.raises(IncompleteAnswer):
        vendor.export()
    assert [spool.file.closed for spool in vendor.spools] == [True]


# Several files


class Bucket(Vendor):
    """An export of several named files; its STATE is kept as a run's is."""

    def __init__(self, *names: str) -> None:
        super().__init__([PollResult(READY, files=names)])
        self.fetched: list[str] = []
        self.state: ExportJob | None = None

    def download(self, _job: ExportJob, result: PollResult) -> Generator[Spool, None, None]:
        for name in result.files:
            self.fetched.append(name)
            yield Spool([name.encode()])

    def record(self, job: ExportJob | None) -> None:
        self.state = ExportJob.from_state(job.to_state()) if job else None


def test_state_follows_file_by_file_and_the_next_run_goes_on_behind_the_last_whole_one() -> None:
    bucket = Bucket("a", "b", "c")
    with bucket.runner().export(REQUEST) as files:
        assert [next(files).head(9), next(files).head(9)] == [b"a", b"b"]  # the second one is not written yet
    again = Bucket("a", "b", "c")
    assert again.export(bucket.state) == [b"b", b"c"]
    assert again.fetched == ["b", "c"]
    assert again.asked == 0
    assert Bucket("a", "b", "c").export(again.state) == []


@pytest.mark.parametrize("names", [("0", "a", "b", "c"), ("a", "aa", "b", "c"), ("b", "c"), ("x",)])
def test_files_that_came_in_between_make_the_next_run_read_all_of_them_again(names: tuple[str, ...]) -> None:
    bucket = Bucket("a", "b", "c")
    with bucket.runner().export(REQUEST) as files:
        for _ in range(3):
            next(files)
    assert Bucket(*names).export(bucket.state) == [name.encode() for name in names]


def test_a_file_that_came_behind_the_written_ones_is_read_alone() -> None:
    bucket = Bucket("a", "b")
    bucket.export()
    assert Bucket("a", "b", "c").export(bucket.state) == [b"c"]


# An earlier run's export


def test_an_earlier_runs_export_is_taken_up_and_not_asked_for_again() -> None:
    vendor = Vendor([PollResult(PENDING), PollResult(READY)])
    vendor.export(earlier_job())
    assert vendor.diary == ["look at earlier", "look at earlier", "fetch earlier"]


def test_an_expired_export_is_asked_for_anew() -> None:
    vendor = Vendor([PollResult(READY)])
    vendor.export(earlier_job(minutes=-1))
    assert vendor.diary == ["ask 1", "record 1", "look at 1", "fetch 1"]


def test_an_export_asked_for_with_other_parameters_is_asked_for_anew() -> None:
    vendor = Vendor([PollResult(READY)])
    vendor.export(earlier_job(digest="other"))
    assert vendor.asked == 1


@pytest.mark.parametrize("end", [FAILED, GONE])
def test_an_earlier_export_that_is_lost_is_replaced_and_state_says_so(end: ExportStatus) -> None:
    vendor = Vendor([PollResult(end), PollResult(READY)])
    vendor.export(earlier_job())
    assert vendor.diary == ["look at earlier", "record none", "ask 1", "record 1", "look at 1", "fetch 1"]


# Failures


@pytest.mark.parametrize(("end", "kind"), [(FAILED, ExportsFailed), (GONE, VendorUnavailable)])
def test_exports_that_fail_again_and_again_are_given_up_after_three(
    end: ExportStatus, kind: type[VendorUnavailable]
) -> None:
    vendor = Vendor([PollResult(end)])
    with pytest.raises(VendorUnavailable, match="smaller") as failure:
        vendor.export()
    assert type(failure.value) is kind
    assert failure.value.exit_code == 13
    assert vendor.asked == 3
    assert vendor.diary[-1] == "record none"


@pytest.mark.parametrize("replacements", [0, 1, 2])
def test_how_often_an_export_is_replaced_is_the_callers_choice(replacements: int) -> None:
    vendor = Vendor([PollResult(FAILED)])
    with pytest.raises(ExportsFailed), vendor.runner().export(REQUEST, replacements=replacements):
        pass
    assert vendor.asked == 1 + replacements


def test_an_export_that_vanished_last_is_not_taken_for_one_that_is_too_large() -> None:
    vendor = Vendor([PollResult(FAILED), PollResult(GONE)])
    with pytest.raises(VendorUnavailable) as failure:
        vendor.export()
    assert type(failure.value) is VendorUnavailable


def test_what_the_vendor_says_of_an_export_is_in_the_last_word() -> None:
    reason = ' The vendor says: "too large".'
    with pytest.raises(ExportsFailed, match="too large") as failure:
        Vendor([PollResult(FAILED, reason=reason)]).export()
    assert failure.value.reason == reason
    with pytest.raises(DeadlinePassed, match="too large"):
        Vendor([PollResult(PENDING, reason=reason)]).export()


# Patience


def test_pauses_grow_with_jitter_and_never_beyond_the_longest(clock: VirtualClock) -> None:
    Vendor([*[PollResult(PENDING)] * 9, PollResult(READY)]).export()
    bounds = [2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert len(clock.pauses) == 9
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(clock.pauses, bounds, strict=True))
    assert clock.pauses != bounds


def test_the_first_pause_is_not_longer_than_the_longest(clock: VirtualClock) -> None:
    Vendor([PollResult(PENDING), PollResult(PENDING), PollResult(READY)]).export(poll_policy=PollPolicy(100, 10, 600))
    assert max(clock.pauses) <= 10


@pytest.mark.parametrize("seconds", [0, 1e-9, 0.5])
def test_a_wait_that_the_vendor_asks_for_never_shortens_ours(clock: VirtualClock, seconds: float) -> None:
    vendor = Vendor([PollResult(PENDING, retry_after=seconds)])
    with pytest.raises(DeadlinePassed):
        vendor.export()
    assert 10 <= len(clock.pauses) < 25
    assert max(clock.pauses) >= 30


@pytest.mark.parametrize("seconds", [17.5, 300])
def test_a_wait_that_the_vendor_asks_for_is_honoured_to_the_second(clock: VirtualClock, seconds: float) -> None:
    Vendor([PollResult(PENDING, retry_after=seconds), PollResult(READY)]).export()
    assert clock.pauses == [seconds]


def test_an_export_that_is_never_ready_ends_at_the_deadline_and_stays_in_state(clock: VirtualClock) -> None:
    vendor = Vendor([PollResult(PENDING)])
    with pytest.raises(DeadlinePassed, match="export_timeout_seconds") as failure:
        vendor.export()
    assert failure.value.exit_code == 15
    assert 600 - 60 <= clock.paused <= 600
    assert "record none" not in vendor.diary


def test_a_wait_beyond_the_deadline_is_not_taken(clock: VirtualClock) -> None:
    with pytest.raises(DeadlinePassed):
        Vendor([PollResult(PENDING, retry_after=601)]).export()
    assert clock.pauses == []


def test_a_replacement_gets_no_time_of_its_own(clock: VirtualClock) -> None:
    vendor = Vendor([*[PollResult(PENDING)] * 12, PollResult(FAILED), PollResult(PENDING)])
    with pytest.raises(DeadlinePassed):
        vendor.export()
    assert vendor.asked == 2
    assert clock.paused <= 600


def test_each_look_may_take_what_is_left_of_the_time_and_at_least_a_moment(clock: VirtualClock) -> None:
    vendor = Vendor([PollResult(PENDING, retry_after=500), PollResult(READY)])
    vendor.export()
    first, second = vendor.deadlines
    assert 590 < first <= 600
    assert 90 < second <= 100
    late = Vendor([PollResult(READY)])
    with late.runner().export(REQUEST):
        clock.advance(1000)
    assert late.deadlines[0] >= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_and_the_export_stays_in_state(clock: VirtualClock, number: signal.Signals) -> None:
    STOP.install()
    clock.during_pause = lambda: signal.raise_signal(number)
    vendor = Vendor([PollResult(PENDING)])
    with pytest.raises(Interrupted):
        vendor.export()
    assert vendor.diary == ["ask 1", "record 1", "look at 1"]


def test_patience_is_read_from_the_settings_every_vendor_has() -> None:
    settings = {"poll_initial_seconds": 1, "poll_max_seconds": 2, "export_timeout_seconds": 3, "other": 4}
    assert PollPolicy.from_settings(settings) == PollPolicy(1.0, 2.0, 3.0)
