"""Optional columns for attributes and tags: named after them, typed as defined, and the same in every later run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.errors import CdpExportError
from tap_cdp_export.tap import TapCDPExport
from tap_cdp_export.vendors.apsis.api import ApsisApi
from tap_cdp_export.vendors.apsis.attribute_columns import AttributeColumns
from tap_cdp_export.vendors.apsis.definitions import Definitions
from tap_cdp_export.vendors.apsis.export_file import named_identifiers
from tests.helpers.configurations import APSIS_URL, config
from tests.helpers.in_process import sync
from tests.vendors.apsis.test_definitions import CLUB, SHOP
from tests.vendors.apsis.test_definitions import Vendor as Lists
from tests.vendors.apsis.test_streams import Vendor as Exports

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.helpers.running import Run

pytestmark = pytest.mark.usefixtures("clock")


def defined(version: str, name: Any, kind: Any = "text", *older: str, discriminator: str = "") -> dict[str, Any]:
    versions = [{"id": version, "deprecated_at": None}, *({"id": one, "deprecated_at": "2025-01-01"} for one in older)]
    return {"discriminator": discriminator or f"d{version}", "name": name, "type": kind, "versions": versions}


class Account:
    """Definitions as a vendor's client gives them."""

    def __init__(self, mock: Mocker) -> None:
        self.lists = Lists(mock)

    def columns(
        self, attributes: list[Any], *, club: list[Any] | None = None, tags: list[Any] | None = None, named: Any = None
    ) -> AttributeColumns:
        self.lists.give(f"/audience/sections/{SHOP}/attributes", *attributes)
        self.lists.give(f"/audience/sections/{CLUB}/attributes", *(club or []))
        self.lists.give(f"/audience/sections/{SHOP}/tags", *(tags or []))
        everything = [one["versions"] for one in [*attributes, *(club or []), *(tags or [])]]
        wanted = named_identifiers(everything if named is None else named)
        api = ApsisApi({"base_url": APSIS_URL, "client_id": "a", "client_secret": "b"}, deadline_seconds=900)
        return AttributeColumns.read(Definitions(api), attributes=wanted, tags=named_identifiers(everything))


@pytest.fixture
def account(requests_mock: Mocker) -> Account:
    return Account(requests_mock)


# Names


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("Email", "attribute_email"),
        ("First name", "attribute_first_name"),
        ("firstName", "attribute_first_name"),
        ("Spent, €", "attribute_spent"),
        ("Företag", "attribute_foretag"),
        ("  2 - Tage -- offen? ", "attribute_2_tage_offen"),
        ("x" * 200, "attribute_" + "x" * 40),
        ('a"; DROP TABLE x; --', "attribute_a_drop_table_x"),
    ],
)
def test_a_column_is_named_after_its_attribute_in_safe_letters(account: Account, name: str, column: str) -> None:
    assert list(account.columns([defined("1", name)]).properties) == [column]


@pytest.mark.parametrize("name", ["", "名前", None, 5, "--"])
def test_a_name_without_safe_letters_still_gives_a_column_of_its_own(account: Account, name: Any) -> None:
    columns = account.columns([defined("1", name), defined("2", name)])
    assert len(columns.properties) == 2
    assert all(column.removeprefix("attribute_").isalnum() for column in columns.properties)


def test_sections_share_the_column_of_the_same_name_and_type(account: Account) -> None:
    columns = account.columns([defined("1", "Email")], club=[defined("2", "Email")])
    assert list(columns.properties) == ["attribute_email"]
    assert columns.values({"1": "a@x"}, []) == {"attribute_email": "a@x"}
    assert columns.values({"2": "b@x"}, []) == {"attribute_email": "b@x"}


