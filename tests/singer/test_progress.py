"""Progress is what is known at the moment: bytes of bytes, records, their rate, the time left."""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from tap_cdp_export.files.activity import ACTIVITY
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.singer import progress
from tap_cdp_export.singer.progress import Progress, is_live, summary, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_cdp_export.singer.stream import ExportStream

MB = 1_000_000


@dataclass
class FakeStream:
    """What progress looks at."""

    name: str = "braze_users"
    record_count: int = 0
    is_running: bool = True
    is_whole: bool = False
    seconds: float | None = None
    bookmark_text: Any = None

    @property
    def tally(self) -> FakeStream:
        """The stream itself, which has the attributes of both."""
        return self

    @property
    def records(self) -> int:
        """Of the tally."""
        return self.record_count


def progress_of(*streams: FakeStream) -> Progress:
    return Progress(cast("list[ExportStream]", list(streams)))


@pytest.fixture(autouse=True)
def no_activity() -> Iterator[None]:
    """No phase is left from before."""
    assert ACTIVITY.phase is None
    yield
    ACTIVITY.downloads.clear()


class Clock:
    """Time passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace `time.monotonic`."""
    fake = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: fake.now)
    return fake


def downloading(size: int, announced_size: int) -> Spool:
    spool = Spool.of(b"")
    spool.size, spool.announced_size = size, announced_size
    ACTIVITY.downloads.append(spool)
    return spool


def test_before_the_first_stream_the_run_is_starting() -> None:
    assert progress_of(FakeStream(is_running=False)).look() == ("starting", None)


def test_a_wait_says_how_long_it_has_lasted(clock: Clock) -> None:
    with ACTIVITY.during("waiting for the export"):
        clock.advance(150)
        text, fraction = progress_of(FakeStream()).look()
    assert (text, fraction) == ("braze_users: waiting for the export, 2 min 30 s so far", None)


def test_a_download_says_bytes_of_bytes_rate_and_time_left(clock: Clock) -> None:
    spool = downloading(12 * MB, 48 * MB)
    running = progress_of(FakeStream())
    with ACTIVITY.during("waiting for the export"):
        assert running.look() == ("braze_users: downloading, 12.0 MB of 48.0 MB", 0.25)
        clock.advance(4)
        spool.size = 24 * MB
        assert running.look() == (
            "braze_users: downloading, 24.0 MB of 48.0 MB, 3.0 MB a second, 8 s left",
            0.5,
        )


def test_of_a_download_of_unknown_size_no_time_is_guessed(clock: Clock) -> None:
    spool = downloading(12 * MB, 0)
    running = progress_of(FakeStream())
    running.look()
    clock.advance(4)
    spool.size = 24 * MB
    assert running.look() == ("braze_users: downloading, 24.0 MB, 3.0 MB a second", None)


def test_small_downloads_are_not_worth_a_word() -> None:
    downloading(MB - 1, 2 * MB)
    with ACTIVITY.during("waiting for the export"):
        assert progress_of(FakeStream()).look()[0] == "braze_users: waiting for the export, under 0.1 s so far"


def test_reading_a_file_says_records_rate_bytes_of_bytes_and_time_left(clock: Clock) -> None:
    profiles, events = FakeStream("apsis_profiles"), FakeStream("apsis_events")
    running = progress_of(profiles, events, FakeStream("users", record_count=5, is_running=False))
    with Spool.of(bytes(4 * MB)) as file, ACTIVITY.during("reading", file):
        running.look()
        clock.advance(10)
        profiles.record_count, events.record_count = 1_000, 11_000
        running.look()
        clock.advance(10)
        events.record_count = 31_000
        file.head(3 * MB)
        assert running.look() == (
            "apsis_profiles, apsis_events: reading, 32,000 records, 2,000 a second, 3.0 MB of 4.0 MB, 6.7 s left",
            0.75,
        )


def test_pages_are_counted_though_their_number_is_not_known() -> None:
    users = FakeStream("users", record_count=12_345)
    with ACTIVITY.during("reading", detail=lambda: "12 pages"):
        assert progress_of(users).look() == ("users: reading, 12 pages, 12,345 records", None)


def test_a_stream_without_a_phase_says_its_records(clock: Clock) -> None:
    segments = FakeStream("braze_segments")
    running = progress_of(segments)
    assert running.look() == ("braze_segments: 0 records", None)
    clock.advance(10)
    segments.record_count = 400
    assert running.look() == ("braze_segments: 400 records, 40 a second", None)


