"""Refused requests: stream, reason, advice and exit code on the last line of the log; and waiting for limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.helpers.running import Run, run_tap, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

JSON = {"content-type": "application/json"}
ASK_APSIS, ASK_BRAZE = "/profiles/exports$", "/users/export/segment$"


def run_with(sandbox: Sandbox, name: str, *options: str, seconds: float = 60, **changes: Any) -> Run:
    settings = vendor(sandbox.settings(), name, **changes)
    return run_tap({**settings, "end_date": NOW, "request_deadline_seconds": seconds}, *options)


@pytest.mark.parametrize(
    ("name", "path", "fault", "code", "stream"),
    [
        ("apsis", "/oauth/token", {"status": 401}, 11, "apsis_events"),
        ("apsis", "/oauth/token", {"status": 200}, 12, "apsis_events"),
        ("apsis", ASK_APSIS, {"status": 400}, 10, "apsis_events"),
        ("apsis", ASK_APSIS, {"status": 422}, 10, "apsis_events"),
        ("apsis", ASK_APSIS, {"status": 500}, 13, "apsis_events"),
        ("apsis", ASK_APSIS, {"status": 202}, 12, "apsis_events"),
        ("apsis", "/profiles/exports/", {"status": 410}, 13, "apsis_events"),
        ("apsis", "/profiles/exports/", {"status": 404}, 15, "apsis_events"),
        ("braze", ASK_BRAZE, {"status": 400}, 10, "braze_users"),
        ("braze", ASK_BRAZE, {"status": 403}, 11, "braze_users"),
        ("braze", ASK_BRAZE, {"status": 429}, 14, "braze_users"),
        ("braze", ASK_BRAZE, {"status": 201}, 12, "braze_users"),
        ("braze", "/segments/list", {"status": 403}, 11, "braze_users"),
        ("braze", "/segments/list", {"status": 200}, 12, "braze_users"),
        ("personalization", "/users.json", {"status": 404}, 10, "users"),
        ("personalization", "/users.json", {"status": 429}, 14, "users"),
    ],
)
def test_the_last_line_says_the_vendors_own_reason(  # noqa: PLR0913, PLR0917 -- a row of the table
    sandbox: Sandbox, name: str, path: str, fault: dict[str, Any], code: int, stream: str
) -> None:
    secret = next(value for key, value in sandbox.settings()[name].items() if key.endswith(("secret", "api_key")))
    body = f'{{"message": "Not so, {secret}\\n of anna@shop.example", "data": "canary"}}'
    sandbox.options.faults = [Fault(path=path, times=0, body=body, headers=JSON, **fault)]
    sandbox.options.braze.permissions.append("segments.list")
    changes: dict[str, Any] = {"export_timeout_seconds": 2} if name != "personalization" else {}
    if path == "/segments/list":
        changes["segment_ids"] = ["*"]
    run = run_with(sandbox, name, seconds=2, **changes)
    assert run.exit_code == code, run.log
    last = run.last_line
    assert "CRITICAL" in last
    assert stream in last
    assert 'The vendor says: "Not so, (redacted) of (redacted)"' in last
    assert last.endswith(f"(exit {code})")
    for hidden in (secret, "canary", "anna"):
        assert hidden not in run.log


@pytest.mark.parametrize(
    "retry_after",
    [
        {"retry_after": 0},
        {"retry_after": -3600, "retry_after_date": True, "clock_ahead": -7200},
        {"retry_after": -3600, "retry_after_date": True, "clock_ahead": 7200},
    ],
)
def test_a_vendor_that_wants_no_pause_gets_one(sandbox: Sandbox, retry_after: dict[str, Any]) -> None:
    limit = {"times": 0, "status": 429, **retry_after}
    sandbox.options.faults = [Fault(path="/users.json", **limit)]
    assert run_with(sandbox, "personalization", seconds=2, accounts_missing="error").exit_code == 14
    assert 2 <= sandbox.request_log.count(path="/api/dataset/engage/users.json") < 30
    sandbox.options.faults = [Fault(path="/profiles/exports/", **{**limit, "status": 404})]
    assert run_with(sandbox, "apsis", export_timeout_seconds=2).exit_code == 15
    assert 2 <= sandbox.request_log.count(method="GET", path="/audience/profiles/exports/") < 60
    sandbox.options.faults = [Fault(path=ASK_BRAZE, **limit)]
    assert run_with(sandbox, "braze", export_timeout_seconds=2).exit_code == 14
    assert 2 <= sandbox.request_log.count(method="POST", path="/users/export/segment") < 60


def test_a_date_of_a_clock_that_is_behind_is_waited_for(sandbox: Sandbox) -> None:
    sandbox.options.faults = [
        Fault(path="/users.json", status=429, clock_ahead=-7200, retry_after=3, retry_after_date=True)
    ]
    run = run_with(sandbox, "personalization")
    assert run.exit_code == 0, run.log
    assert "Next try in 3 s" in run.log
