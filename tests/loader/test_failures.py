"""What ends a load: each has a clear error, loses nothing that was committed, and hides what was not."""

from __future__ import annotations

import logging
import resource
import shlex
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tap_cdp_export.errors import Interrupted, LocalFailure, SettingsError
from tap_cdp_export.loader import database, loader
from tap_cdp_export.loader.errors import UnusableInput
from tap_cdp_export.loader.loader import Loader
from tap_cdp_export.loader.sources import Spool
from tap_cdp_export.loader.target import TargetDuckDB
from tap_cdp_export.signals import StopSignal
from tests.loader.loading import TEXT, Warehouse, as_lines, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYED = schema(["k"], k=TEXT, v=TEXT, o={"type": "object"})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"type":"RECORD","stream":"t","record":{"k":"2","v":"x}\n', "t: a line is not a JSON object"),
        (b'{"type":"RECORD","stream":"t","record":{"k":"2"}} {}\n', "t: a line is not a JSON object"),
        (b'{"type":"RECORD","stream":"t","record":{"k":"\\ud800"}}\n', "t: a line is not a JSON object"),
        (b'{"type":"RECORD","stream":"t","record":{"k":"\xff"}}\n', "t: a line is not a JSON object"),
        (b'{"type":"RECORD","stream":"t","record":null}\n', "t: a message has no record"),
        (b'{"type":"RECORD","stream":"t","record":[]}\n', "t: a message has no record"),
        (b'{"type":"RECORD","stream":"t"}\n', "t: a message has no record"),
        (b'{"type":"RECORD","stream":"t","record":{"k":"2","k":"3"}}\n', "t: a value of k does not fit"),
        (b'{"type":"RECORD","stream":"t","record":{"k":"2"},"version":"x"}\n', "t: the version of a message cannot be"),
        (
            b'{"type":"RECORD","stream":"t","record":{"k":"2"},"time_extracted":"x"}\n',
            "t: the time_extracted of a message cannot be read",
        ),
        (b'{"type":"RECORD","record":{"k":"2"}}\n', "Records of a stream without a name"),
        (b'{"type":"FILE","stream":"t"}\n', "Line 3 of the input is a message of the unknown type FILE"),
        (b'{"type":"STATE"}\n', "Line 3 of the input is not a whole STATE message: .* `value`"),
        (b'{"type":"SCHEMA","stream":"t"}\n', "Line 3 of the input is not a whole SCHEMA message: .* `schema`"),
        (b'{"type":"SCHEMA","stream":"t","schema":5}\n', "Line 3 of the input is not a whole SCHEMA message"),
        (b'{"type":"SCHEMA","schema":{}}\n', "Line 3 of the input is not a whole SCHEMA message: .* `stream`"),
        (b'{"type":"BATCH","stream":"t","encoding":{"format":"jsonl"}}\n', "not a whole BATCH message: .* `manifest`"),
        (b'{"type":"ACTIVATE_VERSION","stream":"t"}\n', "not a whole ACTIVATE_VERSION message: .* `version`"),
        (b'{"type":"ACTIVATE_VERSION","stream":"z","version":1}\n', "Records of z come before its SCHEMA"),
    ],
)
def test_an_unusable_line_has_a_reason(warehouse: Warehouse, line: bytes, reason: str) -> None:
    with pytest.raises(UnusableInput, match=reason) as caught:
        warehouse.load(KEYED, record(k="secret-1"), line, record(k="2"), state("after"))
    assert "secret" not in str(caught.value)
    assert warehouse.states == []


def test_a_record_of_nearly_the_largest_size_is_loaded(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, record(k="1", v="x" * 49_000_000), record(k="2", v="y"))
    assert warehouse.rows("k, length(v)") == [("1", 49_000_000), ("2", 1)]


