"""The company's own bucket: only our export, only when it is whole, and on with the next file after a crash."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.files.object_store import ObjectStore
from tap_cdp_export.jobs.job import ExportJob, ExportStatus
from tap_cdp_export.vendors.braze.bucket import Bucket, is_place
from tests.helpers.archives import zipped
from tests.helpers.configurations import BRAZE_URL, config
from tests.helpers.in_process import completed, sync
from tests.helpers.loopback import LoopbackServer, cut, with_length
from tests.helpers.running import run_tap

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.helpers.running import Run
    from tests.helpers.virtual_clock import VirtualClock

EXPORT_URL = f"{BRAZE_URL}/users/export/segment"
PREFIX = "e739ed46-9cd7-4142-b70f-843b89c5ac80-1592424870"  # asked for on 2020-06-17
ACCEPTED = {"message": "success", "object_prefix": PREFIX}
PENDING, READY, GONE = ExportStatus.PENDING, ExportStatus.READY, ExportStatus.GONE

pytestmark = pytest.mark.usefixtures("clock")


class Folder:
    """The bucket as a folder on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, *braze_ids: str, day: str = "2020-06-17", segment: str = "segment-1") -> Path:
        lines = b"".join(json.dumps({"braze_id": braze_id}).encode() + b"\n" for braze_id in braze_ids)
        return self.put_bytes(name, zipped({"x.txt": lines}), day=day, segment=segment)

    def put_bytes(self, name: str, content: bytes, *, day: str = "2020-06-17", segment: str = "segment-1") -> Path:
        path = self.path / "segment-export" / segment / day / PREFIX / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def settings(self, **changes: Any) -> dict[str, Any]:
        return config("braze", bucket_url=f"file://{self.path}", **changes)

    def bucket(self, **changes: Any) -> Bucket:
        return Bucket(completed("braze", bucket_url=f"file://{self.path}", **changes))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty bucket."""
    return Folder(tmp_path)


def job(*, segment: str = "segment-1", prefix: str = PREFIX, minutes_ago: float = 0) -> ExportJob:
    asked_at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    reference = {"segment_id": segment, "object_prefix": prefix}
    return ExportJob(reference, "digest", asked_at, asked_at + timedelta(days=1))


def status(bucket: Bucket, of: ExportJob | None = None) -> ExportStatus:
    return bucket.poll(of or job()).status


def ids(run: Run) -> list[str]:
    return [row["braze_id"] for row in run.records("braze_users")]


# Where an export is


ODD_PREFIXES = [
    "",
    ".",
    "..",
    "/",
    "*",
    f"{PREFIX}/",
    f"../{PREFIX}",
    f"{PREFIX}\n",
    f"a b{PREFIX}",
    "x" * 256,
    5,
    None,
]


@pytest.mark.parametrize(
    "prefix", ["e739ed46", PREFIX[:-11], f"{PREFIX}123", f"{PREFIX[:-10]}soon", "a.b=c", f"{PREFIX}5"]
)
def test_a_prefix_of_another_form_is_looked_for_in_every_date_folder(
    folder: Folder, clock: VirtualClock, prefix: str
) -> None:
    path = folder.put("a.zip", "a")
    path.parent.rename(path.parent.parent / prefix)
    bucket = folder.bucket()
    bucket.poll(job(prefix=prefix))
    clock.advance(400)
    assert len(bucket.poll(job(prefix=prefix)).files) == 1


@pytest.mark.parametrize("prefix", ODD_PREFIXES)
def test_a_prefix_that_is_none_leads_nowhere(prefix: object) -> None:
    assert not is_place("segment-1", prefix)
    assert is_place("segment-1", PREFIX)


@pytest.mark.parametrize("segment", ["", ".", "..", "../s", "a/b", "a*", "a?", "a\n"])
def test_a_segment_that_is_none_leads_nowhere(segment: str) -> None:
    assert not is_place(segment, PREFIX)


def test_state_with_a_prefix_that_is_none_reads_nothing(folder: Folder) -> None:
    folder.put("a.zip", "a")
    assert status(folder.bucket(), job(prefix="")) is GONE
    assert status(folder.bucket(), job(segment="..")) is GONE


@pytest.mark.parametrize("answer", [{}, {"object_prefix": ""}, {"object_prefix": ".."}, {"object_prefix": 5}])
def test_an_answer_that_leads_nowhere_ends_with_12(
    requests_mock: Mocker, folder: Folder, answer: dict[str, Any]
) -> None:
    requests_mock.post(EXPORT_URL, json={"message": "success", **answer})
    run = sync(folder.settings())
    assert run.exit_code == 12
    assert "object_prefix" in run.log


def test_the_date_of_the_folder_may_be_any_from_the_request_on(folder: Folder, clock: VirtualClock) -> None:
    for day in ("2020-06-16", "2020-06-17", "2020-06-19", "2031-01-01", "odd"):
        folder.put(f"{day}.zip", "a", day=day)
    folder.put("too-old.zip", "a", day="2020-06-15")
    bucket = folder.bucket()
    bucket.poll(job())
    clock.advance(400)
    names = [Path(name).stem for name in bucket.poll(job()).files]
    assert names == ["2020-06-16", "2020-06-17", "2020-06-19", "2031-01-01", "odd"]


def test_empty_files_and_side_files_beside_the_archives_are_passed_over(folder: Folder, clock: VirtualClock) -> None:
    folder.put("a.zip", "a")
    for name in ("_SUCCESS", ".DS_Store", "._a.zip"):
        folder.put_bytes(name, b"x")
    folder.put_bytes("empty.zip", b"")
    folder.put_bytes("packed.zip.gz", gzip.compress(zipped({"b.txt": b'{"braze_id":"b"}'})))
    bucket = folder.bucket()
    bucket.poll(job())
    clock.advance(400)
    result = bucket.poll(job())
    assert [Path(name).name for name in result.files] == ["a.zip", "packed.zip.gz"]
    for spool in bucket.download(job(), result.files):
        with spool:
            assert spool.head(2) == b"PK"


# When it is whole


def test_an_export_is_whole_when_nothing_came_or_changed_for_the_quiet_time(
    folder: Folder, clock: VirtualClock
) -> None:
    bucket = folder.bucket(bucket_quiet_seconds=100)
    assert status(bucket) is PENDING
    clock.advance(500)
    assert status(bucket) is PENDING  # nothing is there
    for change in ("one", "another", "one grown"):
        folder.put_bytes(change[:3], change.encode())
        assert status(bucket) is PENDING
        clock.advance(99)
        assert status(bucket) is PENDING
    clock.advance(2)
    assert status(bucket) is READY
    assert status(bucket, job(prefix=PREFIX[:-1] + "1")) is PENDING  # another export begins anew


def test_an_export_that_left_nothing_in_its_time_is_lost(folder: Folder) -> None:
    bucket = folder.bucket(export_timeout_seconds=3600)
    assert status(bucket, job(minutes_ago=59)) is PENDING
    assert status(bucket, job(minutes_ago=61)) is GONE


def test_a_bucket_that_stays_empty_ends_with_15_and_the_export_stays_in_state(
    requests_mock: Mocker, folder: Folder
) -> None:
    requests_mock.post(EXPORT_URL, json=ACCEPTED)
    run = sync(folder.settings(export_timeout_seconds=100))
    assert run.exit_code == 15
    assert run.states[-1]["bookmarks"]["braze_users"]["export"]["handle"]["object_prefix"] == PREFIX


# Reading it


def test_a_url_is_read_although_a_bucket_is_configured(requests_mock: Mocker, folder: Folder) -> None:
    folder.put("a.zip", "from the bucket")
    requests_mock.post(EXPORT_URL, json={**ACCEPTED, "url": "https://storage.test/canary.zip"})
    requests_mock.get("https://storage.test/canary.zip", content=zipped({"a": b'{"braze_id":"from the url"}'}))
    run = sync(folder.settings())
    assert ids(run) == ["from the url"]
    assert "object_prefix" not in run.states[0]["bookmarks"]["braze_users"]["export"]["handle"]


def test_without_a_bucket_in_the_settings_the_error_names_them(requests_mock: Mocker) -> None:
    requests_mock.post(EXPORT_URL, json=ACCEPTED)
    run = sync(config("braze"))
    assert run.exit_code == 12
    assert "bucket_url" in run.log


def test_a_missing_bucket_is_noticed_before_an_export_is_asked_for(requests_mock: Mocker, tmp_path: Path) -> None:
    run = sync(config("braze", bucket_url=f"file://{tmp_path}/nowhere"))
    assert run.exit_code == 10
    assert requests_mock.call_count == 0


def test_a_file_that_is_cut_ends_with_12_and_its_name_behind_the_whole_ones(
    requests_mock: Mocker, folder: Folder
) -> None:
    requests_mock.post(EXPORT_URL, json=ACCEPTED)
    folder.put("a.zip", "a")
    whole = folder.put("b.zip", "b").read_bytes()
    folder.put_bytes("b.zip", whole[:-10])
    run = sync(folder.settings())
    assert run.exit_code == 12
    assert "b.zip" in run.log
    assert ids(run) == ["a"]


def test_a_file_that_comes_after_the_quiet_time_is_an_error_and_read_by_the_next_run(
    requests_mock: Mocker, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests_mock.post(EXPORT_URL, json=ACCEPTED)
    folder.put("b.zip", "b")
    fetch = ObjectStore.fetch

    def with_latecomer(store: ObjectStore, wanted: Any) -> Any:
        folder.put("a.zip", "a")
        return fetch(store, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "fetch", with_latecomer)
        run = sync(folder.settings())
    assert run.exit_code == 12
    assert "bucket_quiet_seconds" in run.log
    again = sync(folder.settings(), state=run.states[-1])
    assert again.exit_code == 0
    assert ids(again) == ["a", "b"]
    assert requests_mock.call_count == 1


# After a crash


def interrupted(requests_mock: Mocker, folder: Folder, **settings: Any) -> Run:
    """Run until the third of four files turns out to be cut, then mend it."""
    requests_mock.post(EXPORT_URL, json=ACCEPTED)
    for name in "abcd":
        folder.put(f"{name}.zip", f"{name}1", f"{name}2")
    path = folder.put("c.zip", "c1", "c2")
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    run = sync({**folder.settings(), **settings})
    assert run.exit_code == 12
    assert ids(run) == ["a1", "a2", "b1", "b2"]
    path.write_bytes(whole)
    return run


def test_the_next_run_goes_on_with_the_next_file_of_the_same_export(requests_mock: Mocker, folder: Folder) -> None:
    again = sync(folder.settings(), state=interrupted(requests_mock, folder).states[-1])
    assert again.exit_code == 0
    assert ids(again) == ["c1", "c2", "d1", "d2"]
    assert requests_mock.call_count == 1
    assert again.states[-1]["bookmarks"]["braze_users"]["export"] is None


def test_streams_that_were_not_filled_make_the_next_run_ask_anew(requests_mock: Mocker, folder: Folder) -> None:
    state = interrupted(requests_mock, folder).states[-1]
    again = sync(folder.settings(), state=state, only={"braze_users", "braze_user_devices"})
    assert ids(again) == [f"{name}{number}" for name in "abcd" for number in (1, 2)]
    assert requests_mock.call_count == 2


def test_an_export_of_a_day_ago_is_asked_for_anew(requests_mock: Mocker, folder: Folder) -> None:
    state = interrupted(requests_mock, folder).states[-1]
    state["bookmarks"]["braze_users"]["export"]["expires_at"] = "2026-01-01T00:00:00Z"
    assert len(ids(sync(folder.settings(), state=state))) == 8
    assert requests_mock.call_count == 2


def test_no_row_of_an_earlier_run_is_dropped_by_a_run_that_went_on(requests_mock: Mocker, folder: Folder) -> None:
    versions = {"emit_activate_version_messages": True}
    state = interrupted(requests_mock, folder, **versions).states[-1]
    going_on = sync({**folder.settings(bucket_activate_version=True), **versions}, state=state)
    assert "ACTIVATE_VERSION" not in {message["type"] for message in going_on.messages}
    whole = sync({**folder.settings(bucket_activate_version=True), **versions}, state=going_on.states[-1])
    assert "ACTIVATE_VERSION" in {message["type"] for message in whole.messages}


def test_the_segment_of_an_interrupted_export_comes_first(requests_mock: Mocker, folder: Folder) -> None:
    state = interrupted(requests_mock, folder).states[-1]
    folder.put("z.zip", "z", segment="segment-0")
    again = sync(folder.settings(segment_ids=["segment-0", "segment-1"]), state=state)
    assert ids(again) == ["c1", "c2", "d1", "d2", "z"]


# Files that come after the quiet time, and what nothing proves


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return [text for text in texts if "came to the bucket after" in text]


def test_files_that_came_after_an_export_was_read_are_told_by_the_next_run(
    requests_mock: Mocker, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.post(EXPORT_URL, json=ACCEPTED)
    for segment in ("segment-1", "segment-2"):
        folder.put("a.zip", "a", segment=segment)
    settings = folder.settings(segment_ids=["segment-1", "segment-2"])
    first = sync(settings)
    assert first.states[-1]["bookmarks"]["braze_users"] == {
        "export": None,
        "finished_exports": {
            "segment-1": {"object_prefix": PREFIX, "files": 1},
            "segment-2": {"object_prefix": PREFIX, "files": 1},
        },
    }
    same = sync(settings, state=first.states[-1])
    assert warnings(caplog) == []
    folder.put("b.zip", "b", segment="segment-2")
    folder.put("c.zip", "c", segment="segment-2", day="2020-06-18")
    again = sync(settings, state=same.states[-1])
    (warning,) = warnings(caplog)
    assert "segment-2: 2 files" in warning
    assert "braze.bucket_quiet_seconds" in warning
    assert ids(again) == ["a", "a", "b", "c"]
    sync(settings, state=again.states[-1])
    assert warnings(caplog) == []
    assert requests_mock.call_count == 8


@pytest.mark.parametrize(
    "finished",
    [
        None,
        5,
        [],
        {},
        {"segment-1": None},
        {"segment-1": {"object_prefix": "..", "files": 0}},
        {"segment-1": {"object_prefix": PREFIX, "files": "x"}},
        {"other": {"object_prefix": PREFIX, "files": 0}},
    ],
)
def test_a_state_without_a_finished_export_warns_of_nothing(
    requests_mock: Mocker, folder: Folder, caplog: pytest.LogCaptureFixture, finished: object
) -> None:
    requests_mock.post(EXPORT_URL, json=ACCEPTED)
    folder.put("a.zip", "a")
    state = {"bookmarks": {"braze_users": {"export": None, "finished_exports": finished}}}
    assert ids(sync(folder.settings(), state=state)) == ["a"]
    assert warnings(caplog) == []


@pytest.mark.parametrize("may_activate", [False, True])
def test_what_was_read_from_a_bucket_activates_no_version_unless_the_settings_say_so(
    requests_mock: Mocker, folder: Folder, caplog: pytest.LogCaptureFixture, *, may_activate: bool
) -> None:
    requests_mock.post(EXPORT_URL, json=ACCEPTED)
    for segment in ("segment-1", "segment-2"):
        folder.put("a.zip", "a", segment=segment)
    settings = folder.settings(segment_ids=["segment-1", "segment-2"], bucket_activate_version=may_activate)
    with caplog.at_level("INFO"):
        run = sync({**settings, "emit_activate_version_messages": True}, only={"braze_users", "braze_user_devices"})
        assert sum(message["type"] == "ACTIVATE_VERSION" for message in run.messages) == may_activate
        assert caplog.text.count("braze.bucket_activate_version") == (not may_activate)
        caplog.clear()
        sync(settings)
    assert "bucket_activate_version" not in caplog.text


def test_what_was_read_by_url_activates_its_version_although_a_bucket_is_configured(
    requests_mock: Mocker, folder: Folder
) -> None:
    requests_mock.post(EXPORT_URL, json={**ACCEPTED, "url": "https://storage.test/canary.zip"})
    requests_mock.get("https://storage.test/canary.zip", content=zipped({"a": b'{"braze_id":"from the url"}'}))
    run = sync({**folder.settings(), "emit_activate_version_messages": True})
    assert "ACTIVATE_VERSION" in {message["type"] for message in run.messages}


def test_the_name_of_an_object_cannot_forge_a_line_of_the_log(folder: Folder) -> None:
    name = "x\n2026-01-01 | INFO | forged\x1b[31m\u202e"
    folder.put(f"{name}.zip", "a")
    folder.put_bytes(f"{name}y.zip", b"no archive")
    with LoopbackServer(cut(with_length(json.dumps(ACCEPTED).encode()))) as api:
        run = run_tap(folder.settings(base_url=api.url, bucket_quiet_seconds=0.1, poll_initial_seconds=0.05))
    assert run.exit_code == 12, run.log
    lines = run.log.split("\n")
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("2026-01-01 | INFO") for line in lines)
    assert sum("x\\n2026-01-01" in line for line in lines) >= 2


# The client


def test_a_client_that_is_not_installed_is_named_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_arguments: object, **_options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.url_to_fs", missing)
    for url, extra in (("s3://b", "s3"), ("gs://b", "gcs"), ("az://b", "azure")):
        with pytest.raises(SettingsError, match=f"its extra {extra}"):
            ObjectStore(url, {})


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [(TypeError, 10), (ValueError, 10), (FileNotFoundError, 10), (PermissionError, 11), (RuntimeError, 13)],
)
def test_no_text_of_a_client_is_passed_on(
    kind: type[Exception], exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise kind("canary")

    monkeypatch.setattr("fsspec.url_to_fs", fail)
    run = sync(config("braze", bucket_url="s3://bucket"))
    assert run.exit_code == exit_code
    assert "canary" not in run.log


def test_rights_for_the_one_folder_are_enough(
    requests_mock: Mocker, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(files: LocalFileSystem, path: str, **options: Any) -> Any:
        if "segment-export" not in path:
            raise PermissionError(path)
        return ls(files, path, **options)

    ls = LocalFileSystem.ls
    monkeypatch.setattr(LocalFileSystem, "ls", limited)
    folder.bucket().check()
    requests_mock.post(EXPORT_URL, json=ACCEPTED)
    folder.put("a.zip", "a")
    assert ids(sync(folder.settings())) == ["a"]


def test_a_bucket_that_refuses_ends_with_11_before_an_export_is_asked_for(
    requests_mock: Mocker, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_files: LocalFileSystem, path: str, **_options: Any) -> Any:
        raise PermissionError(path)

    monkeypatch.setattr(LocalFileSystem, "ls", refuse)
    run = sync(folder.settings())
    assert run.exit_code == 11
    assert str(folder.path) not in run.log
    assert requests_mock.call_count == 0
