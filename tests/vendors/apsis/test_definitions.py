"""The definitions: every version with its names, whatever the vendor leaves out or adds, each list on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.tap import TapCDPExport
from tap_cdp_export.vendors.apsis.definition_streams import DEFINITION_STREAMS
from tests.helpers.configurations import APSIS_URL, config
from tests.helpers.in_process import sync

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.helpers.running import Run

SHOP = "usercreated.sections.shop_2.0-r6tz73a27t"
CLUB = "usercreated.sections.club-rppfuhvt6a"
SECTIONS = [
    {"id": 1187, "discriminator": SHOP, "name": "Shop", "colour": "red"},
    {"id": "1188", "discriminator": CLUB, "name": "Klubben"},
]
EMAIL = {
    "discriminator": "com.apsis1.attributes.email",
    "name": "Email",
    "type": "text",
    "versions": [
        {"id": "9820534", "deprecated_at": None, "limit": 1000},
        {"id": 9720534, "deprecated_at": "2025-12-01T00:00:00Z"},
    ],
}
ALL = {stream.name for stream in DEFINITION_STREAMS}

pytestmark = pytest.mark.usefixtures("clock")


class Vendor:
    """Answers every list with the same items, unless it is given others."""

    def __init__(self, mock: Mocker, sections: list[Any] | None = None) -> None:
        self.mock = mock
        mock.post(f"{APSIS_URL}/oauth/token", json={"access_token": "t", "expires_in": 86400})
        self.give("/audience/sections", *(SECTIONS if sections is None else sections))
        self.give("/audience/segments")
        for section in (SHOP, CLUB):
            for path in ("attributes", "tags", "events"):
                self.give(f"/audience/sections/{section}/{path}")
            self.give(f"/v2/audience/sections/{section}/topics")

    def give(self, path: str, *items: Any, **more: Any) -> None:
        self.mock.get(APSIS_URL + path, json={"items": list(items), **more})

    def of_shop(self, *items: Any, kind: str = "attributes") -> None:
        self.give(f"/audience/sections/{SHOP}/{kind}", *items)

    def asked(self) -> list[str]:
        return [request.path for request in self.mock.request_history if request.method == "GET"]


def run(*only: str) -> Run:
    return sync(config("apsis"), only=set(only))


def records(stream: str) -> list[dict[str, Any]]:
    done = run(stream)
    assert done.exit_code == 0, done.log
    return done.records(stream)


def test_the_definitions_are_offered_and_selected_only_where_the_settings_name_them() -> None:
    assert TapCDPExport(config=config("apsis")).streams.keys() == {"apsis_profiles", "apsis_events"}
    some = TapCDPExport(config=config("apsis", tables=["apsis_*ags", "apsis_sections"])).streams
    assert some.keys() == {"apsis_profiles", "apsis_events", "apsis_tags", "apsis_sections"}
    assert all(stream.selected for stream in some.values())
    assert TapCDPExport(config=config("apsis", tables=["*"])).streams.keys() >= ALL


def test_the_definitions_need_no_selection(requests_mock: Mocker) -> None:
    Vendor(requests_mock).of_shop(EMAIL)
    settings = config("apsis", attributes=[], events=[])
    done = sync(settings, only=ALL)
    assert done.exit_code == 0
    too_many = config("apsis", attributes=[{"id": number} for number in range(76)])
    assert sync(too_many, only=ALL).exit_code == 0
    assert len(done.records("apsis_attributes")) == 2
    assert '"apsis_profiles"' in TapCDPExport(config=settings).run_discovery()


@pytest.mark.parametrize("stream", ["apsis_profiles", "apsis_events"])
def test_an_export_without_any_attribute_or_tag_is_refused_before_the_first_request(
    requests_mock: Mocker, stream: str
) -> None:
    done = sync(config("apsis", attributes=[], events=[]), only={stream, "apsis_tags"})
    assert done.exit_code == 10
    assert "apsis.attributes or apsis.tags" in done.log
    assert f"deselect {stream}" in done.log
    assert not requests_mock.request_history


def test_a_catalog_that_selects_what_is_not_offered_is_refused_by_name(requests_mock: Mocker) -> None:
    catalog = TapCDPExport(config=config("apsis", tables=["*"])).catalog_dict
    done = sync(config("apsis"), catalog=catalog)
    assert done.exit_code == 10
    assert all(name in done.log for name in ALL)
    assert "apsis.tables" in done.log
    assert not requests_mock.request_history
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"] = {"selected-by-default": False}
    assert sync(config("apsis"), catalog=catalog).exit_code == 0  # as earlier versions of the tap discovered it


def test_a_section_has_the_id_that_the_export_file_uses(requests_mock: Mocker) -> None:
    Vendor(requests_mock)
    assert records("apsis_sections") == [
        {
            "section_discriminator": SHOP,
            "section_id": "1187",
            "name": "Shop",
            "description": None,
            "extra": {"colour": "red"},
        },
        {
            "section_discriminator": CLUB,
            "section_id": "1188",
            "name": "Klubben",
            "description": None,
            "extra": None,
        },
    ]


@pytest.mark.parametrize("field", ["id", "section_id", "sectionId", "number", "export_id"])
@pytest.mark.parametrize("value", ["1187", 1187], ids=["text", "number"])
def test_the_sections_id_is_found_under_any_name(requests_mock: Mocker, field: str, value: object) -> None:
    Vendor(requests_mock, [{field: value, "discriminator": SHOP, "name": "Shop", "open": True}])
    (record,) = records("apsis_sections")
    assert record["section_id"] == "1187"
    assert record["extra"] == {"open": True}


@pytest.mark.parametrize("fields", [{}, {"one": 1, "other": 2}, {"id": None}, {"id": ""}, {"id": True}])
def test_a_section_whose_id_cannot_be_told_keeps_what_it_has(requests_mock: Mocker, fields: dict[str, Any]) -> None:
    Vendor(requests_mock, [{"discriminator": SHOP, **fields}])
    (record,) = records("apsis_sections")
    assert record["section_id"] is None
    assert record["extra"] == (fields or None)


@pytest.mark.parametrize("discriminator", [None, "", [1]])
def test_a_section_without_a_discriminator_is_an_error(requests_mock: Mocker, discriminator: object) -> None:
    Vendor(requests_mock, [{"id": "1", "discriminator": discriminator}])
    assert run("apsis_sections").exit_code == 12


def test_every_version_is_a_record_deprecated_ones_too(requests_mock: Mocker) -> None:
    Vendor(requests_mock).of_shop(EMAIL)
    shared = {
        "section_discriminator": SHOP,
        "section_id": "1187",
        "discriminator": "com.apsis1.attributes.email",
        "id": None,
        "name": "Email",
        "description": None,
        "type": "text",
    }
    assert records("apsis_attributes") == [
        {**shared, "version_id": "9820534", "deprecated_at": None, "extra": {"versions": [{"limit": 1000}]}},
        {**shared, "version_id": "9720534", "deprecated_at": "2025-12-01T00:00:00.000Z", "extra": None},
    ]


@pytest.mark.parametrize(("stream", "kind"), [("apsis_tags", "tags"), ("apsis_event_types", "events")])
def test_tags_and_event_types_are_flattened_alike(requests_mock: Mocker, stream: str, kind: str) -> None:
    Vendor(requests_mock).of_shop(EMAIL, kind=kind)
    assert [record["version_id"] for record in records(stream)] == ["9820534", "9720534"]


@pytest.mark.parametrize(
    ("item", "version_id", "extra"),
    [
        ({"name": "x"}, "-", None),
        ({"id": 5, "name": "x"}, "5", None),
        ({"id": "5", "versions": []}, "5", {"versions": []}),
        ({"id": "5", "versions": None}, "5", {"versions": None}),
        ({"id": "5", "versions": "odd"}, "5", {"versions": "odd"}),
        ({"id": "5", "versions": ["6"]}, "6", None),
        ({"id": "", "name": "x"}, "-", None),
        ({"versions": [{"id": None, "x": 1}]}, "-", {"versions": [{"id": None, "x": 1}]}),
        ({"versions": [{"id": "", "x": 1}]}, "-", {"versions": [{"id": "", "x": 1}]}),
        ({"name": "a", "versions": [{"id": "6", "name": "b"}]}, "6", {"versions": [{"name": "b"}]}),
    ],
)
def test_what_an_item_lacks_or_has_more_loses_nothing(
    requests_mock: Mocker, item: dict[str, Any], version_id: str, extra: object
) -> None:
    Vendor(requests_mock).of_shop(item)
    (record,) = records("apsis_attributes")
    assert (record["discriminator"], record["version_id"], record["extra"]) == ("-", version_id, extra)


@pytest.mark.parametrize("discriminator", [{}, {"discriminator": None}, {"discriminator": ""}])
def test_no_key_of_a_definition_is_ever_empty(requests_mock: Mocker, discriminator: dict[str, Any]) -> None:
    vendor = Vendor(requests_mock)
    item = {**discriminator, "name": "x"}
    vendor.give("/audience/segments", item)
    vendor.give(f"/v2/audience/sections/{SHOP}/topics", item)
    for kind in ("attributes", "tags", "events"):
        vendor.of_shop(item, kind=kind)
    done = run(*ALL)
    assert done.exit_code == 0
    keys = {message["stream"]: message["key_properties"] for message in done.messages if message["type"] == "SCHEMA"}
    for stream in ALL:
        assert done.records(stream)
        assert all(record[name] for record in done.records(stream) for name in keys[stream])


def test_nothing_of_lists_that_come_twice_is_lost(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    items = '"items":[{"discriminator":"%s","versions":[{"id":"1"}],"versions":[{"id":"2"}]}]'
    text = "{" + items % "a" + "," + items % "b" + "}"
    vendor.mock.get(f"{APSIS_URL}/audience/sections/{SHOP}/attributes", text=text)
    found = [(record["discriminator"], record["version_id"]) for record in records("apsis_attributes")]
    assert found == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]


def test_what_only_the_version_says_fills_the_columns(requests_mock: Mocker) -> None:
    version = {"id": "6", "name": "a", "description": "b", "type": "text", "deprecated_at": 1764547200000}
    Vendor(requests_mock).of_shop({"discriminator": "d", "versions": [version]})
    (record,) = records("apsis_attributes")
    assert (record["name"], record["description"], record["type"]) == ("a", "b", "text")
    assert record["deprecated_at"] == "2025-12-01T00:00:00.000Z"
    assert record["extra"] is None


def test_topics_and_segments_are_one_record_each(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    vendor.give(f"/v2/audience/sections/{SHOP}/topics", {"discriminator": "t", "name": "Offers", "channels": ["email"]})
    vendor.give("/audience/segments", {"discriminator": "s", "name": "Women", "versions": [{"id": "1"}, {"id": "2"}]})
    assert records("apsis_topics") == [
        {
            "section_discriminator": SHOP,
            "section_id": "1187",
            "discriminator": "t",
            "name": "Offers",
            "description": None,
            "extra": {"channels": ["email"]},
        }
    ]
    assert records("apsis_segments") == [
        {
            "discriminator": "s",
            "name": "Women",
            "description": None,
            "versions": [{"id": "1"}, {"id": "2"}],
            "extra": None,
        }
    ]


# Lists


@pytest.mark.parametrize("answer", [{}, {"items": None}, {"items": {}}, {"items": ["x"]}, {"status": "error"}])
def test_an_answer_without_items_is_an_error_and_no_empty_list(requests_mock: Mocker, answer: dict[str, Any]) -> None:
    Vendor(requests_mock)
    requests_mock.get(f"{APSIS_URL}/audience/segments", json=answer)
    done = run("apsis_segments")
    assert done.exit_code == 12
    assert "ACTIVATE_VERSION" not in {message["type"] for message in done.messages}


NEXT = "/audience/segments?page=2"


@pytest.mark.parametrize(
    ("more", "headers"),
    [
        ({"next": NEXT}, {}),
        ({"next": APSIS_URL + NEXT}, {}),
        ({"next": "?page=2"}, {}),
        ({"links": {"next": NEXT}}, {}),
        ({"_links": {"next": {"href": NEXT}}}, {}),
        ({}, {"Link": f'<{APSIS_URL}{NEXT}>; rel="next"'}),
    ],
)
def test_a_next_link_is_followed_wherever_it_appears(
    requests_mock: Mocker, more: dict[str, Any], headers: dict[str, str]
) -> None:
    Vendor(requests_mock)
    first = {"items": [{"discriminator": "1"}], **more}
    requests_mock.get(f"{APSIS_URL}/audience/segments", json=first, headers=headers)
    requests_mock.get(APSIS_URL + NEXT, json={"items": [{"discriminator": "2"}], "next": None, "links": {"next": ""}})
    assert [record["discriminator"] for record in records("apsis_segments")] == ["1", "2"]


@pytest.mark.parametrize(
    "link", ["https://evil.test/x", "//evil.test/x", "http://api.apsis.one:8080/x", "https://[::1/x"]
)
def test_a_next_link_elsewhere_never_gets_the_token(requests_mock: Mocker, link: str) -> None:
    Vendor(requests_mock).give("/audience/segments", next=link)
    done = run("apsis_segments")
    assert done.exit_code == 12
    assert {request.hostname for request in requests_mock.request_history} == {"api.apsis.one"}
    assert "evil" not in done.log


def test_a_definition_nested_too_deeply_for_a_target_is_an_error(requests_mock: Mocker) -> None:
    deep: Any = 1
    for _ in range(120):
        deep = [deep]
    Vendor(requests_mock).give("/audience/segments", {"discriminator": "1", "deep": deep})
    done = run("apsis_segments")
    assert done.exit_code == 12
    assert "nested" in done.log


def test_pages_that_go_in_a_circle_are_an_error(requests_mock: Mocker) -> None:
    Vendor(requests_mock).give("/audience/segments", next="/audience/segments")
    done = run("apsis_segments")
    assert done.exit_code == 12
    assert "without end" in done.log


def test_a_list_of_many_megabytes_is_read(requests_mock: Mocker) -> None:
    items = [{"discriminator": f"{number}", "description": "x" * 1000} for number in range(3000)]
    Vendor(requests_mock).give("/audience/segments", *items)
    assert len(records("apsis_segments")) == 3000


def test_one_token_and_one_list_of_sections_serve_all_definitions_of_a_run(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    assert run(*ALL).exit_code == 0
    asked = vendor.asked()
    assert len(asked) == len(set(asked)) == 2 + 4 * len(SECTIONS)
    assert len(requests_mock.request_history) == len(asked) + 1


def test_a_key_without_the_right_to_read_definitions_passes_the_connection_test(requests_mock: Mocker) -> None:
    vendor = Vendor(requests_mock)
    requests_mock.get(f"{APSIS_URL}/audience/sections", status_code=403)
    assert TapCDPExport(config=config("apsis")).run_connection_test()
    assert vendor.asked() == []
    assert len(requests_mock.request_history) == 1


@pytest.mark.parametrize(("status", "code"), [(403, 11), (404, 10), (500, 13)])
def test_a_list_that_is_refused_stops_only_its_own_stream(requests_mock: Mocker, status: int, code: int) -> None:
    Vendor(requests_mock).of_shop(EMAIL)
    requests_mock.get(f"{APSIS_URL}/v2/audience/sections/{CLUB}/topics", status_code=status, text="canary")
    done = run(*ALL)
    assert done.exit_code == code
    assert "topics" in done.log
    assert "canary" not in done.log
    assert len(done.records("apsis_sections")) == len(done.records("apsis_attributes")) == 2
