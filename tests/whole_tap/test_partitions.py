"""All partitions together read what a single run reads, and a daily run goes on from their states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.helpers.in_process import sync
from tests.helpers.partitions import merged, partitions, run_partition
from tests.helpers.running import Warehouse, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

LATER = "2026-11-12T12:00:00Z"
EXPORTS = "/audience/profiles/exports"


@pytest.fixture
def settings(sandbox: Sandbox) -> dict[str, Any]:
    found = sandbox.settings()
    tables = {"personalization": [], "apsis": ["*"], "braze": ["braze_segments", "braze_user_purchases"]}
    offered = {name: {**found[name], "tables": names} for name, names in tables.items()}
    return {**found, **offered, "start_date": "2026-10-12T12:00:00Z", "end_date": NOW}


def test_a_fan_out_ends_in_the_rows_of_a_single_run_and_a_daily_run_goes_on(
    sandbox: Sandbox, settings: dict[str, Any]
) -> None:
    single, fanned_out = Warehouse(), Warehouse()
    state: dict[str, Any] = {}
    whole = sync(settings)
    assert whole.exit_code == 0, whole.log
    single.load(whole)

    sandbox.options.faults.append(Fault(status=400, path="/users/export/segment", times=1))
    runs = []
    for piece in partitions(settings, days=14):
        run = run_partition(settings, piece)
        if run.exit_code:
            assert (piece.vendor, run.exit_code) == ("braze", 10)
            fanned_out.load(run)
            run = run_partition(settings, piece, run.states[-1] if run.states else None)
        runs.append((piece.id, run))
        fanned_out.load(run)
        state = merged(state, run.states[-1])
    assert [run.exit_code for _, run in runs] == [0] * len(runs)
    assert len([piece for piece, _ in runs if piece.startswith("apsis.from-")]) == 3
    assert fanned_out.tables == single.tables
    assert set(single.tables) >= {"users", "apsis_events", "apsis_profiles", "apsis_tags", "braze_user_purchases"}

    sandbox.options.update({"population": {"now": LATER}})
    daily = {**settings, "end_date": LATER}
    for warehouse, last_state in ((single, whole.states[-1]), (fanned_out, state)):
        sandbox.request_log.clear()
        run = sync(daily, state=last_state)
        assert run.exit_code == 0, run.log
        warehouse.load(run)
        (export,) = sandbox.request_log.entries(method="POST", path=EXPORTS)
        assert export.body["start_at"].startswith("2026-11-09T12:00:00")  # a day of lookback behind the bookmark
    assert fanned_out.tables == single.tables


def test_a_finished_window_asks_for_nothing_and_the_last_one_grows(sandbox: Sandbox, settings: dict[str, Any]) -> None:
    only = vendor(settings, "apsis", tables=[])
    states = {piece.id: run_partition(only, piece).states[-1] for piece in partitions(only, days=20)}
    sandbox.options.update({"population": {"now": LATER}})
    again = partitions({**only, "end_date": LATER}, days=20)
    assert [piece.id for piece in again] == [*states] == ["apsis.from-20261012T120000Z", "apsis.from-20261101T120000Z"]
    asked = []
    for piece in again:
        sandbox.request_log.clear()
        run = run_partition(only, piece, states[piece.id])
        assert run.exit_code == 0, run.log
        asked += [export.body["end_at"][:19] for export in sandbox.request_log.entries(method="POST", path=EXPORTS)]
    assert asked == ["2026-11-12T12:00:00"]


def test_rows_of_another_partition_are_not_dropped(settings: dict[str, Any]) -> None:
    only = {**vendor(settings, "braze"), "emit_activate_version_messages": True}
    activated = [
        {message["stream"] for message in run_partition(only, piece).messages if message["type"] == "ACTIVATE_VERSION"}
        for piece in partitions(only, days=7)
    ]
    assert activated == [set(), set(), {"braze_segments"}]
