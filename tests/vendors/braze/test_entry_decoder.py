"""Entries that are decoded together become the records that they become one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.records.batch import RecordBatch, whole_records
from tap_cdp_export.vendors.braze import entry_streams
from tap_cdp_export.vendors.braze.entry_decoder import EntryDecoder
from tap_cdp_export.vendors.braze.entry_lists import ListReader, Lists
from tap_cdp_export.vendors.braze.user_decoder import BlockDecoder
from tests.helpers.json_documents import VALUES
from tests.vendors.braze.test_entries import TABLES

TABLE_CLASSES = {
    one.name: one  # type: ignore[misc]
    for one in vars(entry_streams).values()
    if isinstance(one, type) and issubclass(one, entry_streams.BrazeUserEntries) and "name" in vars(one)
}


def entries(table: str) -> st.SearchStrategy[Any]:
    """Give entries most of whose fields are as documented."""
    _, _, sample = TABLES[table]
    fields = {name: st.one_of(st.just(value), st.none(), VALUES) for name, value in sample.items()}
    return st.one_of(st.fixed_dictionaries({}, optional={**fields, "new": VALUES}), VALUES)


def records_of(batches: list[RecordBatch]) -> list[dict[str, Any]]:
    return [record for batch in batches for record in whole_records(batch)]


@pytest.mark.parametrize("table", TABLE_CLASSES)
@given(data=st.data())
def test_encoded_lists_give_the_records_of_decoded_ones(table: str, data: st.DataObject) -> None:
    stream = TABLE_CLASSES[table]
    inner = st.one_of(st.lists(entries(table), max_size=4), VALUES)
    canvas = st.fixed_dictionaries(
        {}, optional={"api_canvas_id": st.sampled_from(["c", "", None, 5]), "steps_received": inner}
    )
    lists = st.lists(canvas, max_size=3) if stream.inner else inner
    users = [
        {"braze_id": f"user-{number}", stream.field: value}
        for number, value in enumerate(data.draw(st.lists(lists, max_size=3)))
    ]
    lines = [json.dumps(user, ensure_ascii=False).encode() for user in users]
    reader = ListReader("braze_id", [stream.field], required=True)
    selected = stream.columns["properties"]
    expected = EntryDecoder("s", stream, selected).batches_of(reader.decoded(users))
    found = BlockDecoder([EntryDecoder("s", stream, selected)]).decode(b"\n".join(lines)) if lines else []
    assert records_of([batch for (batch,) in found]) == records_of(list(expected))


def test_a_long_list_comes_in_parts_that_number_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_cdp_export.vendors.braze.entry_decoder._ENTRIES_AT_ONCE", 2)
    decoder = EntryDecoder("s", entry_streams.BrazeUserDevices, ["device_id"])
    lists = ListReader("braze_id", ["devices"], required=True).decoded(
        [{"braze_id": "a", "devices": [{"device_id": "x"}] * 3}, {"braze_id": "b", "devices": [{"device_id": "x"}] * 2}]
    )
    batches = list(decoder.batches_of(lists))
    assert [batch.number for batch in batches] == [2, 2, 1]
    assert [(row["braze_id"], row["occurrence"]) for row in records_of(batches)] == [
        ("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2),
    ]  # fmt: skip


@pytest.mark.parametrize("spelled", ["devices", "device\\u0073", "d\\u0065vices"])
def test_a_list_that_comes_twice_is_never_read_as_one(spelled: str) -> None:
    line = f'{{"braze_id":"a","devices":[1],"{spelled}":[2]}}'.encode()
    decoder = EntryDecoder("s", entry_streams.BrazeUserDevices, ["device_id", "extra"])
    found = records_of([batch for (batch,) in BlockDecoder([decoder]).decode(line)])
    assert [row["extra"] for row in found] == [{"devices": 1}, {"devices": 2}]


def test_no_objects_have_no_entries() -> None:
    assert ListReader("braze_id", ["apps"], required=True).encoded([]) == Lists([], {"apps": []})
