"""Profiles and events of the export file: flattened without losing anything, and distinguished by stable keys."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk import typing as th

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.files.json_chunks import read_verified_chunks
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.vendors.apsis.attribute_columns import AttributeColumns
from tap_cdp_export.vendors.apsis.export_file import (
    PROFILES as FILE,
)
from tap_cdp_export.vendors.apsis.export_file import (
    KnownIds,
    event_records,
    identifier,
    named_identifiers,
    profile_records,
    profiles_of,
    verify_file,
)
from tap_cdp_export.vendors.apsis.file_decoder import ExportFileDecoder
from tap_cdp_export.vendors.apsis.schemas import EVENTS, PROFILES
from tests.helpers.json_documents import OBJECTS, VALUES
from tests.helpers.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

KEY = "b7f0c2f4-5a3e-4b0c-8f51-2f6d5c1a9e10"
TAP_COLUMNS = {"window_start": "2024-03-01T00:00:00.000Z", "window_end": "2024-03-08T00:00:00.000Z"}
EVENT = {
    "correlationId": "0d6c",
    "sourceEventTime": 1709287200000,
    "typeId": "550002",
    "createdAt": 1709287200900,
    "data": {"url": "https://example.com/"},
}
PROFILE = {
    "sections": {
        "1187": {
            "attributes": {
                "9820534": {"value": "john.doe@example.com"},
                "9820540": {"value": 46287917256},
                "9820541": {"value": True},
                "312460234": {"value": None},
            },
            "events": [EVENT],
        }
    }
}


def profiles(
    profile: dict[str, Any], known: AbstractSet[str] = frozenset(), tags: AbstractSet[str] = frozenset()
) -> list[dict[str, Any]]:
    return list(profile_records(KEY, copy.deepcopy(profile), TAP_COLUMNS, KnownIds(known, tags)))


def events(*given_events: Any, section: str = "1187", key: str = KEY) -> list[dict[str, Any]]:
    profile = {"sections": {section: {"events": copy.deepcopy(list(given_events))}}}
    return list(event_records(key, profile, TAP_COLUMNS))


def event_key(event: dict[str, Any], **where: str) -> str:
    (record,) = events(event, **where)
    key = record["event_key"]
    assert isinstance(key, str)
    return key


def in_section(**section: Any) -> dict[str, Any]:
    return {"sections": {"1": section}}


# Profiles


def test_the_vendors_sample_profile_becomes_this_record() -> None:
    assert profiles(PROFILE) == [
        {
            "profile_key": KEY,
            "section_id": "1187",
            "attributes": {"9820534": "john.doe@example.com", "9820540": 46287917256, "9820541": True},
            "tags": ["312460234"],
            **TAP_COLUMNS,
            "extra": None,
        }
    ]


def test_every_section_gives_a_record_of_its_own() -> None:
    profile = {
        "sections": {"1": {"attributes": {"a": {"value": 1}}}, "2": {"attributes": {"a": {"value": 2}}}, "3": {}}
    }
    records = [(record["section_id"], record["attributes"]) for record in profiles(profile)]
    assert records == [("1", {"a": 1}), ("2", {"a": 2}), ("3", {})]


@pytest.mark.parametrize("profile", [{}, {"sections": {}}, {"sections": None}])
def test_a_profile_without_sections_gives_one_record_whose_section_is_a_dash(profile: dict[str, Any]) -> None:
    (record,) = profiles(profile)
    assert (record["profile_key"], record["section_id"]) == (KEY, "-")
    assert (record["attributes"], record["tags"]) == ({}, [])


def test_a_null_is_a_tag_unless_its_id_is_known_to_be_an_attributes() -> None:
    profile = in_section(attributes={"attribute": {"value": None}, "tag": {"value": None}})
    (record,) = profiles(profile, {"attribute"})
    assert record["attributes"] == {"attribute": None}
    assert record["tags"] == ["tag"]


@pytest.mark.parametrize("entry", [{}, None, {"value": None}])
def test_a_tag_may_come_without_its_null_and_a_known_attribute_is_then_null(entry: object) -> None:
    profile = {"sections": {"1": {"attributes": {"7": entry}}}}
    (unknown,), (known,) = profiles(profile), profiles(profile, {"7"})
    assert (unknown["tags"], unknown["attributes"], unknown["extra"]) == (["7"], {}, None)
    assert (known["tags"], known["attributes"], known["extra"]) == ([], {"7": None}, None)


def test_true_is_a_tag_only_where_its_id_is_known_as_a_tags_alone() -> None:
    profile = {"sections": {"1": {"attributes": {"7": {"value": True}, "8": True}}}}
    (tagged,) = profiles(profile, tags={"7", "8"})
    assert (tagged["tags"], tagged["attributes"], tagged["extra"]) == (["7", "8"], {}, None)
    for known in ({"7", "8"}, frozenset[str]()):
        (row,) = profiles(profile, known, known)
        assert (row["tags"], row["attributes"], row["extra"]) == ([], {"7": True}, {"attributes": {"8": True}})


def test_an_entry_without_a_value_but_with_other_fields_is_no_tag_unless_its_id_is_known() -> None:
    profile = {"sections": {"1": {"attributes": {"7": {"val": 1}}}}}
    rows = [*profiles(profile), *profiles(profile, {"7"}), *profiles(profile, tags={"7"})]
    assert [(row["attributes"], row["tags"]) for row in rows] == [({}, []), ({"7": None}, []), ({}, ["7"])]
    assert [row["extra"] for row in rows] == [{"attributes": {"7": {"val": 1}}}] * 3


def test_a_section_of_null_is_an_empty_one() -> None:
    assert profiles({"sections": {"1": None}}) == profiles({"sections": {"1": {}}})
    assert list(event_records(KEY, {"sections": {"1": None}}, TAP_COLUMNS)) == []


def test_attribute_values_of_any_type_stay_as_they_are() -> None:
    value = {"street": "Storgatan 1", "city": "Malmö", "postCode": "211 42"}
    (record,) = profiles(in_section(attributes={"address": {"value": value}, "big": {"value": 2**70}}))
    assert record["attributes"] == {"address": value, "big": 2**70}


def test_what_the_vendor_may_add_one_day_is_kept_in_extra() -> None:
    profile = {
        "profileKeys": {"email": "x"},
        "sections": {"1": {"attributes": {"a": {"value": 1, "history": [0]}, "b": "odd"}, "topics": [1], "events": []}},
    }
    (record,) = profiles(profile)
    assert record["attributes"] == {"a": 1}
    assert record["extra"] == {
        "profileKeys": {"email": "x"},
        "topics": [1],
        "attributes": {"a": {"history": [0]}, "b": "odd"},
    }


ENTRIES = st.dictionaries(
    st.text(max_size=4), VALUES | st.fixed_dictionaries({"value": VALUES}, optional={"history": VALUES}), max_size=6
)


@given(entries=ENTRIES, known=st.sets(st.text(max_size=4)), section=OBJECTS, profile=OBJECTS)
def test_nothing_of_a_profile_is_dropped(
    entries: dict[str, Any], known: set[str], section: dict[str, Any], profile: dict[str, Any]
) -> None:
    section = {**section, "attributes": entries, "events": []}
    profile = {**profile, "sections": {"1": section}}
    (record,) = profiles(profile, known)
    extra = record["extra"] or {}
    for name, entry in entries.items():
        fields = {} if entry is None else entry
        if not isinstance(fields, dict) or (fields and "value" not in fields and name not in known):
            assert extra["attributes"][name] == entry
        elif fields.get("value") is None and name not in known:
            assert name in record["tags"]
        else:
            assert record["attributes"][name] == fields.get("value")
        if isinstance(entry, dict) and "history" in entry:
            assert extra["attributes"][name]["history"] == entry["history"]
    for name in set(section) - {"attributes", "events"}:
        assert extra[name] == section[name]
    for name in set(profile) - {"sections"} - set(section):
        assert extra[name] == profile[name]
    errors = [error.message for error in th.DEFAULT_JSONSCHEMA_VALIDATOR(PROFILES).iter_errors(record)]
    assert errors == []


@pytest.mark.parametrize(
    "profile",
    [
        {"sections": ["canary"]},
        {"sections": "canary"},
        {"sections": {"1": ["canary"]}},
        {"sections": {"1": False}},
        {"sections": {"1": {"attributes": ["canary"]}}},
        {"sections": {"1": {"attributes": "canary"}}},
    ],
)
def test_a_profile_of_another_shape_is_an_error_that_does_not_quote_it(profile: dict[str, Any]) -> None:
    with pytest.raises(UnusableAnswer) as failure:
        profiles(profile)
    assert "canary" not in str(failure.value)


# Events


def test_the_vendors_sample_event_becomes_this_record() -> None:
    (record,) = event_records(KEY, copy.deepcopy(PROFILE), TAP_COLUMNS)
    assert len(record.pop("event_key")) >= 32
    assert record == {
        "profile_key": KEY,
        "section_id": "1187",
        "type_id": "550002",
        "correlation_id": "0d6c",
        "source_event_time": "2024-03-01T10:00:00.000Z",
        "created_at": "2024-03-01T10:00:00.900Z",
        "data": {"url": "https://example.com/"},
        **TAP_COLUMNS,
        "extra": None,
    }


@pytest.mark.parametrize("section", [{}, {"events": None}, {"events": []}])
def test_a_section_without_events_gives_none(section: dict[str, Any]) -> None:
    assert list(event_records(KEY, {"sections": {"1": section}}, TAP_COLUMNS)) == []


def test_an_unknown_source_time_is_null_and_not_1970() -> None:
    (record,) = events({**EVENT, "sourceEventTime": 0})
    assert record["source_event_time"] is None
    assert record["extra"] is None


def test_ids_are_texts_whether_the_vendor_sends_texts_or_numbers() -> None:
    (record,) = events({**EVENT, "typeId": 550002, "correlationId": 17})
    assert (record["type_id"], record["correlation_id"]) == ("550002", "17")
    assert event_key({**EVENT, "typeId": 550002}) == event_key(EVENT)


def test_what_an_event_may_hold_one_day_is_kept_in_extra() -> None:
    (record,) = events({**EVENT, "channel": "email", "data": ["list"], "createdAt": "soon"})
    assert record["extra"] == {"channel": "email", "data": ["list"], "createdAt": "soon"}
    assert record["data"] is None


@given(event=OBJECTS, known=st.fixed_dictionaries({}, optional=dict.fromkeys(EVENT, VALUES)))
def test_every_event_of_any_shape_is_as_the_schema_says(event: dict[str, Any], known: dict[str, Any]) -> None:
    (record,) = events({**event, **known})
    errors = [error.message for error in th.DEFAULT_JSONSCHEMA_VALIDATOR(EVENTS).iter_errors(record)]
    assert errors == []
    for name in set(event) - set(EVENT):
        assert record["extra"][name] == event[name]


@pytest.mark.parametrize("bad", [[None], ["canary"], [[EVENT]], "canary", {"a": EVENT}])
def test_events_of_another_shape_are_an_error_that_does_not_quote_them(bad: object) -> None:
    with pytest.raises(UnusableAnswer) as failure:
        list(event_records(KEY, {"sections": {"1": {"events": bad}}}, TAP_COLUMNS))
    assert "canary" not in str(failure.value)


# Event keys


def test_exact_copies_of_an_event_fall_together() -> None:
    one, other = events(EVENT, dict(reversed(EVENT.items())))
    assert one == other


def test_a_retry_that_arrived_at_another_time_is_an_event_of_its_own() -> None:
    assert event_key(EVENT) != event_key({**EVENT, "createdAt": 1709287200901})


@pytest.mark.parametrize(
    "change",
    [
        {"correlationId": "0d6d"},
        {"correlationId": None},
        {"sourceEventTime": 0},
        {"sourceEventTime": 1},
        {"typeId": "550003"},
        {"data": {"url": "https://example.com/", "more": None}},
        {"data": {}},
        {"new": 1},
    ],
)
def test_everything_that_tells_two_events_apart_is_in_the_key(change: dict[str, Any]) -> None:
    assert event_key(EVENT) != event_key({**EVENT, **change})


def test_the_same_event_of_another_profile_or_section_has_another_key() -> None:
    keys = {event_key(EVENT), event_key(EVENT, section="1188"), event_key(EVENT, key="other")}
    assert len(keys) == 3


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert event_key(EVENT, key="a", section="bc") != event_key(EVENT, key="ab", section="c")


def test_a_key_does_not_depend_on_the_window_it_was_read_in() -> None:
    profile = {"sections": {"1": {"events": [EVENT]}}}
    (one,) = event_records(KEY, copy.deepcopy(profile), TAP_COLUMNS)
    (other,) = event_records(KEY, copy.deepcopy(profile), {"window_start": "x", "window_end": "y"})
    assert one["event_key"] == other["event_key"]


def test_a_key_stays_the_same_from_version_to_version() -> None:
    assert (
        event_key({"typeId": "1"}, key="p", section="s")
        == hashlib.blake2b(b'["p","s",{"typeId":"1"}]', digest_size=16).hexdigest()
    )


@given(event=OBJECTS, other=OBJECTS)
def test_different_events_have_different_keys(event: dict[str, Any], other: dict[str, Any]) -> None:
    if json.dumps(event, sort_keys=True) != json.dumps(other, sort_keys=True):
        assert event_key({**event, "typeId": "1"}) != event_key({**other, "typeId": "2"})
    assert event_key(event) == event_key(json.loads(json.dumps(event)))


# Configured items


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ([], set()),
        (["1", 2], {"1", "2"}),
        (
            [{"section_discriminator": "usercreated.sections.x", "version_id": "9820534"}],
            {"usercreated.sections.x", "9820534"},
        ),
        ([{"deep": [{"id": 5}, None, True, 1.5]}], {"5"}),
    ],
)
def test_ids_are_found_in_configured_items_of_any_shape(items: list[Any], found: set[str]) -> None:
    assert named_identifiers(items) == found


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (1, "1"), (2**70, str(2**70)), (True, True), (None, None), (1.5, 1.5)]
)
def test_only_whole_numbers_become_ids(value: object, text: object) -> None:
    assert identifier(value) is text or identifier(value) == text


# The file


def both_ways(text: str | bytes) -> list[list[tuple[Any, ...]]]:
    """Read a file with the decoder, and profile by profile; give keys, attributes and events' types each time."""
    decoder = ExportFileDecoder(TAP_COLUMNS, AttributeColumns(), KnownIds(), with_profiles=True, with_events=True)
    found: list[list[tuple[Any, ...]]] = []
    with Spool([text.encode() if isinstance(text, str) else text]) as spool:
        verify_file(spool)
        parts = [part for chunk in read_verified_chunks(spool, FILE) for part in decoder.decode(chunk)]
        rows = Output(PROFILES["properties"]).rows(profiles for profiles, _ in parts)
        rows += Output(EVENTS["properties"]).rows(events for _, events in parts)
        found.append([facts(row) for row in rows])
        pairs = [pair for run in read_verified_chunks(spool, FILE) for pair in profiles_of(run)]
        rows = [row for key, profile in pairs for row in profile_records(key, profile, TAP_COLUMNS, KnownIds())]
        rows += [row for key, profile in pairs for row in event_records(key, profile, TAP_COLUMNS)]
        found.append([facts(row) for row in rows])
    return [sorted(rows, key=str) for rows in found]


