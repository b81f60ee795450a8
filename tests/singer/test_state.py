"""Every form in which a state is handed over is read, anything else is refused, and all of it before a request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.singer.state import readable_bookmarks, state_in
from tap_cdp_export.windows import epoch_milliseconds, parse_time
from tests.helpers.configurations import END, PERSONALIZATION_URL, START, config
from tests.helpers.in_process import sync
from tests.helpers.running import run_tap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

STATE = {"bookmarks": {"users": {"replication_key_value": "2024-03-04T00:00:00.000Z"}}}


def as_line(state: Any) -> dict[str, Any]:
    return {"type": "STATE", "value": state}


def of_meltano(state: Any) -> dict[str, Any]:
    return {"singer_state": state}


@pytest.mark.parametrize(
    "wrap",
    [
        dict,
        as_line,
        of_meltano,
        lambda state: of_meltano(as_line(state)),
        lambda state: as_line(of_meltano(state)),
        lambda state: of_meltano(of_meltano(state)),
        lambda state: {**as_line(state), "time_extracted": "2024-03-04T00:00:00Z"},
    ],
    ids=["plain", "line", "Meltano's", "line in Meltano's", "Meltano's in a line", "Meltano's twice", "longer line"],
)
@pytest.mark.parametrize("state", [STATE, {}, {"bookmarks": {}}, {**STATE, "currently_syncing": None}])
def test_a_state_is_found_in_whatever_it_is_wrapped_in(
    state: dict[str, Any], wrap: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    assert state_in(wrap(state)) == state


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        [STATE],
        "bookmarks",
        5,
        True,
        {"bookmarks": None},
        {"bookmarks": []},
        {"users": {"replication_key_value": "x"}},
        {"completed": of_meltano(STATE)},
        {"value": STATE},
        {"type": "RECORD", "value": STATE},
        {"type": "STATE"},
        as_line(None),
        as_line([]),
        of_meltano(None),
        of_meltano("{}"),
        of_meltano({"users": {}}),
    ],
)
def test_what_is_no_state_is_refused_and_not_taken_for_none(given: Any) -> None:
    with pytest.raises(SettingsError, match="last STATE line"):
        state_in(given)


def test_a_wrapped_state_is_gone_on_from(requests_mock: Mocker) -> None:
    requests_mock.get(f"{PERSONALIZATION_URL}/api/dataset/engage/users.json", json=[])
    done = sync(config("personalization", statistics_days=0), state=of_meltano(as_line(STATE)), only={"users"})
    assert done.exit_code == 0
    assert requests_mock.request_history[0].qs["start"] == ["1709510400000"]


def test_a_file_that_holds_a_whole_state_line_is_read_and_another_is_refused() -> None:
    nobody = config("personalization", base_url="http://127.0.0.1:9")
    wrong = {"bookmarks": {"users": {"replication_key_value": "2999-01-01T00:00:00.000Z"}}}
    run = run_tap(nobody, state=as_line(of_meltano(wrong)))
    assert run.exit_code == 10
    assert "state of users lies in the future" in run.last_line
    run = run_tap(nobody, state={"users": {}})
    assert run.exit_code == 10
    assert "last STATE line" in run.last_line


# All of it is judged before the first request


EVERYTHING = {
    **config("personalization"),
    "apsis": config("apsis")["apsis"],
    "braze": config("braze")["braze"],
}
NOT_UNDERSTOOD: tuple[object, ...] = (
    None,
    5,
    "x",
    [],
    {"replication_key_value": "x"},
    {"replication_key_value": 5},
    {"replication_key_value": []},
    {"replication_key_value": "0001-01-01T00:00:00+14:00"},
    {"replication_key_value": 5, "partitions": None},
    {"replication_key_value": "", "partitions": [5]},
)


@pytest.mark.parametrize("entry", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_warned_of_and_read_anew(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, entry: object
) -> None:
    requests_mock.get(f"{PERSONALIZATION_URL}/api/dataset/engage/users.json", json=[])
    done = sync(config("personalization", statistics_days=0), state={"bookmarks": {"users": entry}}, only={"users"})
    assert done.exit_code == 0
    assert requests_mock.request_history[0].qs["start"] == [str(epoch_milliseconds(parse_time(START)))]
    assert [record.levelname for record in caplog.records if "STATE holds no" in record.getMessage()] == ["WARNING"]
    assert done.states[-1]["bookmarks"]["users"]["replication_key_value"] == END.replace("Z", ".000Z")


def test_what_is_nested_beyond_all_use_is_left_out_and_the_bookmark_stays(caplog: pytest.LogCaptureFixture) -> None:
    deep = json.loads("[" * 500 + "]" * 500)
    state = {"bookmarks": {"users": {"replication_key_value": START, "job": deep}}, "other": deep}
    assert readable_bookmarks(state) == {"bookmarks": {"users": {"replication_key_value": START}}}
    assert "STATE holds something about users" in caplog.text
    assert sync(config("personalization"), state=state, only=()).exit_code == 0  # the SDK writes STATE by recursion


@pytest.mark.parametrize("stream", ["users", "accounts", "apsis_events", "apsis_profiles"])
def test_a_bookmark_in_the_future_of_any_selected_stream_ends_the_run_before_a_request(
    requests_mock: Mocker, stream: str
) -> None:
    done = sync(EVERYTHING, state={"bookmarks": {stream: {"replication_key_value": "2999-01-01T00:00:00.000Z"}}})
    assert done.exit_code == 10
    assert stream in done.log
    assert requests_mock.call_count == 0
    assert done.messages == []


def test_the_state_of_a_stream_that_is_not_selected_is_not_judged_and_stays(requests_mock: Mocker) -> None:
    requests_mock.get(f"{PERSONALIZATION_URL}/api/dataset/engage/users.json", json=[])
    others = {name: {"replication_key_value": "x"} for name in ("accounts", "unknown")}
    done = sync(config("personalization"), state={"bookmarks": others}, only={"users"})
    assert done.exit_code == 0
    assert {name: done.states[-1]["bookmarks"][name] for name in others} == others


def test_a_start_that_is_missing_is_found_before_a_request(requests_mock: Mocker) -> None:
    done = sync({"apsis": EVERYTHING["apsis"], "braze": EVERYTHING["braze"]})
    assert done.exit_code == 10
    assert "start_date" in done.log
    assert requests_mock.call_count == 0


@pytest.mark.parametrize(("root", "error"), [("s3://b/x", ImportError("Install s3fs")), ("foo://b/x", None)])
def test_a_storage_of_batches_without_a_client_is_found_before_a_request(
    requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch, root: str, error: ImportError | None
) -> None:
    def missing(_protocol: str) -> None:
        raise error or AssertionError

    if error:
        monkeypatch.setattr("tap_cdp_export.singer.batch_files.fsspec.get_filesystem_class", missing)
    done = sync({**config("personalization"), "batch_config": {"storage": {"root": root}}})
    assert done.exit_code == 10
    assert "batch_config" in done.log
    assert requests_mock.call_count == 0


def test_a_bucket_without_a_client_is_found_before_a_request(
    requests_mock: Mocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_arguments: object, **_options: object) -> None:
        raise ImportError

    monkeypatch.setattr("tap_cdp_export.files.object_store.fsspec.url_to_fs", missing)
    done = sync({**config("personalization"), "braze": {**EVERYTHING["braze"], "bucket_url": f"file://{tmp_path}"}})
    assert done.exit_code == 10
    assert "extra" in done.log
    assert requests_mock.call_count == 0
