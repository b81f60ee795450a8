"""All partitions together read what a single run reads, and a daily run goes on from their states."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.helpers.partitions import merged, partitions, run_partition
from tests.helpers.running import Warehouse, run_tap
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

LATER = "2026-11-12T12:00:00Z"
Catalog = dict[str, Any]


@pytest.fixture
def settings(sandbox: Sandbox) -> dict[str, Any]:
    """Settings with all tables; the length of the windows divides that of the partitions."""
    found = sandbox.settings()
    everything = {name: {**value, "tables": ["*"]} if isinstance(value, dict) else value for name, value in found.items()}
    return {**everything, "start_date": "2026-10-01T00:00:00Z", "end_date": NOW}


@pytest.fixture
def catalog(settings: dict[str, Any]) -> Catalog:
    run = run_tap(settings, "--discover")
    return dict(json.loads(run.log[run.log.index("{\n") :]))


def test_a_fan_out_ends_in_the_rows_of_a_single_run_and_a_daily_run_goes_on(
    sandbox: Sandbox, settings: dict[str, Any], catalog: Catalog
) -> None:
    single, fanned_out, state = Warehouse(), Warehouse(), {}
    whole = run_tap(settings)
    assert whole.exit_code == 0, whole.log
    single.load(whole)

    pieces = partitions(settings, "--every=14d")
    assert len([piece for piece in pieces if piece["id"].startswith("apsis.from-")]) == 3
    sandbox.options.faults.append(Fault(kind="status", status=400, path="/users/export/segment", times=1))
    failed = []
    for piece in pieces:
        run = run_partition(settings, catalog, piece)
        fanned_out.load(run)
        if run.exit_code:
            failed.append((piece, run))
        else:
            state = merged(state, run.states[-1])
    ((piece, run),) = failed
    assert run.exit_code == 10
    assert fanned_out.tables != single.tables

    repaired = run_partition(settings, catalog, piece, run.states[-1] if run.states else None)
    assert repaired.exit_code == 0, repaired.log
    fanned_out.load(repaired)
    state = merged(state, repaired.states[-1])
    assert fanned_out.tables == single.tables

    sandbox.options.update({"population": {"now": LATER}})
    daily = {**settings, "end_date": LATER}
    for warehouse, last_state in ((single, whole.states[-1]), (fanned_out, state)):
        run = run_tap(daily, state=last_state)
        assert run.exit_code == 0, run.log
        assert "2026-11-09T12:00:00" in run.log  # the lookback behind the bookmark
        warehouse.load(run)
    assert fanned_out.tables == single.tables


def test_a_finished_window_asks_for_nothing_and_the_last_one_grows(
    sandbox: Sandbox, settings: dict[str, Any], catalog: Catalog
) -> None:
    only = {name: value for name, value in settings.items() if name not in {"personalization", "braze"}}
    states = {}
    for piece in partitions(only, "--every=21d"):
        states[piece["id"]] = run_partition(only, catalog, piece).states[-1]
    sandbox.options.update({"population": {"now": LATER}})
    sandbox.request_log.clear()
    again = partitions(only, "--every=21d", f"--end={LATER}")
    assert [piece["id"] for piece in again] == list(states)
    asked = []
    for piece in again:
        run = run_partition(only, catalog, piece, states[piece["id"]])
        assert run.exit_code == 0, run.log
        asked.append(sandbox.request_log.count(method="POST", path="/audience/profiles/exports"))
    assert asked == [0, 1, 1]