@pytest.mark.parametrize(
    ("shop", "club"),
    [
        ([defined("1", "Level"), defined("20", "level")], []),
        ([defined("1", "Level")], [defined("20", "Level", "number")]),
    ],
)
def test_the_younger_of_two_that_cannot_share_a_column_gets_a_suffix(
    account: Account, shop: list[Any], club: list[Any]
) -> None:
    columns = account.columns(shop, club=club)
    plain, other = columns.properties
    assert plain == "attribute_level"
    assert other.startswith("attribute_level_")
    assert columns.values({"1": "a"}, [])[plain] == "a"


def test_no_column_changes_when_definitions_appear_or_others_are_exported(account: Account) -> None:
    old = [defined("100", "Level"), defined("101", "Level", "number")]
    before = account.columns(old).properties
    new = [defined("1000", "Level"), defined("999", "level", "date"), *reversed(old)]
    assert before.items() <= account.columns(new).properties.items()
    assert account.columns(new, named=["101"]).properties.keys() == {list(before)[1]}


def test_attributes_that_are_not_exported_have_no_column(account: Account) -> None:
    columns = account.columns([defined("1", "Email"), defined("2", "Phone")], named=[{"version_id": "2"}])
    assert list(columns.properties) == ["attribute_phone"]
    assert columns.attribute_ids == {"1", "2"}


@pytest.mark.parametrize("named", [["10"], [{"id": 9}], [["com.apsis1.attributes.email"]]])
def test_an_attribute_may_be_named_by_any_version_or_by_its_discriminator(account: Account, named: Any) -> None:
    email = defined("10", "Email", "text", "9", discriminator="com.apsis1.attributes.email")
    assert list(account.columns([email], named=named).properties) == ["attribute_email"]


# Values


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", "a", "a"),
        ("text", 5, None),
        ("True/False", True, True),
        ("boolean", "true", None),
        ("Number", 46287917256, 46287917256),
        ("number", 1.5, None),
        ("number", 2**70, None),
        ("Number with decimals", 1.5, 1.5),
        ("numberWithDecimal", 3, 3),
        ("date", "2024-02-29", "2024-02-29"),
        ("date", "2023-02-29", None),
        ("date", "20240229", None),
        ("date", 5, None),
        ("timestamp", 1709287200, "2024-03-01T10:00:00.000Z"),
        ("timestamp", 1709287200000, "2024-03-01T10:00:00.000Z"),
        ("timestamp", "1709287201", "2024-03-01T10:00:01.000Z"),
        ("timestamp", "2024-03-01T11:00:00+01:00", "2024-03-01T10:00:00.000Z"),
        pytest.param("timestamp", "9" * 5000, None, id="endless"),
        ("timestamp", True, None),
        ("address", {"city": "Malmö"}, {"city": "Malmö"}),
        ("address", "Malmö", None),
        ("unheard of", "a", "a"),
        ({"type": "number"}, 5, 5),
        (None, "a", "a"),
        ("text", None, None),
    ],
)
def test_a_value_of_the_defined_type_is_in_the_column_and_no_other(
    account: Account, kind: Any, value: object, expected: object
) -> None:
    columns = account.columns([defined("1", "x", kind)])
    assert columns.values({"1": value}, []) == {"attribute_x": expected}


@pytest.mark.parametrize("field", ["type", "data_type", "dataType", "value_type", "valueType"])
@pytest.mark.parametrize("holder", ["item", "version"])
def test_the_type_is_found_under_several_names(account: Account, field: str, holder: str) -> None:
    item = defined("1", "x", None)
    (item if holder == "item" else item["versions"][0])[field] = "number"
    assert account.columns([item]).values({"1": 5}, []) == {"attribute_x": 5}


def test_of_two_versions_in_one_profile_the_current_one_counts(account: Account) -> None:
    columns = account.columns([defined("10", "Email", "text", "9", "11")])
    assert columns.values({"9": "old", "10": "new", "11": "withdrawn"}, []) == {"attribute_email": "new"}
    assert columns.values({"9": "old"}, []) == {"attribute_email": "old"}


