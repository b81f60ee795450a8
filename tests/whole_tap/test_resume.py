"""An export that was asked for is taken up by the next run, however the first one ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.running import run_tap, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from tap_cdp_export.sandbox.server import Sandbox


def state_when_killed_while_pending(settings: dict[str, Any], folder: Path, number: signal.Signals) -> dict[str, Any]:
    """Run until STATE holds a job, end the process with a signal, give the last whole STATE."""
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
