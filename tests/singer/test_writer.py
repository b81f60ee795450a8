"""stdout carries whole lines of strict JSON, whatever the system does to a write."""

from __future__ import annotations

import errno
import io
import json
import os
import select
import sys
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from singer_sdk.singerlib import RecordMessage, StateMessage

from tap_cdp_export.errors import LocalFailure, TargetGone
from tap_cdp_export.singer.writer import LineWriter
from tests.helpers.json_documents import OBJECTS


class ShortWrites(io.RawIOBase):
    """A stdout whose writes are short, or not possible right now, as the system likes."""

    def __init__(self, most: int = 1 << 30, *, failure: OSError | None = None) -> None:
        super().__init__()
        self.data = b""
        self.writes = 0
        self._most = most
        self._failure = failure

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._failure:
            raise self._failure
        self.writes += 1
        taken = bytes(data[: self._most])
        self.data += taken
        return len(taken)

    def lines(self) -> list[Any]:
        assert self.data.endswith(b"\n")
        return [json.loads(line, parse_constant=pytest.fail) for line in self.data.splitlines()]


def as_stdout(monkeypatch: pytest.MonkeyPatch, output: io.RawIOBase, *, buffered: bool = True) -> io.TextIOWrapper:
    binary: Any = io.BufferedWriter(output) if buffered else output  # PYTHONUNBUFFERED drops the buffer
    stdout = io.TextIOWrapper(binary, write_through=not buffered)
    monkeypatch.setattr(sys, "stdout", stdout)
    return stdout


def record(number: int, **fields: Any) -> RecordMessage:
    return RecordMessage(stream="s", record={"n": number, **fields})


@pytest.mark.parametrize("buffered", [True, False])
def test_a_write_that_the_system_cuts_short_is_taken_up_until_all_is_out(
    monkeypatch: pytest.MonkeyPatch, *, buffered: bool
) -> None:
    output = ShortWrites(most=7)
    as_stdout(monkeypatch, output, buffered=buffered)
    writer = LineWriter()
    for number in range(50):
        writer.write_message(record(number))
    writer.flush()
    assert [line["record"]["n"] for line in output.lines()] == list(range(50))


def test_a_full_pipe_is_waited_for_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    received: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as pipe:
            received.append(pipe.read())

    reader = threading.Thread(target=read)
    with as_stdout(monkeypatch, io.FileIO(writing, "w")):
        reader.start()
        writer = LineWriter()
        for number in range(2000):
            writer.write_message(record(number, filling="x" * 1000))
        writer.flush()
    reader.join()
    assert [json.loads(line)["record"]["n"] for line in received[0].splitlines()] == list(range(2000))


class FullPipe(ShortWrites):
    """A non-blocking pipe that takes nothing until somebody has waited for it."""

    def __init__(self) -> None:
        super().__init__(most=10)
        self.has_room = False

    def write(self, data: Any) -> Any:
        if not self.has_room:
            assert self.writes < 100, "the writer tries again and again in place of waiting"
            self.writes += 1
            return None
        self.has_room = False
        return super().write(data)


def test_a_full_pipe_is_waited_for_without_trying_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = FullPipe()
    as_stdout(monkeypatch, pipe, buffered=False)

    def wait(_read: object, writable: list[FullPipe], _errors: object) -> None:
        (waited_for,) = writable
        waited_for.has_room = True

    monkeypatch.setattr(select, "select", wait)
    lines = LineWriter()
    lines.write_message(record(1, text="x" * 20))
    lines.flush()
    assert pipe.lines()[0]["record"]["n"] == 1


def test_records_are_collected_and_any_other_message_pushes_them_out_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    output = ShortWrites()
    as_stdout(monkeypatch, output)
    writer = LineWriter()
    writer.write_message(record(1))
    writer.write_message(record(2))
    assert output.data == b""
    writer.write_message(StateMessage(value={"bookmarks": {}}))
    assert [line["type"] for line in output.lines()] == ["RECORD", "RECORD", "STATE"]


def test_many_records_need_few_writes_and_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    output = ShortWrites()
    as_stdout(monkeypatch, output)
    writer = LineWriter()
    for number in range(10_000):
        writer.write_message(record(number, filling="x" * 100))
    assert len(output.data) > 1_000_000
    assert output.writes < 50
    writer.flush()
    assert len(output.lines()) == 10_000


@given(fields=OBJECTS)
def test_a_record_comes_out_as_it_went_in_on_one_line(fields: dict[str, Any]) -> None:
    line = LineWriter().serialize_message(record(0, fields=fields))
    assert b"\n" not in line
    assert json.loads(line)["record"]["fields"] == fields


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**64), 10**50 + 1])
def test_an_integer_of_any_size_comes_out_with_all_its_digits(number: int) -> None:
    line = LineWriter().serialize_message(record(0, big=number))
    assert json.loads(line)["record"]["big"] == number


def test_what_a_stream_map_may_make_is_written_as_json() -> None:
    line = LineWriter().serialize_message(
        record(
            0,
            day=date(2024, 3, 1),
            time=datetime(2024, 3, 1, tzinfo=UTC),
            price=Decimal("1.10"),
            odd={1},
            no=float("nan"),
        )
    )
    made = json.loads(line, parse_constant=pytest.fail, parse_float=str)["record"]
    assert made["day"] == "2024-03-01"
    assert made["time"].startswith("2024-03-01T00:00:00")
    assert made["price"] == "1.10"
    assert made["no"] is None


def test_a_target_that_is_gone_is_said_so_and_not_written_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    as_stdout(monkeypatch, ShortWrites(failure=BrokenPipeError(errno.EPIPE, "Broken pipe")))
    writer = LineWriter()
    with pytest.raises(TargetGone, match="target"):
        writer.write_message(StateMessage(value={}))
    output = ShortWrites()
    as_stdout(monkeypatch, output)
    writer.flush()
    assert output.data == b""


def test_a_full_disk_behind_stdout_is_this_machines_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    as_stdout(monkeypatch, ShortWrites(failure=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(LocalFailure, match="No space left on device"):
        LineWriter().write_message(StateMessage(value={}))


def test_flushing_nothing_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    output = ShortWrites()
    as_stdout(monkeypatch, output)
    LineWriter().flush()
    assert output.writes == 0
