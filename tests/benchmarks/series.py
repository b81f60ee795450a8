"""Statistics of many campaigns over two years, from a sandbox that takes 50 ms for each request.

What counts is the number of requests and how many are in flight; the notes below the table tell them.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.sandbox.options import PERMISSIONS, BrazeOptions, Fault, Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tests.benchmarks.compare import Row, Table, say
from tests.benchmarks.processes import Variant, beside_python, measure

if TYPE_CHECKING:
    from pathlib import Path

_START: Final = "2024-12-01T00:00:00Z"
_NOW: Final = "2026-11-30T12:00:00Z"
_TOMORROW: Final = "2026-12-01T12:00:00Z"
_SECONDS_A_REQUEST: Final = 0.05
_CAMPAIGNS_OF_THE_SHOP: Final = 6
_NOBODY: Final = "c4f8a2b6-5d17-4e93-a0c8-9f8e7d6c5b4a"
_WHOLE_RANGE: Final = [permission for permission in PERMISSIONS if permission != "campaigns.details"]
_PARALLEL: Final = (1, 4, 16)


def series(folder: Path, *, campaigns: int) -> Table:
    """Measure the first run and the one of the next day, and a first run of a tenth of the campaigns.

    Args:
        folder: for settings and STATE.
        campaigns: how many; 750 is what users of other tools name as the size at which theirs takes days.

    Returns:
        The table; its notes name the requests of each run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = Table("series", f"statistics of {campaigns} campaigns over two years, 50 ms a request", 0, [])
    runs: list[tuple[str, int, int, bool]] = [
        (f"{campaigns} campaigns, {number} in flight", campaigns, number, True) for number in _PARALLEL
    ]
    runs += [
        (f"{campaigns} campaigns, the whole range, 16 in flight", campaigns, 16, False),
        (f"{campaigns // 10} campaigns, the whole range, 16 in flight", campaigns // 10, 16, False),
    ]
    for name, number, parallel, with_details in runs:
        options = _options(number, with_details=with_details)
        with Sandbox(options) as sandbox:
            config = _settings(sandbox, parallel)
            _measure(table, sandbox, _variant(name, folder, config))
            if (number, parallel, with_details) == (campaigns, 4, True):
                state = _last_state(folder, config)
                options.population.now = config["end_date"] = _TOMORROW
                _measure(table, sandbox, _variant(f"{name}, the next day", folder, config, state))
    return table


def _options(campaigns: int, *, with_details: bool) -> Options:
    braze = BrazeOptions(more_campaigns=campaigns - _CAMPAIGNS_OF_THE_SHOP)
    if not with_details:
        braze.permissions = _WHOLE_RANGE
    slow = Fault(path="^/campaigns/", kind="slow", seconds=_SECONDS_A_REQUEST, times=0)
    return Options(population=PopulationOptions(users=200, now=_NOW), braze=braze, faults=[slow])


def _settings(sandbox: Sandbox, parallel_requests: int) -> dict[str, Any]:
    braze = {
        **sandbox.settings()["braze"],
        "tables": ["braze_campaign_stats", "braze_campaign_message_stats"],
        "segment_ids": [_NOBODY],  # users are no part of the measurement
        "fields_to_export": ["braze_id"],
        "parallel_requests": parallel_requests,
    }
    return {"braze": braze, "start_date": _START, "end_date": _NOW}


def _variant(name: str, folder: Path, config: dict[str, Any], state: dict[str, Any] | None = None) -> Variant:
    command = [beside_python("tap-cdp-export")]
    for option, content in (("config", config), ("state", state)):
        if content:
            path = folder / f"{option}.json"
            path.write_text(json.dumps(content))
            command += [f"--{option}", str(path)]
    return Variant(name, tuple(command))


def _measure(table: Table, sandbox: Sandbox, variant: Variant) -> None:
    name = variant.name
    sandbox.request_log.clear()
    run = measure(variant)  # not repeated: the requests of one run are counted
    requests = sandbox.request_log.count(path="/campaigns/")
    at_once = sandbox.request_log.most_at_once
    say(f"series: {name}: {run.seconds:.1f} s, {requests:,} requests, up to {at_once} in flight")
    table.rows.append(Row(name, [run]))
    table.notes.append(f"{name}: {requests:,} requests, up to {at_once} in flight.")


def _last_state(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    command = _variant("state", folder, config).command
    output = subprocess.run(command, capture_output=True, check=True).stdout
    states = [line for line in output.splitlines() if line.startswith(b'{"type":"STATE"')]
    state: dict[str, Any] = json.loads(states[-1])["value"]
    return state
