from __future__ import annotations

import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import requests

from tap_cdp_export.sandbox import options
from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tests.sandbox.clients import END, START, Client


def test_the_server_starts_and_stops_quickly_even_during_a_response() -> None:
    before = threading.active_count()
    started = time.monotonic()
    sandbox = Sandbox(Options(population=PopulationOptions(users=200_000)))
    sandbox.start()
    assert time.monotonic() - started < 0.3
    settings = sandbox.settings()["personalization"]
    with requests.get(
        f"{sandbox.api_url}/api/dataset/engage/users.json",
        auth=(settings["api_key_id"], settings["api_key_secret"]),
        timeout=5,
        stream=True,
    ) as answer:
        next(answer.iter_content(1_000))
        started = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - started < 0.5
    assert threading.active_count() == before
    sandbox.stop()


def test_the_server_prints_nothing_and_leaves_the_root_logger_unchanged(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with Sandbox() as sandbox:
        sandbox.options.update({"faults": [{"kind": "drop"}]})
        client = Client(sandbox)
        with pytest.raises(requests.exceptions.ConnectionError):
            client.dataset()
        client.session.close()
    assert (root.level, root.handlers) == before
    assert capfd.readouterr() == ("", "")


def test_a_port_in_use_is_an_error_and_leaves_no_socket_open() -> None:
    with Sandbox() as sandbox:
        port = int(sandbox.api_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            Sandbox(storage_port=port)


def test_the_settings_are_complete(sandbox: Sandbox) -> None:
    settings = sandbox.settings()
    assert settings["start_date"] == "2026-05-18T00:00:00Z"
    keys = {"base_url", "dataset_ids", "api_key_id", "api_key_secret", "segments"}
    assert settings["personalization"].keys() == keys
    assert len(settings["braze"]["segment_ids"]) == 2
    assert settings["apsis"]["requests_per_minute"] == 600
    assert all(
        item.keys() == {"section_discriminator", "version_id"}
        for name in ("attributes", "tags", "events")
        for item in settings["apsis"][name]
    )


def test_start_date_is_four_weeks_before_the_real_time() -> None:
    sandbox = Sandbox()
    start = datetime.fromisoformat(sandbox.settings()["start_date"])
    sandbox.stop()
    assert timedelta(days=28) <= datetime.now(UTC) - start < timedelta(days=29)


def test_the_request_log_keeps_every_request_without_credentials(sandbox: Sandbox, client: Client) -> None:
    client.dataset(page=0, pageSize=3)
    client.export_file()
    client.archive()
    log = sandbox.request_log.entries()
    assert [entry.number for entry in log] == list(range(1, len(log) + 1))
    assert [entry.vendor for entry in log] == ["personalization", "apsis", "apsis", "apsis", "braze", "braze"]
    first = log[0]
    assert first.query == {"page": "0", "pageSize": "3"}
    assert first.headers["authorization"] == "Basic"
    assert first.headers["user-agent"].startswith("python-requests")
    assert first.bytes > 100
    assert log[2].body["start_at"] == START
    assert log[2].job == log[3].job
    assert sandbox.request_log.count(method="POST", path="/users/export/segment") == 1
    text = msgspec.json.encode(log).decode()
    secrets = (
        client.settings["personalization"]["api_key_secret"],
        client.settings["apsis"]["client_secret"],
        client.settings["braze"]["api_key"],
    )
    assert not any(secret in text for secret in secrets)


def test_the_request_log_can_be_read_and_cleared_over_http(sandbox: Sandbox, client: Client) -> None:
    client.request_token()
    assert [entry["path"] for entry in client.get("/_sandbox/ledger").json()] == ["/oauth/token"]
    assert client.session.delete(sandbox.api_url + "/_sandbox/ledger", timeout=5).status_code == 204
    assert client.get("/_sandbox/ledger").json() == []


def test_option_changes_are_merged_or_refused_as_a_whole(sandbox: Sandbox, client: Client) -> None:
    apsis = sandbox.options.apsis
    answer = client.post("/_sandbox/options", json={"apsis": {"pretty": True}, "faults": [{"status": 500}]})
    assert answer.json()["apsis"]["pretty"] is True
    assert apsis is sandbox.options.apsis
    assert apsis.pretty
    assert apsis.polls_before_ready == 2
    wrong = client.post("/_sandbox/options", json={"braze": {"polls_before_ready": 9, "misspelt": 1}})
    assert wrong.status_code == 400
    assert sandbox.options.braze.polls_before_ready == 2
    assert client.post("/_sandbox/options", json=[]).status_code == 400
    assert client.get("/_sandbox/options").json()["faults"][0]["status"] == 500


def test_counts_and_clock_are_available_over_http(sandbox: Sandbox, client: Client) -> None:
    counts_before = client.get("/_sandbox/counts", params={"start": START, "end": END})
    assert counts_before.json() == sandbox.population.counts(start=START, end=END)
    assert client.get("/_sandbox/counts").status_code == 400
    assert client.post("/_sandbox/clock", json={"now": "2026-07-01T00:00:00Z"}).status_code == 200
    counts_after = client.get("/_sandbox/counts", params={"start": START, "end": END})
    assert counts_after.json()["users"] > counts_before.json()["users"]
    assert client.post("/_sandbox/clock", json={"now": "tomorrow"}).status_code == 400
    assert client.post("/_sandbox/clock", json={"now": None}).json() == {"now": None}
    assert abs(sandbox.population.now() / 1000 - time.time()) < 5


def test_an_internal_error_shows_its_traceback(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.population.now = "not a time"
    answer = client.dataset()
    assert answer.status_code == 500
    assert "Traceback" in answer.text


def test_requests_are_answered_concurrently(sandbox: Sandbox, client: Client) -> None:
    sandbox.options.population.users = 30_000
    sandbox.options.apsis.polls_before_ready = 0
    url = client.export_url()
    with requests.get(url, headers=client.bearer(), timeout=5, stream=True) as download:
        next(download.iter_content(1_000))
        assert client.request_token().elapsed.total_seconds() < 0.5


def test_the_storage_host_does_not_serve_the_api(sandbox: Sandbox) -> None:
    host, port = sandbox.storage_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /oauth/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 404 " in connection.recv(100)


@pytest.mark.parametrize(
    "kind",
    [
        options.Options,
        options.PopulationOptions,
        options.PersonalizationOptions,
        options.ApsisOptions,
        options.BrazeOptions,
        options.Fault,
    ],
)
def test_every_option_is_documented(kind: type[msgspec.Struct]) -> None:
    text = kind.__doc__ or ""
    assert all(f"        {name}: " in text or f"\n    {name}: " in text for name in kind.__struct_fields__)