def facts(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["profile_key"], row["section_id"], row["attributes"] if "attributes" in row else row["type_id"]


def once(number: int, section: str) -> str:
    return f'"k{number}":{{"sections":{{"{section}":{{"attributes":{{"1":{{"value":{number}}}}}}}}}}}'


def test_the_skeleton_of_the_vendors_page_is_read() -> None:
    file = {"profiles": {KEY: PROFILE, "second": {"sections": {}}}, "metadata": {"sections": {"1187": {"events": {}}}}}
    with Spool([json.dumps(file).encode()]) as spool:
        verify_file(spool)
        read = [pair for run in read_verified_chunks(spool, FILE) for pair in profiles_of(run)]
    assert read == [(KEY, PROFILE), ("second", {"sections": {}})]


@pytest.mark.parametrize("filling", [0, 300_000])
@pytest.mark.parametrize("order", ["in pairs", "one after the other"])
def test_no_row_of_a_profile_whose_key_comes_twice_is_lost(filling: int, order: str) -> None:
    numbers = [*range(20)]
    pairs = [(n, s) for n in numbers for s in ("1187", "1188")] if order == "in pairs" else []
    pairs = pairs or [(n, s) for s in ("1187", "1188") for n in numbers]
    members = [once(*pair) for pair in pairs]
    members.insert(20, f'"filling":{{"sections":{{}},"x":"{"x" * filling}"}}')  # which makes several runs of them
    expected = sorted([(f"k{n}", s, {"1": n}) for n, s in pairs] + [("filling", "-", {})], key=str)
    assert both_ways('{"profiles":{' + ",".join(members) + "}}") == [expected, expected]


TWICE = {
    "a section": '{"sections":{"1":{"attributes":{"a":{"value":1}}},"1":{"events":[{"typeId":"x"}]}}}',
    "all sections": '{"sections":{"1":{"attributes":{"a":{"value":1}}}},"sections":{"1":{"events":[{"typeId":"x"}]}}}',
    "events": '{"sections":{"1":{"events":[{"typeId":"x"}],"attributes":{"a":{"value":1}},"events":[]}}}',
    "events, and none": '{"sections":{"1":{"events":[{"typeId":"x"}],"attributes":{"a":{"value":1}},"events":null}}}',
    "attributes": '{"sections":{"1":{"attributes":{"a":{"value":1}},"events":[{"typeId":"x"}],"attributes":{}}}}',
    "spelled otherwise": '{"sections":{"1":{"attributes":{"a":{"value":1}}}},'
    '"\\u0073ections":{"1":{"events":[{"typeId":"x"}]}}}',
    "what databases do not store": '{"sections":{"1\\u0000":{"attributes":{"a":{"value":1}}},'
    '"1\\ud800":{"events":[{"typeId":"x"}]}}}',
    "with something odd beside": '{"sections":{"1":{"attributes":{"a":{"value":1}},"odd":1},'
    '"1":{"events":[{"typeId":"x"}]}}}',
}


@pytest.mark.parametrize("profile", TWICE.values(), ids=TWICE)
@pytest.mark.parametrize("others", [0, 3])
def test_of_what_comes_twice_in_a_profile_all_parts_are_joined(profile: str, others: int) -> None:
    beside = [once(number, "1") for number in range(others)]
    section = "1\ufffd" if "u0000" in profile else "1"
    expected: list[tuple[Any, ...]] = [("p", section, {"a": 1}), ("p", section, "x")]
    expected = sorted(expected + [(f"k{n}", "1", {"1": n}) for n in range(others)], key=str)
    assert both_ways('{"profiles":{' + ",".join([*beside, f'"p":{profile}']) + "}}") == [expected, expected]


def test_profiles_that_stand_under_their_key_twice_are_all_read() -> None:
    parts = ["{" + ",".join(once(n, s) for n in range(20)) + "}" for s in ("1", "2")]
    text = f'{{"profiles":{parts[0]}, "x":{{"profiles":{{}}}},\n"profiles" :{parts[1]},"profiles":{{}},"more":[1]}}'
    expected = sorted([(f"k{n}", s, {"1": n}) for n in range(20) for s in ("1", "2")], key=str)
    assert both_ways(text) == [expected, expected]


def test_names_of_parts_inside_of_data_change_nothing() -> None:
    event = {"typeId": "x", "data": {"sections": 1, "events": ["attributes"], "attributes": '"sections"'}}
    section = {"attributes": {"a": {"value": "events"}}, "events": [event]}
    one, other = both_ways(json.dumps({"profiles": {"p": {"sections": {"1": section}}}}))
    assert one == other == [("p", "1", "x"), ("p", "1", {"a": "events"})]


@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize(
    "profile", ["{}", '{"sections":{"1":{"attributes":{"canary":{"value":1}}}}}', '{"x":"\\u0000"}']
)
def test_a_profile_without_a_key_is_refused_by_its_place_before_anything_is_used(others: int, profile: str) -> None:
    members = [*(once(number, "1") for number in range(others)), f'"":{profile}']
    text = b'{"profiles":{' + ",".join(members).encode() + b"}}"
    words = r"a profile whose key is empty, near byte \d+"
    with Spool([text]) as spool, pytest.raises(UnusableAnswer, match=words) as failure:
        verify_file(spool)
    assert "canary" not in str(failure.value)


def test_a_section_without_a_name_is_a_dash_in_both_tables() -> None:
    section = '{"attributes":{},"events":[{"typeId":"x"}]}'
    one, other = both_ways(f'{{"profiles":{{"p":{{"sections":{{"":{section}}}}}}}}}')
    assert one == other == [("p", "-", "x"), ("p", "-", {})]


@pytest.mark.parametrize("depth", [200, 1_500, 8_000])  # Pythons from 3.12 on decode deeper than they recurse
def test_deep_nesting_under_a_repeated_key_is_refused_before_anything_is_decoded(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    section = b'{"attributes":{},"events":[{"typeId":%b}],"events":[]}' % deep
    file = b'{"profiles":{"p":{"sections":{"1":%b}}}}' % section
    with Spool([file]) as spool, pytest.raises(UnusableAnswer, match="nested too deeply"):
        verify_file(spool)
