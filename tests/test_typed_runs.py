"""The fast way gives what the tolerant way gives, or leaves the run to it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.personalization.schemas import OWN, USERS
from tap_cdp_export.records import RecordShape, camel_case
from tap_cdp_export.typed_runs import TypedRuns

OWN_VALUES = {"dataset_id": "d", "window_start": "2026-01-01T00:00:00.000Z", "window_end": "2026-01-02T00:00:00.000Z"}
SHAPE = RecordShape(USERS, own=OWN, spell=camel_case)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
times = st.none() | st.integers(-(10**11), 10**14)
fitting = {
    "displayName": st.none() | st.text(),
    "accountName": st.none() | st.text(),
    "engagementScore": st.none() | st.floats(0, 2) | st.integers(0, 2),
    "firstActivity": times,
    "lastActivity": times,
    "totalActions": st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
    "attributes": st.none() | st.dictionaries(st.text(), anything, max_size=3),
    "segments": st.none() | st.lists(st.text(), max_size=3),
    "somethingNew": anything,
}
users = st.fixed_dictionaries({"name": st.text()}, optional=fitting)
odd_users = st.fixed_dictionaries({"name": st.text()}, optional=dict.fromkeys([*fitting, "dataset_id"], anything))


def fast(selected: set[str] | None = None) -> TypedRuns:
    return TypedRuns(USERS, own=OWN_VALUES, required="name", selected=lambda name: selected is None or name in selected)


def tolerant(objects: list[dict[str, Any]], selected: set[str] | None = None) -> list[dict[str, Any]]:
    records = [SHAPE.record(fields, OWN_VALUES) for fields in objects]
    return [{n: v for n, v in record.items() if selected is None or n in selected} for record in records]


def encoded(objects: list[dict[str, Any]], *, indent: int | None = None, ascii_only: bool = False) -> bytes:
    return json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


def rows(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


@given(objects=st.lists(users, max_size=4), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_ordinary_runs_give_the_records_of_the_tolerant_way(
    *, objects: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    typed = fast()
    typed.learn([{"somethingNew": None}])
    try:
        lines = typed.array(encoded(objects, indent=indent, ascii_only=ascii_only))
    except (msgspec.ValidationError, UnicodeDecodeError):
        return
    assert lines.number == len(objects)
    assert rows(lines.data) == tolerant(objects)
    assert [list(row) for row in rows(lines.data)] == [list(record) for record in tolerant(objects)]


@given(st.lists(odd_users, max_size=3))
def test_whatever_comes_is_given_rightly_or_left_to_the_tolerant_way(objects: list[dict[str, Any]]) -> None:
    typed = fast()
    typed.learn(objects)
    try:
        lines = typed.array(encoded(objects))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assert rows(lines.data) == tolerant(objects)


@given(st.lists(users, min_size=1, max_size=3), st.sets(st.sampled_from(sorted(USERS["properties"]))))
def test_the_selection_of_columns_applies(objects: list[dict[str, Any]], selected: set[str]) -> None:
    typed = fast(selected)
    typed.learn([{"somethingNew": None}])
    try:
        lines = typed.array(encoded(objects))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assert rows(lines.data) == tolerant(objects, selected)


def test_a_field_not_met_before_is_left_to_the_tolerant_way_once() -> None:
    typed = fast()
    run = encoded([{"name": "a", "new": {"x": [1.50, {}]}}, {"name": "b"}])
    with pytest.raises(msgspec.ValidationError):
        typed.lines(run)
    typed.learn([{"name": "a", "new": 1}])
    assert [row["extra"] for row in rows(typed.lines(run).data)] == [{"new": {"x": [1.5, {}]}}, None]


@pytest.mark.parametrize(
    "user",
    [
        b'{"name": 5}',
        b'{"displayName": "no name"}',
        b'{"name": "a", "totalActions": "7"}',
        b'{"name": "a", "totalActions": 9223372036854775808}',
        b'{"name": "a", "firstActivity": 1e12}',
        b'{"name": "a", "firstActivity": 999999999999999999}',
        b'{"name": "a", "attributes": []}',
        b'{"name": "a", "segments": ["x", 5]}',
        b'{"name": "a\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a", "attributes": {"x": "\\uDFFF"}}',
        b'{"name": "a", "attributes": ' + b'{"x":' * 150 + b"1" + b"}" * 150 + b"}",
    ],
)
def test_what_only_the_tolerant_way_can_judge_is_left_to_it(user: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        fast().lines(b"[" + user + b"]")


@pytest.mark.parametrize(
    "run", [b'[{"name": "a"}', b'[{"name": "a"}]]', b'[{"name": NaN}]', b'[{"name": "\xff"}]', b"[1]"]
)
def test_a_run_that_is_no_whole_json_is_refused(run: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        fast().lines(run)


def test_an_empty_object_inside_is_not_taken_for_an_empty_extra() -> None:
    (row,) = rows(fast().lines(b'[{"name": "a", "attributes": {"extra":{}}}]').data)
    assert row["attributes"] == {"extra": {}}
    assert row["extra"] is None
    typed = fast()
    typed.learn([{"extra": 1}])
    (row,) = rows(typed.lines(b'[{"name": "a", "extra": {}}]').data)
    assert row["extra"] == {"extra": {}}
