"""A long profile becomes the same records as a short one, a part at a time."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tap_cdp_export.records import free_form
from tap_cdp_export.vendors.apsis import file_decoder, section_attributes
from tap_cdp_export.vendors.apsis.attribute_columns import AttributeColumns
from tap_cdp_export.vendors.apsis.definitions import Definition
from tap_cdp_export.vendors.apsis.export_file import KnownIds
from tap_cdp_export.vendors.apsis.file_decoder import ExportFileDecoder
from tap_cdp_export.vendors.apsis.schemas import EVENTS, PROFILES
from tap_cdp_export.vendors.apsis.section_attributes import separate
from tests.helpers.outputs import Output

if TYPE_CHECKING:
    from tap_cdp_export.vendors.apsis.definitions import Definitions, Section

TAP_COLUMNS = {"window_start": "2026-01-01T00:00:00.000Z", "window_end": "2026-01-02T00:00:00.000Z"}


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"typeId": 7, "createdAt": 10**12 + number, "data": {"n": number, "text": "x" * 50}, **more}


USUAL = {
    "1187": {"attributes": {"1": {"value": None}, "2": {"value": "x" * 200}}, "events": [*map(event, range(700))]},
    "1188": {"events": [*map(event, range(250))]},
    "1189": {"attributes": {"3": {"value": None}}},
    "1190": {"attributes": None, "events": None},
}
MANY = {
    "2000": {
        "attributes": {
            f"{number}-\u00e5\U0001f600": {"value": choice}
            for number, choice in enumerate([None, "text\n\U0001f600", 1.5e300, {"a": [None]}, True] * 2_000)
        }
        | {"1": {"value": None}, "2": {"value": "wanted"}, "3": {"value": None}}
    }
}
PROFILES_OF_ALL_KINDS = {
    "usual": USUAL,
    "an odd event": {**USUAL, "1188": {"events": [event(1), event(2, topic="t"), event(3, createdAt="soon")]}},
    "an odd section": {**USUAL, "1188": {"topics": [1], "events": [event(1)]}},
    "a NUL": {**USUAL, "1188": {"events": [event(1, correlationId="\0")]}},
    "no events": {"1187": {"attributes": {str(number): {"value": number} for number in range(5_000)}}},
    "no sections": None,
    "no sections in it": {},
    "many attributes, tags and events": {**MANY, **USUAL, "": MANY["2000"]},
    "an odd attribute": {"2000": {"attributes": {**MANY["2000"]["attributes"], "odd": {"value": 1, "history": []}}}},
    "an odd value": {"2000": {"attributes": {**MANY["2000"]["attributes"], "odd": 1}}},
    "a number out of range": {"2000": {"attributes": {**MANY["2000"]["attributes"], "large": {"value": 10**400}}}},
    "attributes in a list": {"2000": {"attributes": {"1": {"value": [{"value": 1}] * 3_000}}}},
    "tags in all their forms": {"s": {"attributes": {"1": {}, "2": {"value": True}, "3": {"value": True}, "4": {}}}},
    "a section of null": {"s": None, "t": {"events": [event(1)]}},
}


class _Definitions:
    """Two attributes and a tag."""

    def of_kind(self, kind: str) -> list[Definition]:
        section = cast("Section", SimpleNamespace(discriminator="s"))
        ids = {"attributes": "24", "tags": "3"}[kind]
        return [Definition.of(section, {"name": f"Name {one}", "versions": [{"id": one}]}) for one in ids]


COLUMNS = AttributeColumns.read(cast("Definitions", _Definitions()), attributes={"2", "4"}, tags={"3"})


def records(chunk: bytes, streams: str) -> tuple[list[Any], list[Any], int]:
    with_profiles, with_events = "p" in streams, "e" in streams
    decoder = ExportFileDecoder(
        TAP_COLUMNS, COLUMNS, KnownIds({"1"}, {"2"}), with_profiles=with_profiles, with_events=with_events
    )
    parts = list(decoder.decode(chunk))
    assert {*map(len, parts)} == {with_profiles + with_events}
    names = [*PROFILES["properties"], *COLUMNS.names]
    profiles = Output(names).rows(part[0] for part in parts) if with_profiles else []
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
    monkeypatch.setattr(file_decoder, "_LONG_ATTRIBUTES_BYTES", 1)
    monkeypatch.setattr(free_form, "LONG_BYTES", 20)
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


def test_attributes_of_a_long_section_are_never_whole_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []

    def separated(entries: Any, ids: Any) -> Any:
        pieces.append(len(entries))
        return separate(entries, ids)

    monkeypatch.setattr(section_attributes, "separate", separated)
    entries = {str(number): {"value": "x" * 50} for number in range(50_000)}
    profiles, _, _ = records(json.dumps({"key": {"sections": {"1": {"attributes": entries}}}}).encode(), "p")
    assert profiles[0]["attributes"] == {name: entry["value"] for name, entry in entries.items()}
    assert max(pieces) < 5_000


@pytest.mark.parametrize("distance", [0, 20_000])
def test_an_attribute_that_comes_twice_in_a_long_section_has_its_last_value(distance: int) -> None:
    names = [*map(str, range(25_000))]
    names.insert(distance + 4, "3")
    entries = b",".join(b'"%b":{"value":"%050d"}' % (name.encode(), place) for place, name in enumerate(names))
    profiles, _, _ = records(b'{"key":{"sections":{"1":{"attributes":{%b}}}}}' % entries, "p")
    assert profiles[0]["attributes"]["3"] == f"{distance + 4:050d}"
    assert len(profiles[0]["attributes"]) == 25_000
