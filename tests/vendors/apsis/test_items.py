"""Patterns become items of the request, in a shape that the settings give, from the definitions as they are."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.vendors.apsis.api import ApsisApi
from tap_cdp_export.vendors.apsis.definitions import Definitions
from tap_cdp_export.vendors.apsis.items import Items, read_items
from tests.helpers.configurations import APSIS_URL, config
from tests.helpers.in_process import completed, sync
from tests.vendors.apsis.test_definitions import CLUB, EMAIL, SHOP
from tests.vendors.apsis.test_definitions import Vendor as Lists
from tests.vendors.apsis.test_streams import Vendor, run, since

if TYPE_CHECKING:
    from requests_mock import Mocker

MAIL = "com.apsis1.attributes.email"
POINTS = "usercreated.attributes.points-a1"
SPENT = "usercreated.attributes.spent-b2"

pytestmark = pytest.mark.usefixtures("clock")


def defined(discriminator: str | None, name: str | None, *versions: str) -> dict[str, Any]:
    """A definition; its first version is the current one."""
    listed = [{"id": one, "deprecated_at": "2025-12-01T00:00:00Z" if one != versions[0] else None} for one in versions]
    return {"discriminator": discriminator, "name": name, "versions": listed}


def give(lists: Lists, kind: str = "attributes") -> None:
    """Give the shop and the club three definitions, in an order of no meaning."""
    lists.give(
        f"/audience/sections/{SHOP}/{kind}",
        defined(POINTS, "points [all]/year", "30"),
        defined(MAIL, "Email", "10", "9"),
    )
    lists.give(f"/audience/sections/{CLUB}/{kind}", defined(SPENT, "Spent", "40"), defined(MAIL, "Email", "20"))


def read(mock: Mocker, kind: str = "attributes", **settings: Any) -> Items:
    give(Lists(mock), kind)
    api = ApsisApi({"base_url": APSIS_URL, "client_id": "a", "client_secret": "b"}, deadline_seconds=900)
    return read_items(Definitions(api), kind, completed("apsis", **settings))


def versions(items: Items) -> list[str]:
    return [item["version_id"] for item in items.requested]


# Patterns


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["*"], ["20", "40", "10", "30"]),
        (["Email"], ["20", "10"]),
        ([MAIL], ["20", "10"]),
        (["com.apsis1.*"], ["20", "10"]),
        (["Shop/*"], ["10", "30"]),
        ([f"{SHOP}/*"], ["10", "30"]),
        (["Shop/Email"], ["10"]),
        ([f"Klubben/{MAIL}"], ["20"]),
        (["*/Spen?"], ["40"]),
        (["*[[]all*"], None),
        (["points [all]*"], ["30"]),
        (["Shop/points*"], ["30"]),
        (["Shop/*", "Email"], ["20", "10", "30"]),
        (["email"], None),
        (["Nobody/*"], None),
        ([""], None),
        (["*", "Nothing"], None),
    ],
)
def test_a_pattern_is_a_name_or_discriminator_with_that_of_its_section_if_need_be(
    requests_mock: Mocker, patterns: list[str], found: list[str] | None
) -> None:
    if found:
        assert versions(read(requests_mock, attributes=patterns)) == found
        return
    with pytest.raises(SettingsError, match="matches none of the 4 attributes that APSIS One defines") as refusal:
        read(requests_mock, attributes=patterns)
    assert f"apsis.attributes.{len(patterns) - 1} " in str(refusal.value)
    assert not any(pattern and pattern in str(refusal.value) for pattern in patterns if pattern != "*")


def test_objects_go_first_and_untouched_and_what_they_name_is_not_asked_for_twice(requests_mock: Mocker) -> None:
    first = {"section_discriminator": CLUB, "version_id": "20"}
    other = {"any": {"shape": ["x"]}}
    items = read(requests_mock, attributes=["Email", first, other, 5])
    assert items.requested == [first, other, 5, {"section_discriminator": SHOP, "version_id": "10"}]
    assert {"20", "x", "5", "10", "9"} <= items.identifiers


def test_without_a_pattern_no_definition_is_read(requests_mock: Mocker) -> None:
    read(requests_mock, attributes=[{"version_id": "1"}])
    assert requests_mock.request_history == []


def test_event_types_are_asked_for_in_every_version_since_old_events_have_old_ones(requests_mock: Mocker) -> None:
    assert versions(read(requests_mock, "events", events=["Shop/Email"])) == ["9", "10"]


def test_the_order_does_not_depend_on_that_of_the_vendors_lists(requests_mock: Mocker) -> None:
    found = []
    for order in itertools.permutations(
        [defined(POINTS, "a", "3", "1"), defined(SPENT, "b", "4"), defined(None, "c", "2")]
    ):
        lists = Lists(requests_mock)
        lists.give(f"/audience/sections/{SHOP}/events", *order)
        api = ApsisApi({"base_url": APSIS_URL, "client_id": "a", "client_secret": "b"}, deadline_seconds=900)
        found.append(read_items(Definitions(api), "events", completed("apsis", events=["*"])))
    assert all(one == found[0] for one in found)
    assert sorted(versions(found[0])) == ["1", "2", "3", "4"]


# The shape of an item


@pytest.mark.parametrize(
    ("fields", "item"),
    [
        ({"version": "version_id"}, {"version": "10"}),
        ({"section_id": "section_id", "id": "version_id"}, {"section_id": "1187", "id": "10"}),
        ({"field_name": "name", "attribute_discriminator": "discriminator"},
         {"field_name": "Email", "attribute_discriminator": MAIL}),
        ({"section": "section_name", "kind": "type"}, {"section": "Shop", "kind": "text"}),
    ],
)  # fmt: skip
def test_an_item_has_the_fields_of_the_settings(
    requests_mock: Mocker, fields: dict[str, str], item: dict[str, Any]
) -> None:
    lists = Lists(requests_mock)
    lists.of_shop({**EMAIL, **defined(MAIL, "Email", "10", "9")})
    api = ApsisApi({"base_url": APSIS_URL, "client_id": "a", "client_secret": "b"}, deadline_seconds=900)
    items = read_items(Definitions(api), "attributes", completed("apsis", attributes=["*"], item_fields=fields))
    assert items.requested == [item]
    assert {"10", "9"} <= items.identifiers


def test_one_item_for_a_definition_is_enough_where_no_field_tells_its_versions_apart(requests_mock: Mocker) -> None:
    items = read(requests_mock, "events", events=["Shop/Email"], item_fields={"discriminator": "discriminator"})
    assert items.requested == [{"discriminator": MAIL}]
    assert {"10", "9"} <= items.identifiers


def test_a_field_that_a_definition_lacks_is_named_with_those_that_it_has(requests_mock: Mocker) -> None:
    with pytest.raises(
        SettingsError, match=r"takes code from the attributes that apsis\.attributes matches"
    ) as refusal:
        read(requests_mock, attributes=["*"], item_fields={"x": "code", "y": "version_id"})
    assert "only deprecated_at" not in str(refusal.value)
    assert "discriminator, name, section_discriminator, section_id, section_name, version_id." in str(refusal.value)


@pytest.mark.parametrize(("kind", "most"), [("attributes", 75), ("tags", 25), ("events", None)])
def test_too_many_after_resolving_are_an_error_before_the_export(
    requests_mock: Mocker, kind: str, most: int | None
) -> None:
    lists = Lists(requests_mock)
    vendor = Vendor(requests_mock)
    settings = config("apsis", **{kind: ["*"]})
    for number, code in ((most or 200, 0), ((most or 200) + 1, 10 if most else 0)):
        lists.of_shop(*(defined(f"d{one}", "n", str(one)) for one in range(number)), kind=kind)
        vendor.exports.clear()
        done = run(settings)
        assert done.exit_code == code, done.log
        assert [len(body[kind]) for body in vendor.exports] == ([number] if not code else [])
        if code:
            assert f"apsis.{kind} asks for {number} {kind}" in done.log


def test_the_ids_of_a_resolved_attribute_tell_its_nulls_from_tags(requests_mock: Mocker) -> None:
    lists = Lists(requests_mock)
    lists.of_shop(defined(MAIL, "Email", "1", "2"))
    profile = {"sections": {"s": {"attributes": {"1": {"value": None}, "2": {"value": None}, "3": {"value": None}}}}}
    Vendor(
        requests_mock,
        {"content": b'{"profiles":{"p":%s}}' % str(profile).replace("'", '"').replace("None", "null").encode()},
    )
    done = run(config("apsis", attributes=["*"]), only={"apsis_profiles"})
    (record,) = done.records("apsis_profiles")
    assert (record["attributes"], record["tags"]) == ({"1": None, "2": None}, ["3"])


@pytest.mark.parametrize(("status", "code"), [(403, 11), (500, 13)])
def test_definitions_that_cannot_be_read_end_the_export_before_it_is_asked_for(
    requests_mock: Mocker, status: int, code: int
) -> None:
    Lists(requests_mock)
    vendor = Vendor(requests_mock)
    requests_mock.get(f"{APSIS_URL}/audience/sections/{CLUB}/attributes", status_code=status)
    done = run(config("apsis", attributes=["*"]))
    assert done.exit_code == code
    assert "the list of attributes" in done.log
    assert vendor.exports == []


def test_attribute_columns_are_those_of_the_resolved_attributes(requests_mock: Mocker) -> None:
    give(Lists(requests_mock))
    Vendor(requests_mock)
    done = sync(config("apsis", attributes=["Shop/Email", "Spent"], attribute_columns=True), only={"apsis_profiles"})
    (schema,) = [m["schema"] for m in done.messages if m["type"] == "SCHEMA"]
    assert {n for n in schema["properties"] if n.startswith("attribute_")} == {"attribute_email", "attribute_spent"}


def test_profiles_alone_need_no_event_type(requests_mock: Mocker) -> None:
    lists = Lists(requests_mock)
    give(lists)
    vendor = Vendor(requests_mock)
    done = run(config("apsis", attributes=["*"], events=["Nothing"]), only={"apsis_profiles"})
    assert done.exit_code == 0, done.log
    assert not any(path.endswith("/events") for path in lists.asked())
    assert vendor.exports[0].keys() == {"attributes", "start_at", "end_at"}


# A selection that grows

A, B = {"id": "a"}, {"id": "b"}
WARNING = "The selection has grown since the bookmark of apsis_events: "


def selected(requests_mock: Mocker, state: dict[str, Any] | None, **settings: Any) -> dict[str, Any]:
    Vendor(requests_mock)
    done = run(config("apsis", lookback_minutes=0, **settings), state=state)
    assert done.exit_code == 0, done.log
    return done.states[-1]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"events": [A]}, {"events": [A]}, ""),
        ({"events": [A]}, {"events": [A, B]}, "apsis.events (1 new)"),
        ({"events": [A, B]}, {"events": [B]}, ""),
        ({"events": [A]}, {"events": [{"id": "a", "x": 1}, B]}, "apsis.events (2 new)"),
        ({"tags": [A]}, {"tags": [B, A], "attributes": [A, B]}, "apsis.attributes (2 new), apsis.tags (1 new)"),
        ({"segment_filter": A}, {}, "apsis.segment_filter (changed)"),
        ({"segment_filter": A}, {"segment_filter": B}, "apsis.segment_filter (changed)"),
        ({}, {"segment_filter": A}, ""),
        ({"segment_filter": A}, {"segment_filter": A}, ""),
    ],
)
def test_a_selection_that_has_grown_since_the_bookmark_is_warned_of(
    requests_mock: Mocker,
    caplog: pytest.LogCaptureFixture,
    before: dict[str, Any],
    after: dict[str, Any],
    told: str,
) -> None:
    state = selected(requests_mock, None, **before, end_date=None)
    caplog.clear()
    state["bookmarks"]["apsis_events"]["replication_key_value"] = "2024-03-04T00:00:00Z"
    again = selected(requests_mock, state, **after)
    assert (f"{WARNING}{told}. " in caplog.text) == bool(told)
    assert (WARNING in caplog.text) == bool(told)
    caplog.clear()
    again["bookmarks"]["apsis_events"]["replication_key_value"] = "2024-03-04T00:00:00Z"
    selected(requests_mock, again, **after)
    assert WARNING not in caplog.text


def test_what_a_pattern_finds_since_is_warned_of_too(requests_mock: Mocker, caplog: pytest.LogCaptureFixture) -> None:
    lists = Lists(requests_mock)
    lists.of_shop(defined("d", "n", "1"), kind="events")
    state = selected(requests_mock, None, events=["*"])
    lists.of_shop(defined("d", "n", "2", "1"), kind="events")
    state["bookmarks"]["apsis_events"]["replication_key_value"] = "2024-03-04T00:00:00Z"
    selected(requests_mock, state, events=["*"])
    assert f"{WARNING}apsis.events (1 new). " in caplog.text


@pytest.mark.parametrize("selection", [None, 5, [], {}, {"events": None}, {"tags": 5}, {"events": [5, {}]}])
def test_state_that_says_nothing_or_something_odd_ends_no_run(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, selection: object
) -> None:
    selected(requests_mock, since(4, selection=selection))
    assert (WARNING in caplog.text) == (selection == {"events": [5, {}]})


def test_profiles_alone_carry_no_time_and_are_not_warned_of(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    Vendor(requests_mock)
    first = run(config("apsis", attributes=[A]), only={"apsis_profiles"})
    assert run(config("apsis", attributes=[A, B]), only={"apsis_profiles"}, state=first.states[-1]).exit_code == 0
    assert WARNING not in caplog.text