def test_the_rate_is_that_of_the_last_half_minute_and_of_one_stream(clock: Clock) -> None:
    users, accounts = FakeStream("users", record_count=1), FakeStream("accounts", is_running=False)
    running = progress_of(users, accounts)
    running.look()
    for _ in range(100):
        clock.advance(1)
        users.record_count += 1_000
        running.look()
    for _ in range(40):
        clock.advance(1)
        users.record_count += 10
        text, _ = running.look()
    assert "10 a second" in text
    users.is_running, accounts.is_running, accounts.record_count = False, True, 7
    assert running.look()[0] == "accounts: 7 records"


def test_of_many_streams_some_are_named() -> None:
    text, _ = progress_of(*[FakeStream(f"table_{number}") for number in range(6)]).look()
    assert text.startswith("table_0, table_1, 4 others: ")


def test_a_line_comes_every_so_often_while_nothing_else_happens(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert progress.LINE_SECONDS < 30
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.001)
    with caplog.at_level(logging.INFO), ACTIVITY.during("waiting for the export"), progress_of(FakeStream()):
        while len(caplog.messages) < 3:
            threading.Event().wait(0.01)
    assert caplog.messages[:3] == ["braze_users: waiting for the export, under 0.1 s so far"] * 3
    assert caplog.messages[-1] == "braze_users: not whole, 0 records."


def test_a_run_without_another_thread_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with caplog.at_level(logging.INFO), progress_of(FakeStream(is_whole=True)):
        pass
    assert caplog.messages == ["braze_users: 0 records."]


USERS = FakeStream("users", 1_061, False, True, 0.14, "2026-11-10T12:00:00.000Z")  # noqa: FBT003 -- a row of a table
EVENTS = FakeStream("apsis_events", 12, False, False, 75, "2026-11-03T12:00:00.000Z")  # noqa: FBT003 -- as above
NEVER = FakeStream("braze_users", is_running=False)


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (USERS, "users: 1,061 records in 0.1 s, bookmark 2026-11-10T12:00:00.000Z."),
        (EVENTS, "apsis_events: not whole, 12 records in 1 min 15 s, bookmark 2026-11-03T12:00:00.000Z."),
        (NEVER, "braze_users: not whole, 0 records."),
        (FakeStream("x", is_whole=True, bookmark_text="2026-11-03"), "x: 0 records, bookmark 2026-11-03."),
        (FakeStream("x", is_whole=True, bookmark_text="someone@shop.example"), "x: 0 records."),
        (FakeStream("x", is_whole=True, bookmark_text=["2026-11-03"]), "x: 0 records."),
    ],
)
def test_a_stream_is_summed_up_in_a_line(stream: FakeStream, text: str) -> None:
    assert summary(cast("ExportStream", stream)) == text


def test_on_a_terminal_all_streams_are_summed_up_in_a_table() -> None:
    assert table(cast("list[ExportStream]", [USERS, EVENTS, NEVER])) == (
        "stream        records  seconds  bookmark\n"
        "users           1,061      0.1  2026-11-10T12:00:00.000Z  whole\n"
        "apsis_events       12     75.0  2026-11-03T12:00:00.000Z  not whole\n"
        "braze_users         0                                     not whole\n"
    )


class Terminal(io.StringIO):
    """A stream of text to a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stdout", "stderr", "log_config", "level", "live"),
    [
        (io.StringIO(), Terminal(), None, logging.INFO, True),
        (io.StringIO(), io.StringIO(), None, logging.INFO, False),
        (Terminal(), Terminal(), None, logging.INFO, False),
        (io.StringIO(), Terminal(), "log.yml", logging.INFO, False),
        (io.StringIO(), Terminal(), None, logging.WARNING, False),
        (io.StringIO(), None, None, logging.INFO, False),
    ],
)
def test_a_line_is_live_where_nothing_else_of_the_terminal_is_disturbed(  # noqa: PLR0913, PLR0917 -- a row of the table
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stdout: io.StringIO,
    stderr: io.StringIO | None,
    log_config: str | None,
    level: int,
    *,
    live: bool,
) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.delenv("SINGER_SDK_LOG_CONFIG", raising=False)
    if log_config:
        monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", log_config)
    with caplog.at_level(level):
        assert is_live() == live
