"""A requested export is resumed by the next run, however the first run ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.helpers.running import run_tap, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from tap_cdp_export.sandbox.server import Sandbox


def state_when_killed_while_pending(settings: dict[str, Any], folder: Path, number: signal.Signals) -> dict[str, Any]:
    """Run until STATE holds a job, end the process with a signal, and return the last complete STATE."""
    config = folder / "config.json"
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "tap_cdp_export", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tap:
        assert tap.stdout
        for line in tap.stdout:
            message = json.loads(line)
            if message["type"] == "STATE" and any(
                entry.get("export") for entry in message["value"]["bookmarks"].values()
            ):
                tap.send_signal(number)
                break
        else:
            pytest.fail("no job in STATE")
        rest = [json.loads(line) for line in tap.stdout]
    states = [message["value"] for message in [message, *rest] if message["type"] == "STATE"]
    return dict(states[-1])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_killed_while_an_apsis_export_is_pending_costs_no_second_export(
    sandbox: Sandbox, tmp_path: Path, number: signal.Signals
) -> None:
    sandbox.options.apsis.polls_before_ready = 10_000
    settings = {**vendor(sandbox.settings(), "apsis", window_days=60), "end_date": NOW}
    state = state_when_killed_while_pending(settings, tmp_path, number)
    assert state["bookmarks"]["apsis_events"]["export"]["handle"]["poll_path"].startswith("/audience/")
    sandbox.options.apsis.polls_before_ready = 0
    run = run_tap(settings, state=state)
    assert run.exit_code == 0, run.log
    assert sandbox.request_log.count(method="POST", path="/audience/profiles/exports") == 1
    expected = sandbox.population.counts(start=settings["start_date"], end=NOW, at=NOW)
    assert (
        len({row["event_key"] + row["profile_key"] + row["section_id"] for row in run.records("apsis_events")})
        == (expected["apsis_events"])
    )


def test_a_braze_url_never_enters_state_and_a_busy_segment_is_waited_for(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.options.braze.polls_before_ready = 10_000
    settings = vendor(sandbox.settings(), "braze")
    state = state_when_killed_while_pending(settings, tmp_path, signal.SIGKILL)
    assert "http" not in json.dumps(state)
    assert ".zip" not in json.dumps(state)
    sandbox.options.braze.polls_before_ready = 3
    run = run_tap(settings, state=state)
    assert run.exit_code == 0, run.log
    assert "busy" in run.log
    assert max(sandbox.request_log.most_open.values()) == 1


def test_a_failing_export_is_replaced_a_few_times_and_its_job_leaves_state(sandbox: Sandbox) -> None:
    sandbox.options.apsis.failing_exports = 1
    settings = {**vendor(sandbox.settings(), "apsis", window_days=60), "end_date": NOW}
    run = run_tap(settings)
    assert run.exit_code == 0, run.log
    assert sandbox.request_log.count(method="POST", path="/audience/profiles/exports") == 2
    assert run.states[-1]["bookmarks"]["apsis_events"]["export"] is None


def state_when_asked(sandbox: Sandbox, settings: dict[str, Any], folder: Path, path: str) -> dict[str, Any]:
    """Run until the vendor has received an export request, end the run with SIGTERM, and return the last STATE."""
    config = folder / "config.json"
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "tap_cdp_export", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tap:
        while not sandbox.request_log.count(method="POST", path=path):
            assert tap.poll() is None
            time.sleep(0.01)
        began = time.monotonic()
        tap.send_signal(signal.SIGTERM)
        out, _ = tap.communicate(timeout=30)
        assert time.monotonic() - began < 8
    assert tap.returncode == 143
    states = [json.loads(line)["value"] for line in out.splitlines() if b'"STATE"' in line]
    return dict(states[-1]) if states else {}


def test_a_run_stopped_while_the_vendor_accepts_an_export_costs_no_second_one(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.options.faults = [Fault(path="/profiles/exports$", kind="slow", seconds=1.5)]
    settings = {**vendor(sandbox.settings(), "apsis", window_days=60), "end_date": NOW}
    state = state_when_asked(sandbox, settings, tmp_path, "/audience/profiles/exports")
    assert state["bookmarks"]["apsis_events"]["export"]["version"] == 1
    run = run_tap(settings, state={"type": "STATE", "value": state})
    assert run.exit_code == 0, run.log
    assert sandbox.request_log.count(method="POST", path="/audience/profiles/exports") == 1


def test_an_answer_that_does_not_come_is_not_waited_for_longer_than_a_run_may_take_to_end(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.options.faults = [Fault(path="/profiles/exports$", kind="slow", seconds=20)]
    settings = {**vendor(sandbox.settings(), "apsis", window_days=60), "end_date": NOW}
    assert not state_when_asked(sandbox, settings, tmp_path, "/audience/profiles/exports").get("export")


def test_a_run_stopped_while_braze_accepts_an_export_takes_it_up_in_the_bucket(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    sandbox.options.faults = [Fault(path="/users/export/segment$", kind="slow", seconds=1.5)]
    sandbox.options.braze.bucket_folder = str(bucket)
    segment = sandbox.settings()["braze"]["segment_ids"][0]
    changes = {"segment_ids": [segment], "bucket_url": f"file://{bucket}", "bucket_quiet_seconds": 0.4}
    settings = vendor(sandbox.settings(), "braze", **changes)
    state = state_when_asked(sandbox, settings, tmp_path, "/users/export/segment")
    assert state["bookmarks"]["braze_users"]["export"]["handle"]["object_prefix"]
    run = run_tap(settings, state=state)
    assert run.exit_code == 0, run.log
    assert sandbox.request_log.count(method="POST", path="/users/export/segment") == 1
    other = {**settings, "braze": {**settings["braze"], "base_url": sandbox.api_url.replace("127.0.0.1", "localhost")}}
    assert run_tap(other, state=state).exit_code == 0
    assert sandbox.request_log.count(method="POST", path="/users/export/segment") == 2
