"""The log of a run: each line of the happy path is in the snapshot, so that each new line is a decision."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

from tap_cdp_export.sandbox.options import Fault
from tests.helpers.about import ROOT
from tests.helpers.running import run_tap, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

SNAPSHOT = Path(__file__).with_name("snapshots") / "log.txt"
DURATION = re.compile(r"\b(in|after) (under )?[0-9.]+ (min [0-9]+ )?s\b")
SIZE = re.compile(r"[0-9.]+ (kB|MB)")
RATE = re.compile(r", [0-9,]+ a second")
VERSIONS = re.compile(r"(tap-cdp-export|SDK) v[^ ,\n]+")


def normalized(log: str) -> str:
    """Keep level and message of each line, without what differs from run to run."""
    lines = []
    for line in log.splitlines():
        _time, level, _logger, message = line.split(" | ", 3)
        message = SIZE.sub(r"… \1", DURATION.sub(r"\1 …", VERSIONS.sub(r"\1 v…", message)))
        message = RATE.sub(", … a second", message)
        lines.append(f"{level.strip()} {message}")
    return "\n".join(lines) + "\n"


def first_run(sandbox: Sandbox) -> str:
    """Read all three vendors for two weeks."""
    return normalized(run_tap({**sandbox.settings(), "end_date": NOW, "start_date": "2026-10-28T00:00:00Z"}).log)


def test_the_log_of_a_first_run_is_as_in_the_snapshot(sandbox: Sandbox) -> None:
    assert first_run(sandbox) == SNAPSHOT.read_text(encoding="utf-8")


def test_a_run_that_fails_says_which_streams_are_whole(sandbox: Sandbox) -> None:
    sandbox.options.faults = [Fault(path="/users.json", skip=1, times=0, status=403)]
    run = run_tap({**vendor(sandbox.settings(), "personalization"), "end_date": NOW})
    assert run.exit_code == 11
    *_, failure, users, accounts, last = normalized(run.log).splitlines()
    assert failure == "ERROR users failed; the last line says why."
    assert users == "WARNING users: not whole, 251 records in …."
    assert accounts == "INFO accounts: 19 records in …, bookmark 2026-11-10T12:00:00.000Z."
    assert last.startswith("CRITICAL users: ")


def test_metrics_can_be_logged_apart_as_the_page_says(sandbox: Sandbox, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "log.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "log.yml").write_text(block.replace("metrics.log", str(tmp_path / "metrics.log")))
    settings = {**vendor(sandbox.settings(), "personalization"), "end_date": NOW}
    run = run_tap(settings, environment={"SINGER_SDK_LOG_CONFIG": str(tmp_path / "log.yml")})
    assert (tmp_path / "metrics.log").read_text().count("METRIC: ") == 4
    assert "METRIC" not in run.log


def test_a_terminal_has_a_live_line_and_a_table_at_the_end(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.options.apsis.ready_after_seconds = 0.8
    settings = {**vendor(sandbox.settings(), "apsis"), "end_date": NOW, "start_date": "2026-11-09T00:00:00Z"}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "tap_cdp_export", "--config", str(tmp_path / "config.json")]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with (tmp_path / "out.jsonl").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 65_536):
            text += piece
    except OSError:  # the other end is closed
        os.close(ours)
    assert process.wait() == 0
    lines = text.decode().split("\r\n")
    assert re.search(r"\rapsis_events, apsis_profiles: waiting for the export, [0-9.]+ s so far *\r", text.decode())
    assert all(" | INFO " in line for line in lines[:-4])
    assert lines[-4].endswith("\rstream          records  seconds  bookmark")
    assert re.fullmatch(r"apsis_events +15 +[0-9.]+  2026-11-10T12:00:00.000Z  whole", lines[-3])
    assert re.fullmatch(r"apsis_profiles +425 +[0-9.]+  2026-11-10T12:00:00.000Z  whole", lines[-2])
    assert [json.loads(line)["type"] for line in (tmp_path / "out.jsonl").read_bytes().splitlines()].count("RECORD")
