"""Members of segments: a series of pages for each, nothing of the users but their membership."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.configurations import PERSONALIZATION_URL, config
from tests.helpers.in_process import sync
from tests.vendors.personalization.test_streams import USER

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.helpers.running import Run

MEMBER = {**USER, "segmentJoined": 1359066698647, "segmentInputValues": {'Rule "with" quotes': "x"}, "brandNew": 1}
JOINED = "2013-01-24T22:31:38.647Z"

pytestmark = pytest.mark.usefixtures("clock")


class Vendor:
    """Answers with the members of segments, one user a page; 404 to a segment that a dataset does not have."""

    def __init__(self, mock: Mocker, members: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
        self.queries: list[dict[str, list[str]]] = []
        self._members = members
        for dataset in {dataset for dataset, _ in members}:
            mock.get(f"{PERSONALIZATION_URL}/api/dataset/{dataset}/users.json", content=self._answer)

    def _answer(self, request: Any, context: Any) -> bytes:
        dataset = request.path.split("/")[3]
        self.queries.append(request.qs)
        members = self._members.get((dataset, request.qs["filter"][0]))
        if members is None:
            context.status_code = 404
            return b"Segment not found"
        page = int(request.qs["page"][0])
        return json.dumps(members[page : page + 1]).encode()


def members_of(*segments: str, **changes: Any) -> Run:
    return sync(config("personalization", segments=[*segments], page_size=1, **changes), only={"user_segments"})


def test_a_member_becomes_this_record(requests_mock: Mocker) -> None:
    Vendor(requests_mock, {("engage", "vip & press"): [MEMBER]})
    run = members_of("vip & press")
    assert run.exit_code == 0, run.log
    assert run.records("user_segments") == [
        {
            "dataset_id": "engage",
            "segment": "vip & press",
            "name": "jo.bloggs@example.com",
            "segment_joined": JOINED,
            "segment_input_values": {'Rule "with" quotes': "x"},
            "extra": {"brandNew": 1},
        }
    ]


@pytest.mark.parametrize("maps", [{}, {"user_segments": {"__filter__": "bool(record)"}}])
def test_an_object_of_another_form_gives_the_same_columns(requests_mock: Mocker, maps: dict[str, Any]) -> None:
    odd = {**MEMBER, "attributes": [1], "displayName": 5, "segmentJoined": "soon", "name": 42}
    Vendor(requests_mock, {("engage", "a"): [odd]})
    run = sync({**config("personalization", segments=["a"], page_size=1), "stream_maps": maps}, only={"user_segments"})
    (row,) = run.records("user_segments")
    assert row["name"] == "42"
    assert row["segment_joined"] is None
    assert row["extra"] == {"segmentJoined": "soon", "brandNew": 1}


def test_each_segment_of_each_dataset_is_a_series_that_nothing_else_filters(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    datasets, segments = ["engage", "b2b"], ["a", "b"]
    members = {(dataset, segment): [MEMBER, {**MEMBER, "name": "x"}] for dataset in datasets for segment in segments}
    vendor = Vendor(requests_mock, members)
    run = members_of(*segments, dataset_ids=datasets, filter="f", segment_id="s", segmentation_id="t", include_geo=True)
    assert len({(row["dataset_id"], row["segment"], row["name"]) for row in run.records("user_segments")}) == 8
    expected = [
        {"filter": [segment], "page": [str(page)], "pagesize": ["1"]}
        for segment in segments
        for _ in datasets
        for page in range(3)
    ]
    assert vendor.queries == expected
    assert caplog.text.count("against the volume of the contract") == 1
    assert run.states[-1]["bookmarks"]["user_segments"].get("replication_key_value") is None


def test_a_segment_that_one_of_the_datasets_has_is_read(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    Vendor(requests_mock, {("engage", "a"): [MEMBER], ("b2b", "b"): [MEMBER]})
    settings = config("personalization", segments=["a", "b"], dataset_ids=["engage", "b2b"], page_size=1)
    run = sync({**settings, "emit_activate_version_messages": True}, only={"user_segments"})
    assert run.exit_code == 0, run.log
    rows = run.records("user_segments")
    assert [(row["dataset_id"], row["segment"]) for row in rows] == [("engage", "a"), ("b2b", "b")]
    assert caplog.text.count("another dataset knows the segment") == 2
    assert "ACTIVATE_VERSION" not in {message["type"] for message in run.messages}


def test_what_the_settings_name_twice_is_read_once(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock, {("engage", "a"): [MEMBER]})
    run = members_of("a", "a", dataset_ids=["engage", "engage"])
    assert len(run.records("user_segments")) == 1
    assert len(vendor.queries) == 2


def test_a_segment_that_no_dataset_has_ends_the_run_with_10(requests_mock: Mocker) -> None:
    Vendor(requests_mock, {("engage", "a"): [MEMBER], ("b2b", "a"): [MEMBER]})
    run = members_of("a", "nobody", dataset_ids=["engage", "b2b"])
    assert run.exit_code == 10
    assert "members of segment nobody of dataset engage" in run.last_line
    assert "Check dataset_ids, segments and extra_params" in run.last_line
    assert [row["segment"] for row in run.records("user_segments")] == ["a", "a"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "personalization.segments is missing"),
        ({"segments": []}, "personalization.segments must name at least one"),
        ({"segments": ["a", ""]}, "personalization.segments.1 is empty"),
        ({"segments": ["a"], "extra_params": {"filter": "b"}}, "holds filter, which would override the segments"),
    ],
)
def test_what_could_not_be_read_is_refused_before_the_first_request(
    requests_mock: Mocker, changes: dict[str, Any], reason: str
) -> None:
    run = sync(config("personalization", **changes), only={"user_segments"})
    assert run.exit_code == 10
    assert reason in run.last_line
    assert not requests_mock.request_history


def test_the_stream_is_offered_only_where_the_settings_name_it(requests_mock: Mocker) -> None:
    Vendor(requests_mock, {("engage", "a"): []})
    requests_mock.get(f"{PERSONALIZATION_URL}/api/dataset/engage/accounts.json", json=[])
    requests_mock.get(f"{PERSONALIZATION_URL}/api/dataset/engage/users.json", json=[])
    run = sync(config("personalization", segments=["a"]))
    assert {message["stream"] for message in run.messages if message["type"] == "SCHEMA"} == {"users", "accounts"}
