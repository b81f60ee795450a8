"""A job is saved in STATE without its secret; any other content there is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tap_cdp_export.jobs.job import ExportJob, ExportRequest
from tap_cdp_export.windows import Window
from tests.helpers.json_documents import VALUES

SECONDS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 -- bounds are naive by contract
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda time: time.replace(microsecond=0))
JOBS = st.builds(
    ExportJob,
    reference=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    digest=st.text("0123456789abcdef", min_size=1),
    asked_at=SECONDS,
    expires_at=SECONDS,
    window=st.none() | st.builds(Window, SECONDS, SECONDS),
)
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


@given(job=JOBS)
def test_a_job_is_read_from_state_unchanged(job: ExportJob) -> None:
    assert ExportJob.from_state(json.loads(json.dumps(job.to_state()))) == job


def test_the_secret_of_a_job_is_neither_in_state_nor_in_its_repr() -> None:
    job = ExportJob({"segment_id": "s"}, "d", NOON, NOON, secret="https://storage.example/canary")
    assert "canary" not in json.dumps(job.to_state())
    assert "canary" not in repr(job)
    assert ExportJob.from_state(job.to_state()).secret is None


@given(
    state=VALUES
    | st.dictionaries(
        st.sampled_from(["handle", "digest", "asked_at", "expires_at", "window_start", "window_end"]), VALUES
    )
)
@example(state={"handle": {}, "digest": "d", "asked_at": "0001-01-01T00:00:00+14:00", "expires_at": "2024-03-01"})
@example(
    state={
        "handle": {},
        "digest": "d",
        "asked_at": "2024-03-01",
        "expires_at": "2024-03-01",
        "window_start": "2024-03-01",
    }
)
def test_any_other_state_is_a_value_error_and_nothing_else(state: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        ExportJob.from_state(state)


def test_a_job_without_a_version_matches_its_request() -> None:
    original = ExportRequest("subject", {"a": 1}, origin={"base_url": "https://api.test"})
    state = ExportJob({}, original.first_digest, NOON, NOON.replace(year=9000)).to_state()
    del state["version"]
    first = ExportJob.from_state(state)
    assert first.version == 0
    assert first.matches(original)
    assert ExportJob.from_state(first.with_file_done("file").to_state()).matches(original)
    assert not first.matches(ExportRequest("subject", {"a": 2}))


@pytest.mark.parametrize("version", [2, 99, -1, "1", None, [], 0.5])
def test_a_job_of_an_unknown_version_is_not_read(version: object) -> None:
    state = {**ExportJob({}, "d", NOON, NOON).to_state(), "version": version}
    with pytest.raises(ValueError, match="version"):
        ExportJob.from_state(state)


@pytest.mark.parametrize(
    "change", [{"base_url": "https://other.test"}, {"client": "other"}, {"lookback": 1}, {"more": None}]
)
def test_a_job_matches_a_request_of_the_same_origin_only(change: dict[str, Any]) -> None:
    origin = {"base_url": "https://api.test", "client": "one", "lookback": 0}
    job = ExportJob({}, ExportRequest("subject", {}, origin=origin).digest, NOON, NOON.replace(year=9000))
    assert job.matches(ExportRequest("subject", {}, origin=dict(reversed(origin.items()))))
    assert not job.matches(ExportRequest("subject", {}, origin={**origin, **change}))


def request(parameters: dict[str, Any], *, hours: int = 1) -> ExportRequest:
    return ExportRequest("subject", parameters, Window(NOON, NOON + timedelta(hours=hours)))


def test_a_digest_does_not_depend_on_the_order_of_parameters_or_on_the_window() -> None:
    one = request({"a": [1, {"x": 1, "y": 2}], "b": 2})
    other = request({"b": 2, "a": [1, {"y": 2, "x": 1}]}, hours=2)
    assert one.digest == other.digest


@given(
    one=st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
    other=st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
)
def test_a_digest_changes_with_the_parameters(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert request(one).digest == request(dict(reversed(one.items()))).digest
    if one != other:
        assert request(one).digest != request(other).digest


def test_the_order_inside_a_list_of_parameters_counts() -> None:
    assert request({"a": [1, 2]}).digest != request({"a": [2, 1]}).digest
