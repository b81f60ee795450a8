"""The check asks for each permission that a table of Braze needs, and says whether the key has it."""

from __future__ import annotations

import json

import pytest

from tap_cdp_export.sandbox.options import PERMISSIONS, Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tap_cdp_export.vendors.braze import VENDOR
from tests.check.scenarios import JSON
from tests.helpers.checking import check
from tests.helpers.running import vendor


@pytest.mark.parametrize("lacking", [set(), set(PERMISSIONS), {"canvas.details", "email.unsubscribe", "events.list"}])
def test_each_permission_is_granted_or_refused(lacking: set[str]) -> None:
    options = Options(population=PopulationOptions(users=300, companies=20))
    options.braze.permissions = [name for name in PERMISSIONS if name not in lacking]
    with Sandbox(options) as sandbox:
        report = check(vendor(sandbox.settings(), "braze"), may_export=False)
    rights = {name.partition(" (")[0]: told for name, told in report["vendors"]["braze"]["rights"].items()}
    assert rights == {name: "refused" if name in lacking else "granted" for name in PERMISSIONS}
    statuses = [request["status"] for request in report["vendors"]["braze"]["requests"]]
    assert statuses.count(400) <= (1 if not lacking else len(PERMISSIONS))  # the export without a segment
    needed = {name for stream in VENDOR.streams.values() for name in stream.permission.split(", ") if name}
    assert needed <= rights.keys()


def test_an_empty_workspace_tells_its_rights_too() -> None:
    empty: dict[str, list[str]] = {"campaigns": [], "canvases": [], "segments": [], "events": []}
    with Sandbox(Options(population=PopulationOptions(users=50, companies=5))) as sandbox:
        sandbox.options.update(
            {"faults": [{"path": "/list$", "status": 200, "times": 0, "body": json.dumps(empty), "headers": JSON}]}
        )
        report = check(vendor(sandbox.settings(), "braze"), may_export=False)
    assert set(report["vendors"]["braze"]["rights"].values()) == {"granted"}
