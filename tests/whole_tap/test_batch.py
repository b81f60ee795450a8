"""BATCH files hold the contents of RECORD messages: selection and stream maps applied, no bookmark before its file."""

from __future__ import annotations

import gzip
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.helpers.running import Row, Run, run_tap, vendor
from tests.whole_tap.conftest import NOW
from tests.whole_tap.test_modes import discovered, selecting

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox


def batched(folder: Path, **changes: Any) -> dict[str, Any]:
    return {"batch_config": {"storage": {"root": folder.as_uri(), "prefix": "part-"}, **changes}}


def rows(run: Run, stream: str) -> list[Row]:
    """Read the files of a stream's BATCH messages, in order."""
    found = []
    for message in run.messages:
        if message["type"] == "BATCH" and message["stream"] == stream:
            assert message["encoding"]["format"] == "jsonl"
            (url,) = message["manifest"]
            data = Path(urlsplit(url).path).read_bytes()
            text = gzip.decompress(data) if message["encoding"]["compression"] == "gzip" else data
            found += [json.loads(line) for line in text.splitlines()]
    return found


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_batches_hold_the_records_of_every_stream(sandbox: Sandbox, tmp_path: Path, compression: str) -> None:
    settings = {**sandbox.settings(), "end_date": NOW}
    by_record = run_tap(settings)
    encoding = {"format": "jsonl", "compression": compression}
    by_batch = run_tap({**settings, **batched(tmp_path, batch_size=100, encoding=encoding)})
    assert by_batch.exit_code == 0, by_batch.log
    assert not any(message["type"] == "RECORD" for message in by_batch.messages)
    for stream in ("users", "accounts", "apsis_profiles", "apsis_events", "braze_users"):
        assert rows(by_batch, stream) == by_record.records(stream)
        assert rows(by_batch, stream)


def test_no_bookmark_is_written_before_the_files_of_its_window(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = {**sandbox.settings(), "end_date": NOW}
    run = run_tap({**settings, **batched(tmp_path, batch_size=10_000)})
    seen = 0
    bookmark = None
    for message in run.messages:
        if message["type"] == "BATCH" and message["stream"] == "apsis_events":
            seen += 1
        elif message["type"] == "STATE":
            now = message["value"]["bookmarks"].get("apsis_events", {}).get("replication_key_value")
            if now and now != bookmark:
                assert seen, "a bookmark without the file before it"
                bookmark, seen = now, 0
    assert bookmark


@pytest.mark.parametrize("note", ["'mapped'", "'mapped' if record else None"], ids=["by columns", "record by record"])
def test_selection_and_stream_maps_apply_to_batches(sandbox: Sandbox, tmp_path: Path, note: str) -> None:
    catalog = selecting(discovered(sandbox), "users", without={"email_address"})
    maps = {"users": {"name": "md5(name)", "note": note, "__filter__": "name > 'b'", "__alias__": "people"}}
    run = run_tap({**sandbox.settings(), "end_date": NOW, "stream_maps": maps, **batched(tmp_path)}, catalog=catalog)
    found = rows(run, "people")
    assert found
    assert all("@" not in row["name"] and row["note"] == "mapped" and "email_address" not in row for row in found)
    (schema,) = [message["schema"] for message in run.messages if message["type"] == "SCHEMA"]
    assert set(found[0]) == set(schema["properties"])


def test_a_storage_that_cannot_be_written_ends_with_16(sandbox: Sandbox) -> None:
    run = run_tap({**sandbox.settings(), "end_date": NOW, **batched(Path("/proc/nowhere"))})
    assert run.exit_code == 16
    assert "batch_config" in run.last_line


def test_files_and_new_folders_are_for_the_user_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    changes = {"storage": {"root": (tmp_path / "new").as_uri(), "prefix": "day/part-"}}
    usual = os.umask(0)  # a child process inherits it
    try:
        run = run_tap({**vendor(sandbox.settings(), "braze"), "end_date": NOW, "batch_config": changes})
    finally:
        os.umask(usual)
    assert run.exit_code == 0, run.log
    assert rows(run, "braze_users")
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}
    assert (
        stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE((tmp_path / "new/day").stat().st_mode) == 0o700
    )


@pytest.mark.parametrize(
    ("prefix", "maps"),
    [
        ("../x-", {}),
        ("/srv/x-", {}),
        ("day/", {"users": {"__alias__": "'../x'"}}),
        (".", {"users": {"__alias__": "'./x'"}}),
        ("", {"/x": {"__source__": "users"}}),
        ("", {"*": {"__alias__": "'../' + __stream_name__"}}),
    ],
)
def test_files_that_would_leave_the_root_are_refused_before_the_first_request(
    sandbox: Sandbox, tmp_path: Path, prefix: str, maps: dict[str, Any]
) -> None:
    root = tmp_path / "root"
    changes = {"stream_maps": maps, "batch_config": {"storage": {"root": root.as_uri(), "prefix": prefix}}}
    run = run_tap({**sandbox.settings(), "end_date": NOW, **changes})
    assert run.exit_code == 10
    assert "batch_config.storage.prefix" in run.last_line
    assert not sandbox.request_log.entries()
    assert not [*tmp_path.iterdir()]


def test_an_alias_is_any_name_without_batch_files(sandbox: Sandbox) -> None:
    settings = {**vendor(sandbox.settings(), "braze"), "stream_maps": {"braze_users": {"__alias__": "'../people'"}}}
    run = run_tap(settings)
    assert run.exit_code == 0, run.log
    assert run.records("../people")