def test_records_that_need_more_memory_than_usual_get_it(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(database._CONFIG, "memory_limit", "30MB")  # noqa: SLF001 -- so that little data reaches it
    caplog.set_level("INFO")
    warehouse.load(KEYED, *(record(k=str(number), v="x" * 10_000_000) for number in range(4)), state(1))
    assert "DuckDB needs more memory" in caplog.text
    assert warehouse.rows("k, length(v)") == [(str(number), 10_000_000) for number in range(4)]
    assert warehouse.states == [1]


def test_a_record_over_50_mb_is_an_error(warehouse: Warehouse) -> None:
    done = warehouse.run(KEYED, record(k="1"), state("before"), record(k="2", v="x" * 50_000_000), state("after"))
    assert done.returncode == 12
    assert done.stderr.decode().splitlines()[-1].endswith("Line 4 of the input is longer than 50 MB. (exit 12)")
    assert done.stdout == b'"before"\n'
    assert warehouse.rows("k") == [("1",)]


def test_a_locked_file_is_named(warehouse: Warehouse) -> None:
    warehouse.load(KEYED)
    with duckdb.connect(str(warehouse.path)):
        done = warehouse.run(KEYED)
    assert done.returncode == 16
    last_line = done.stderr.decode().splitlines()[-1]
    assert last_line.endswith("t.duckdb is in use by another program. Close it there, then run again. (exit 16)")


def test_a_file_that_is_no_database_is_named(warehouse: Warehouse) -> None:
    warehouse.path.parent.mkdir(parents=True)
    warehouse.path.write_text("no database" * 1000)
    with pytest.raises(SettingsError, match="is not a file of this version of DuckDB"):
        warehouse.load(KEYED)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "The path of the DuckDB file is empty: its rows would be lost"),
        ("  \n", "The path of the DuckDB file is empty"),
        (":memory:", ":memory: is a database in memory: its rows would be lost"),
        (" :MEMORY:foo", ":MEMORY:foo is a database in memory"),
        ("md:cdp", "begins with md:, but only a local file can be opened"),
        ("s3://bucket/t.duckdb", "begins with s3:, but only"),
        ("postgres:dbname=x", "begins with postgres:, but only"),
        ("t\0.duckdb", "cannot be that of a file"),
        ("t\ud800.duckdb", "cannot be that of a file"),
        ("~nobody-of-this-name/t.duckdb", "cannot be that of a file"),
    ],
)
def test_a_path_that_is_not_that_of_a_file_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=reason), database.opened(path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["~/a/t.duckdb", " a/t.duckdb ", "./a/t:b.duckdb", "a/md:cdp.duckdb"])
def test_a_path_may_begin_in_the_home_folder_or_hold_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with database.opened(path) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    assert (tmp_path / "a" / path.strip().rpartition("/")[2]).exists()


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalFailure, match=r"The folder of .* cannot be created"):
        Warehouse(tmp_path / "file" / "t.duckdb").load(KEYED)


def test_a_view_of_the_streams_name_is_no_table(warehouse: Warehouse) -> None:
    warehouse.path.parent.mkdir(parents=True)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("CREATE SCHEMA s; CREATE VIEW s.t AS SELECT 1 AS k")
    with pytest.raises(UnusableInput, match=r"but that of its table is \(\)"):
        warehouse.load(KEYED)


def limited(warehouse: Warehouse, **config: Any) -> subprocess.CompletedProcess[bytes]:
    """Load 30 MB in a process that can write files of 4 MB only, which fails like a full disk."""
    lines = as_lines([record(k=str(number), v=f"{number}" * 300) for number in range(20_000)])
    return subprocess.run(
        warehouse.command(**config),
        input=b"".join([*as_lines([KEYED]), *lines, *as_lines([state("after")])]),
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**22, 2**22)),
        timeout=60,
    )


def test_a_full_disk_is_named_and_nothing_is_lost(warehouse: Warehouse) -> None:
    warehouse.load(KEYED, record(k="1", v="x"))
    done = limited(warehouse)
    assert done.returncode == 16, done.stderr
    assert b"cannot be read or written: File too large. (exit 16)" in done.stderr
    assert done.stdout == b""
    assert warehouse.rows("k, v") == [("1", "x")]


def test_a_disk_that_is_full_at_the_commit_is_named(warehouse: Warehouse) -> None:
    done = limited(warehouse, batch_size_rows=1000)
    assert done.returncode == 16, done.stderr
    last_line = done.stderr.splitlines()[-1]
    assert b"DuckDB cannot write: " in last_line
    assert last_line.endswith(b"File too large (exit 16)")
    ((rows, highest),) = warehouse.rows("count(*), max(k::INTEGER)")
    assert rows == highest + 1 > 0


@pytest.mark.parametrize("kind", [duckdb.TransactionException, duckdb.FatalException])
def test_a_commit_that_fails_is_a_problem_of_this_machine(kind: type[Exception]) -> None:
    with (
        duckdb.connect() as connection,
        pytest.raises(LocalFailure, match="DuckDB cannot write: Failed to"),
        database.transaction(connection),
    ):
        raise kind("Failed to create checkpoint because of error: Could not write file")


def test_a_spool_is_removed_from_a_full_disk() -> None:
    spool = Spool()
    spool.remove()
    with Path("/dev/full").open("wb") as full:
        spool._file = full  # noqa: SLF001 -- a file whose buffer cannot be written
        spool.append(b"{}\n")
        spool.remove()


