"""A long profile becomes the same records as a short one, a part at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tap_cdp_export.vendors.apsis import file_decoder
from tap_cdp_export.vendors.apsis.attribute_columns import AttributeColumns
from tap_cdp_export.vendors.apsis.export_file import KnownIds
from tap_cdp_export.vendors.apsis.file_decoder import ExportFileDecoder
from tap_cdp_export.vendors.apsis.schemas import EVENTS, PROFILES
from tests.helpers.outputs import Output

TAP_COLUMNS = {"window_start": "2026-01-01T00:00:00.000Z", "window_end": "2026-01-02T00:00:00.000Z"}


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"typeId": 7, "createdAt": 10**12 + number, "data": {"n": number, "text": "x" * 50}, **more}


USUAL = {
    "1187": {"attributes": {"1": {"value": None}, "2": {"value": "x" * 200}}, "events": [*map(event, range(700))]},
    "1188": {"events": [*map(event, range(250))]},
    "1189": {"attributes": {"3": {"value": None}}},
    "1190": {"attributes": None, "events": None},
}
PROFILES_OF_ALL_KINDS = {
    "usual": USUAL,
    "an odd event": {**USUAL, "1188": {"events": [event(1), event(2, topic="t"), event(3, createdAt="soon")]}},
    "an odd section": {**USUAL, "1188": {"topics": [1], "events": [event(1)]}},
    "a NUL": {**USUAL, "1188": {"events": [event(1, correlationId="\0")]}},
    "no events": {"1187": {"attributes": {str(number): {"value": number} for number in range(5_000)}}},
    "no sections": None,
    "tags in all their forms": {"s": {"attributes": {"1": {}, "2": {"value": True}, "3": {"value": True}, "4": {}}}},
    "a section of null": {"s": None, "t": {"events": [event(1)]}},
}


def records(chunk: bytes, streams: str) -> tuple[list[Any], list[Any], int]:
    with_profiles, with_events = "p" in streams, "e" in streams
    decoder = ExportFileDecoder(
        TAP_COLUMNS, AttributeColumns(), KnownIds({"1"}, {"2"}), with_profiles=with_profiles, with_events=with_events
    )
    parts = list(decoder.decode(chunk))
    assert {*map(len, parts)} == {with_profiles + with_events}
    profiles = Output(PROFILES["properties"]).rows(part[0] for part in parts) if with_profiles else []
    events = Output(EVENTS["properties"]).rows(part[-1] for part in parts) if with_events else []
    return profiles, events, max(part[-1].number for part in parts)


@pytest.mark.parametrize("sections", PROFILES_OF_ALL_KINDS.values(), ids=PROFILES_OF_ALL_KINDS)
@pytest.mark.parametrize("streams", ["p", "e", "pe"])
def test_a_long_profile_becomes_the_same_records(
    monkeypatch: pytest.MonkeyPatch, sections: dict[str, Any] | None, streams: str
) -> None:
    run = json.dumps({"key": {"sections": sections}}).encode()
    at_once = records(run, streams)
    monkeypatch.setattr(file_decoder, "_LONG_BYTES", 5_000)
    monkeypatch.setattr(file_decoder, "_EVENTS_AT_ONCE", 100)
    in_parts = records(run, streams)
    assert in_parts[:2] == at_once[:2]
    if sections is USUAL and "e" in streams:
        assert (at_once[2], in_parts[2]) == (950, 100)


def test_a_section_of_a_long_profile_that_comes_twice_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ({"events": [*map(event, numbers)]} for numbers in (range(100), range(100, 200)))
    run = b'{"key":{"sections":{"1187":%b,"1187":%b}}}' % (json.dumps(first).encode(), json.dumps(second).encode())
    monkeypatch.setattr(file_decoder, "_LONG_BYTES", 5_000)
    _, events, _ = records(run, "pe")
    assert [row["data"]["n"] for row in events] == [*range(200)]