def test_a_tag_is_true_or_false(account: Account) -> None:
    columns = account.columns([defined("1", "Gold")], tags=[defined("7", "Gold")])
    assert list(columns.properties) == ["attribute_gold", "tag_gold"]
    assert columns.values({"1": "x"}, ["7", "8"]) == {"attribute_gold": "x", "tag_gold": True}
    assert columns.values({}, []) == {"attribute_gold": None, "tag_gold": False}


def test_a_run_keeps_to_the_columns_and_types_of_its_catalog(account: Account) -> None:
    columns = account.columns([defined("1", "Email"), defined("2", "Level", "number"), defined("3", "New")])
    catalog = columns.properties
    columns.follow(
        {
            "profile_key": {"type": ["string"]},
            "attributes": {"type": ["object", "null"]},
            "attribute_email": catalog["attribute_email"],
            "attribute_level": {"type": ["string", "null"], "format": "date"},
            "attribute_gone": {"type": ["string", "null"]},
            "tag_gone": {"type": ["boolean", "null"]},
        }
    )
    assert columns.values({"1": "a", "2": 5, "3": "b"}, ["7"]) == {
        "attribute_email": "a",
        "attribute_level": None,
        "attribute_gone": None,
        "tag_gone": None,
    }


# In a run

PROFILE = {
    "sections": {
        "1187": {"attributes": {"1": {"value": "a@x"}, "2": {"value": None}, "7": {"value": None}, "99": {"value": 1}}}
    }
}
SETTINGS = {"attribute_columns": True, "attributes": [{"id": "1"}], "tags": [{"id": "7"}], "lookback_minutes": 0}


def run(mock: Mocker, **settings: Any) -> Run:
    lists = Lists(mock)
    lists.give(f"/audience/sections/{SHOP}/attributes", defined("1", "Email"), defined("2", "Phone"))
    lists.give(f"/audience/sections/{SHOP}/tags", defined("7", "Gold"))
    Exports(mock, {"content": json.dumps({"profiles": {"p": PROFILE}}).encode()})
    return sync(config("apsis", **{**SETTINGS, **settings}), only={"apsis_profiles"})


def test_columns_stand_beside_the_lossless_ones_and_the_definitions_tell_attributes_from_tags(
    requests_mock: Mocker,
) -> None:
    (record,) = run(requests_mock).records("apsis_profiles")
    assert (record["attribute_email"], record["tag_gold"]) == ("a@x", True)
    assert record["attributes"] == {"1": "a@x", "2": None, "99": 1}  # 2 is defined as an attribute: no tag
    assert record["tags"] == ["7"]


def test_every_column_is_in_the_schema_and_only_with_the_setting(requests_mock: Mocker) -> None:
    done = run(requests_mock)
    (schema,) = [m["schema"] for m in done.messages if m["type"] == "SCHEMA"]
    assert schema["properties"].keys() == done.records("apsis_profiles")[0].keys()
    assert schema["properties"]["attribute_email"]["description"] == "Attribute Email (IDs 1)."
    without = run(requests_mock, attribute_columns=False)
    assert not {name for name in without.records("apsis_profiles")[0] if name.startswith(("attribute_", "tag_"))}


@pytest.mark.parametrize(("status", "code"), [(403, 11), (404, 10), (500, 13)])
def test_definitions_that_cannot_be_read_end_the_exports_and_a_discovery_and_nothing_else(
    requests_mock: Mocker, status: int, code: int
) -> None:
    lists = Lists(requests_mock)
    exports = Exports(requests_mock)
    requests_mock.get(f"{APSIS_URL}/audience/sections/{SHOP}/tags", status_code=status)
    settings = config("apsis", **SETTINGS)
    done = sync(settings, only={"apsis_profiles", "apsis_events", "apsis_sections"})
    assert done.exit_code == code
    assert exports.exports == []
    assert len(done.records("apsis_sections")) == 2
    with pytest.raises(CdpExportError):
        TapCDPExport(config=settings, setup_mapper=False).run_discovery()  # as the command does
    with pytest.raises(CdpExportError):
        TapCDPExport(config=settings).run_connection_test()
    assert lists.asked()