def test_a_state_is_written_to_its_end(warehouse: Warehouse) -> None:
    class Slow(BytesIO):
        def write(self, content: Any) -> int:
            return super().write(content[:3])

    output = Slow()
    config = TargetDuckDB(config={"path": str(warehouse.path)}, setup_mapper=False).config
    with database.opened(str(warehouse.path)) as connection:
        Loader(connection, config, output, logging.getLogger("test")).load(as_lines([state("1234567890")]))
    assert output.getvalue() == b'"1234567890"\n'


@pytest.mark.parametrize(("closed", "reason"), [(">&-", "stdout is closed"), ("<&-", "stdin is closed")])
def test_a_load_without_stdin_or_stdout_ends_with_16(warehouse: Warehouse, closed: str, reason: str) -> None:
    command = f"exec {shlex.join(warehouse.command())} {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], check=False, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert done.returncode == 16, done.stderr
    assert done.stderr.decode().endswith(f"{reason}. (exit 16)\n")


def test_a_signal_ends_the_load_after_the_batch_although_more_has_been_read(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = StopSignal()
    monkeypatch.setattr(loader, "STOP", stop)

    def messages() -> Iterator[dict[str, Any]]:
        yield from (KEYED, record(k="1"), state("covered"))
        stop._handle(signal.SIGTERM, None)  # noqa: SLF001 -- as the system calls it
        for number in range(2, 100):
            yield record(k=str(number))

    with pytest.raises(Interrupted):
        warehouse.load_each(messages(), batch_size_rows=1)
    assert warehouse.rows("k") == [("1",), ("2",)]
    assert warehouse.states == ["covered"]


@pytest.mark.parametrize(("signal_number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_load_although_nobody_reads_the_states(
    warehouse: Warehouse, signal_number: int, exit_code: int
) -> None:
    program = (
        "from tap_cdp_export import signals; from tap_cdp_export.loader.__main__ import main;"
        "signals._FINISHING_SECONDS = 0.0; main()"
    )
    command = [sys.executable, "-c", program, *warehouse.arguments(batch_size_rows=1)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        send(process, KEYED, record(k="1"), state("x" * 200_000), record(k="2"))
        assert process.stdout
        process.stdout.read(1)
        process.send_signal(signal_number)
        assert process.wait(timeout=20) == exit_code
        assert process.stderr
        assert process.stderr.read().decode().endswith(f"(exit {exit_code})\n")
    assert ("1",) in warehouse.rows("k")


@pytest.mark.parametrize(("signal_number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_commits_what_has_arrived(warehouse: Warehouse, signal_number: int, exit_code: int) -> None:
    process = started(warehouse)
    send(process, KEYED, record(k="1"), state("covered"), record(k="2"))
    time.sleep(0.5)  # the lines are read from the pipe before the signal arrives
    process.send_signal(signal_number)
    output, log = process.communicate(timeout=20)
    assert process.returncode == exit_code, log
    assert output == b'"covered"\n'
    assert warehouse.rows("k") == [("1",), ("2",)]


def test_a_killed_load_loses_no_row_that_a_state_covers(warehouse: Warehouse) -> None:
    process = started(warehouse, batch_size_rows=2)
    send(process, KEYED, record(k="1"), state("covered"), record(k="2"), state("pending"), record(k="3"))
    assert process.stdout
    assert process.stdout.readline() == b'"covered"\n'
    process.kill()
    process.communicate(timeout=20)
    assert {("1",), ("2",)} <= set(warehouse.rows("k"))
    warehouse.load(KEYED, record(k="2", v="again"), record(k="3", v="again"))
    assert warehouse.rows("k, v") == [("1", None), ("2", "again"), ("3", "again")]


def test_a_reader_of_states_that_has_gone_is_named(warehouse: Warehouse) -> None:
    process = started(warehouse)
    assert process.stdout
    process.stdout.close()
    send(process, KEYED, record(k="1"), state("x"))
    assert process.stdin
    process.stdin.close()
    assert process.stderr
    log = process.stderr.read().decode()
    assert process.wait(timeout=20) == 16
    assert log.splitlines()[-1].endswith("The program that takes the states has ended. (exit 16)")
    process.stderr.close()
    assert warehouse.rows("k") == [("1",)]


def started(warehouse: Warehouse, **config: Any) -> subprocess.Popen[bytes]:
    """Start the command, and wait until it reads."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(warehouse.command(**config), stdin=pipe, stdout=pipe, stderr=pipe)
    while not warehouse.path.exists():
        time.sleep(0.01)
    return process


def send(process: subprocess.Popen[bytes], *messages: Any) -> None:
    """Write messages into the pipe."""
    assert process.stdin
    process.stdin.write(b"".join(as_lines(messages)))
    process.stdin.flush()
