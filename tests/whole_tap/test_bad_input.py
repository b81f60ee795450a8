"""Failures: exit code, one clear last line, and no part of the vendor's response in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.helpers.running import Run, run_tap, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

USERS, EXPORTS, POLLS, BRAZE, ARCHIVE = (
    "/users.json",
    "/audience/profiles/exports$",
    "/audience/profiles/exports/",
    "/users/export/segment",
    r"\.zip$",
)


def run_with(sandbox: Sandbox, name: str, *faults: Fault, **changes: Any) -> Run:
    """Run one vendor against planned faults, with short timeouts, which pass at once."""
    sandbox.options.faults = list(faults)
    if name != "personalization":
        changes = {"export_timeout_seconds": 30, **changes}
    settings = {**vendor(sandbox.settings(), name, **changes), "end_date": NOW, "request_deadline_seconds": 30}
    run = run_tap(settings)
    assert "Traceback" not in run.log
    assert " CRITICAL " in run.last_line or run.exit_code == 0, run.log
    return run


def always(path: str, **what: Any) -> Fault:
    return Fault(path=path, times=0, **what)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no vendor is configured"),
        ({"brase": {}}, "unknown setting brase"),
        (
            {"braze": {"api_key": 5, "base_url": "https://x.example", "segment_ids": ["a"]}},
            "braze.api_key must be of type",
        ),
        (
            {"braze": {"api_key": "k", "base_url": "https://x.example", "segment_ids": ["a"]}, "start_date": "soon"},
            "start_date",
        ),
        ({"apsis": {"client_id": "i", "client_secret": "s", "events": ["1"]}}, "attributes or apsis.tags"),
        ({"personalization": {"dataset_ids": ["d"], "api_key_id": "i", "api_key_secret": "s"}}, "account_name"),
    ],
)
def test_a_wrong_setting_ends_with_10_and_its_name(settings: dict[str, Any], words: str) -> None:
    run = run_tap(settings)
    assert run.exit_code == 10
    assert words in run.last_line
    assert run.messages == []


def test_a_missing_start_date_ends_with_10(sandbox: Sandbox) -> None:
    settings = sandbox.settings()
    del settings["start_date"]
    run = run_tap(vendor(settings, "personalization", statistics_days=0))
    assert run.exit_code == 10
    assert "start_date" in run.last_line


@pytest.mark.parametrize(
    ("name", "secret"), [("personalization", "api_key_secret"), ("apsis", "client_secret"), ("braze", "api_key")]
)
def test_a_wrong_secret_ends_with_11_and_is_not_shown(sandbox: Sandbox, name: str, secret: str) -> None:
    run = run_with(sandbox, name, **{secret: "wrong-canary-4711"})
    assert run.exit_code == 11
    assert secret.split("_", maxsplit=1)[0] in run.last_line
    assert "canary" not in run.log


@pytest.mark.parametrize(
    ("name", "path", "status", "exit_code"),
    [
        ("personalization", USERS, 400, 10),
        ("personalization", USERS, 403, 11),
        ("personalization", USERS, 404, 10),
        ("personalization", USERS, 302, 12),
        ("personalization", USERS, 429, 14),
        ("personalization", USERS, 500, 13),
        ("apsis", EXPORTS, 400, 10),
        ("apsis", EXPORTS, 403, 11),
        ("apsis", EXPORTS, 413, 10),
        ("apsis", EXPORTS, 429, 14),
        ("apsis", EXPORTS, 500, 13),
        ("apsis", POLLS, 400, 10),
        ("apsis", POLLS, 404, 15),
        ("apsis", POLLS, 410, 13),
        ("apsis", POLLS, 503, 13),
        ("braze", BRAZE, 400, 10),
        ("braze", BRAZE, 403, 11),
        ("braze", BRAZE, 415, 10),
        ("braze", BRAZE, 429, 14),
        ("braze", BRAZE, 502, 13),
        ("braze", ARCHIVE, 403, 15),
        ("braze", ARCHIVE, 400, 12),
        ("braze", ARCHIVE, 503, 13),
    ],
)
def test_a_vendors_status_ends_with_its_exit_code(
    sandbox: Sandbox, name: str, path: str, status: int, exit_code: int
) -> None:
    run = run_with(sandbox, name, always(path, status=status, body="canary of a customer"))
    assert run.exit_code == exit_code, run.log
    assert "canary" not in run.log


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("personalization", USERS),
        ("apsis", EXPORTS),
        ("apsis", POLLS),
        ("apsis", "/oauth/token"),
        ("braze", BRAZE),
        ("braze", ARCHIVE),
    ],
)
def test_a_login_page_with_status_200_ends_with_12(sandbox: Sandbox, name: str, path: str) -> None:
    run = run_with(sandbox, name, always(path, kind="html"))
    assert run.exit_code == 12, run.log
    assert "<" not in run.last_line


@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize(("name", "path"), [("personalization", USERS), ("apsis", POLLS), ("braze", ARCHIVE)])
def test_a_body_that_is_always_cut_ends_with_12_and_no_record(
    sandbox: Sandbox, name: str, path: str, *, clean: bool
) -> None:
    run = run_with(sandbox, name, always(path, kind="cut", after_bytes=1000, clean=clean))
    assert run.exit_code == 12, run.log
    streams = {message["stream"] for message in run.messages if message["type"] == "RECORD"}
    assert not streams - {"accounts"}


@pytest.mark.parametrize(("name", "path"), [("personalization", USERS), ("apsis", POLLS), ("braze", ARCHIVE)])
def test_a_body_that_is_cut_once_is_read_again(sandbox: Sandbox, name: str, path: str) -> None:
    run = run_with(
        sandbox, name, Fault(path=path, kind="cut", after_bytes=300, skip=2 if name != "personalization" else 0)
    )
    assert run.exit_code == 0, run.log
    assert any(entry.fault for entry in sandbox.request_log.entries())


def test_a_line_that_is_no_json_ends_with_12_and_its_place(sandbox: Sandbox) -> None:
    sandbox.options.braze.broken_lines = 1
    run = run_with(sandbox, "braze")
    assert run.exit_code == 12
    assert "line " in run.last_line
    assert "@" not in run.last_line


def test_an_error_in_place_of_profiles_ends_with_12(sandbox: Sandbox) -> None:
    sandbox.options.apsis.error_bodies = 99
    run = run_with(sandbox, "apsis")
    assert run.exit_code == 12
    assert "profiles" in run.last_line


WHOLE = {"stream_maps": {"users": {"whole": "str(record)"}}}


@pytest.mark.parametrize("more", [{}, WHOLE], ids=["at once", "record by record"])
def test_a_user_whose_name_is_empty_ends_with_12_and_its_place(sandbox: Sandbox, more: dict[str, Any]) -> None:
    sandbox.options.personalization.raw_record = '{"name":"","displayName":"canary"}'
    run = run_tap({**vendor(sandbox.settings(), "personalization"), "end_date": NOW, **more})
    assert run.exit_code == 12, run.log
    assert "users" in run.last_line
    assert "no text as its name" in run.last_line
    assert "canary" not in run.log


def test_a_row_of_csv_whose_name_is_empty_ends_with_12_and_its_number(sandbox: Sandbox) -> None:
    page = Fault(path="/users.csv", status=200, body='name,displayName\na,b\n"",canary\n', times=0)
    run = run_with(sandbox, "personalization", page, format="csv")
    assert run.exit_code == 12, run.log
    assert "Row 2 of a CSV page has no identifier" in run.last_line
    assert "canary" not in run.log


def test_a_profile_whose_key_is_empty_ends_with_12_and_its_place(sandbox: Sandbox) -> None:
    sandbox.options.apsis.raw_profile = '"":{"sections":{"1187":{"attributes":{"canary":{"value":1}}}}}'
    run = run_with(sandbox, "apsis")
    assert run.exit_code == 12, run.log
    assert "a profile whose key is empty, near byte 13" in run.last_line
    assert "canary" not in run.log
    assert not run.records("apsis_profiles")


@pytest.mark.parametrize("tables", [(), ("braze_user_devices",)], ids=["at once", "record by record"])
def test_a_user_whose_braze_id_is_empty_ends_with_12_and_its_line(sandbox: Sandbox, tables: tuple[str, ...]) -> None:
    sandbox.options.braze.raw_line = '{"braze_id":"","email":"canary"}'
    run = run_tap({**vendor(sandbox.settings(), "braze", tables=list(tables)), "end_date": NOW})
    assert run.exit_code == 12, run.log
    assert "line 1: has no braze_id" in run.last_line
    assert "canary" not in run.log


def test_entries_without_an_identity_and_lists_that_come_twice_lose_nothing(sandbox: Sandbox) -> None:
    sandbox.options.braze.raw_line = '{"braze_id":"odd","devices":[{"model":"a"}],"devices":[{"device_id":""}]}'
    run = run_tap({**vendor(sandbox.settings(), "braze", tables=["braze_user_devices"]), "end_date": NOW})
    assert run.exit_code == 0, run.log
    rows = [row for row in run.records("braze_user_devices") if row["braze_id"] == "odd"]
    assert rows
    assert {(row["device_id"], row["occurrence"]) for row in rows} == {("-", 1), ("-", 2)}


@pytest.mark.parametrize("more", [{}, {"stream_maps": {"apsis_profiles": {"whole": "str(record)"}}}])
def test_twenty_profiles_whose_keys_come_twice_are_forty_rows(sandbox: Sandbox, more: dict[str, Any]) -> None:
    section = '{"attributes":{"9820534":{"value":1}}}'
    sandbox.options.apsis.raw_profile = ",".join(
        f'"k{number}":{{"sections":{{"{name}":{section}}}}}' for name in ("1187", "1188") for number in range(20)
    )
    run = run_tap({**vendor(sandbox.settings(), "apsis", window_days=60), "end_date": NOW, **more})
    assert run.exit_code == 0, run.log
    rows = {(row["profile_key"], row["section_id"]) for row in run.records("apsis_profiles")}
    assert rows >= {(f"k{number}", name) for number in range(20) for name in ("1187", "1188")}


def test_one_vendors_failure_lets_the_others_finish(sandbox: Sandbox) -> None:
    sandbox.options.faults = [always(BRAZE, status=403)]
    run = run_tap({**sandbox.settings(), "end_date": NOW})
    assert run.exit_code == 11
    assert "braze_users" in run.last_line
    assert run.records("users")
    assert run.records("apsis_events")
    assert run.states[-1]["bookmarks"]["users"]["replication_key_value"]


def test_retired_accounts_are_a_warning_or_an_error_as_the_settings_say(sandbox: Sandbox) -> None:
    sandbox.options.personalization.accounts_status = 404
    assert run_with(sandbox, "personalization").exit_code == 0
    assert run_with(sandbox, "personalization", accounts_missing="error").exit_code == 10


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_server_that_ignores_page_does_not_loop_for_ever(sandbox: Sandbox, form: str, *, moving: bool) -> None:
    sandbox.options.personalization.ignores_page = True
    sandbox.options.personalization.moving_times = moving
    run = run_with(sandbox, "personalization", format=form)
    assert run.exit_code == 12
    assert "repeats the names" in run.last_line
    assert "page_size" in run.last_line
    assert sandbox.request_log.count(path="/users") < 15


@pytest.mark.parametrize("form", ["json", "csv"])
def test_users_that_come_again_unchanged_are_no_loop(sandbox: Sandbox, form: str) -> None:
    sandbox.options.personalization.repeat_every = 1
    in_pages = run_with(sandbox, "personalization", format=form, page_size=1)
    assert in_pages.exit_code == 0, in_pages.log
    at_once = run_with(sandbox, "personalization", format=form)
    for stream in ("users", "accounts"):
        assert in_pages.records(stream) == at_once.records(stream)


@pytest.mark.parametrize(
    "state",
    [
        [],
        {"bookmarks": None},
        {"bookmarks": {"users": {"replication_key_value": "2999-01-01T00:00:00Z"}}},
    ],
)
def test_a_state_of_a_wrong_shape_or_from_the_future_ends_with_10(sandbox: Sandbox, state: Any) -> None:
    run = run_tap({**vendor(sandbox.settings(), "personalization"), "end_date": NOW}, state=state)
    assert run.exit_code == 10, run.log
    assert "state" in run.last_line
    assert not run.records("users")


@pytest.mark.parametrize("schema", [{}, {"schema": {}}, {"schema": {"type": "object"}}])
def test_a_catalog_whose_stream_has_no_properties_ends_with_10(sandbox: Sandbox, schema: dict[str, Any]) -> None:
    run = run_tap(
        vendor(sandbox.settings(), "personalization"), catalog={"streams": [{"tap_stream_id": "users", **schema}]}
    )
    assert run.exit_code == 10
    assert "catalog" in run.last_line
