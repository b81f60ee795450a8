"""Braze's storage host: redirects of the download URL, and URLs that expire before they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.braze.export_users import BUYERS
from tests.helpers.running import run_tap, vendor

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

QUERY = "?X-Goog-Signature=c0ffeec0ffee"


def settings(sandbox: Sandbox, **options: Any) -> dict[str, Any]:
    """Change options of the sandbox, and return settings that read one small segment from it."""
    sandbox.options.update({"braze": {"url_query": QUERY, "polls_before_ready": 1, **options}})
    return vendor(sandbox.settings(), "braze", segment_ids=[BUYERS.identifier], export_timeout_seconds=20)


@pytest.mark.parametrize(
    "options",
    [
        {"redirects": 1, "redirect_status": 302},
        {"redirects": 5, "redirect_status": 307, "redirect_form": "relative"},
    ],
)
def test_up_to_five_redirects_lead_to_the_archive(sandbox: Sandbox, options: dict[str, Any]) -> None:
    run = run_tap(settings(sandbox, **options), environment={"TAP_CDP_EXPORT_LOGLEVEL": "DEBUG"})
    assert run.exit_code == 0, run.log
    assert run.records("braze_users")
    assert sandbox.request_log.count(method="GET", path="/hops/") > options["redirects"]
    assert all(secret not in run.log for secret in ("c0ffee", "/hops/", ".zip"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"redirects": 6}, "redirects a download more than 5 times"),
        ({"redirect_form": "loop"}, "redirects a download more than 5 times"),
        ({"redirects": 1, "redirect_target": "file:///etc/passwd"}, "not at least as safe as base_url"),
    ],
)
def test_other_redirects_end_the_run(sandbox: Sandbox, options: dict[str, Any], text: str) -> None:
    run = run_tap(settings(sandbox, **options))
    assert run.exit_code == 12
    assert text in run.last_line
    assert sandbox.request_log.count(method="GET", path=".zip") <= 6
    assert "passwd" not in run.log


@pytest.mark.parametrize("form", ["s3_token", "s3_url", "gcs", "gcs_v2", "azure"])
def test_an_export_whose_url_expired_is_requested_once_more(sandbox: Sandbox, form: str) -> None:
    run = run_tap(settings(sandbox, expired_exports=1, expired_form=form))
    assert run.exit_code == 0, run.log
    assert run.records("braze_users")
    assert sandbox.request_log.count(method="POST", path="/users/export") == 2
    assert "the export expired or is no longer known at the vendor" in run.log


def test_urls_that_all_expire_end_the_run_with_the_reason(sandbox: Sandbox) -> None:
    run = run_tap(settings(sandbox, url_hours=0))
    assert run.exit_code == 13
    assert "3 exports in a row expired or were no longer known at the vendor" in run.last_line
    assert "Make the export smaller" not in run.last_line
