"""A catalog that the SDK could not work with, or that costs a record its key, ends with 10 before the first request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.singer.catalog import read_catalog
from tap_cdp_export.tap import TapCDPExport
from tests.helpers.configurations import PERSONALIZATION_URL, config
from tests.helpers.in_process import sync

if TYPE_CHECKING:
    from requests_mock import Mocker

SETTINGS = config("personalization")


def discovered(stream: str = "users") -> dict[str, Any]:
    """Return the catalog of one stream, as discovery prints it."""
    catalog = json.loads(TapCDPExport(config=SETTINGS).catalog_json_text)
    return {"streams": [entry for entry in catalog["streams"] if entry["tap_stream_id"] == stream]}


def test_a_discovered_catalog_is_read() -> None:
    assert read_catalog(discovered()).keys() == {"users"}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"schema": None}, "streams.0.schema"),
        ({"schema": {"type": "object"}}, "streams.0.schema"),
        ({"schema": {"properties": []}}, "streams.0.schema.properties"),
        ({"schema": {"properties": {"name": 5}}}, "streams.0.schema.properties.name"),
        ({"schema": {"properties": {"name": {"type": 5}}}}, "streams.0.schema.properties.name.type"),
        ({"schema": {"properties": {"name": {"type": ["text"]}}}}, "streams.0.schema.properties.name.type"),
        ({"key_properties": "name"}, "streams.0.key_properties"),
        ({"replication_method": 5}, "streams.0.replication_method"),
        ({"metadata": {}}, "streams.0.metadata"),
        ({"metadata": [{}]}, "streams.0.metadata.0"),
        ({"metadata": [{"breadcrumb": "x", "metadata": {}}]}, "streams.0.metadata.0.breadcrumb"),
        ({"metadata": [{"breadcrumb": [5], "metadata": {}}]}, "streams.0.metadata.0.breadcrumb.0"),
        ({"metadata": [{"breadcrumb": [], "metadata": None}]}, "streams.0.metadata.0.metadata"),
        ({"tap_stream_id": None}, "streams.0.tap_stream_id"),
    ],
)
def test_a_wrong_form_is_refused_with_its_place(changes: dict[str, Any], place: str) -> None:
    catalog = discovered()
    catalog["streams"][0] |= changes
    with pytest.raises(SettingsError, match=rf"at {place}\b"):
        read_catalog(catalog)


@pytest.mark.parametrize("document", [None, [], 5, {}, {"streams": {}}, {"streams": [5]}])
def test_what_is_no_catalog_is_refused(document: object) -> None:
    with pytest.raises(SettingsError, match="catalog"):
        read_catalog(document)


def test_a_stream_of_another_name_is_refused() -> None:
    catalog = discovered()
    catalog["streams"][0]["stream"] = "people"
    with pytest.raises(SettingsError, match=r"stream and tap_stream_id of users differ.*__alias__"):
        read_catalog(catalog)


@pytest.mark.parametrize("key", ["dataset_id", "name"])
@pytest.mark.parametrize("way", ["lacks", "deselects"])
def test_a_key_column_that_is_not_there_is_found_before_a_request(requests_mock: Mocker, key: str, way: str) -> None:
    catalog = discovered()
    (entry,) = catalog["streams"]
    if way == "lacks":
        del entry["schema"]["properties"][key]
    else:
        for item in entry["metadata"]:
            if item["breadcrumb"] == ["properties", key]:
                item["metadata"] = {"inclusion": "available", "selected": False}
    run = sync(SETTINGS, catalog=catalog)
    assert run.exit_code == 10
    assert f"key column of users: {key}." in run.log
    assert requests_mock.call_count == 0
    assert run.messages == []


def test_a_key_column_of_automatic_inclusion_stays_whatever_is_selected(requests_mock: Mocker) -> None:
    catalog = discovered()
    for item in catalog["streams"][0]["metadata"]:
        if item["breadcrumb"] == ["properties", "name"]:
            item["metadata"]["selected"] = False
    requests_mock.get(f"{PERSONALIZATION_URL}/api/dataset/engage/users.json", [{"json": [{"name": "a"}]}, {"json": []}])
    run = sync(SETTINGS, catalog=catalog)
    assert run.exit_code == 0
    assert [record["name"] for record in run.records("users")] == ["a"]


def test_keys_that_the_catalog_names_itself_are_the_ones_that_count(requests_mock: Mocker) -> None:
    requests_mock.get(f"{PERSONALIZATION_URL}/api/dataset/engage/users.json", [{"json": [{"name": "a"}]}, {"json": []}])
    catalog = discovered()
    (entry,) = catalog["streams"]
    entry["key_properties"] = ["name"]
    del entry["schema"]["properties"]["dataset_id"]
    run = sync(SETTINGS, catalog=catalog)
    assert run.exit_code == 0
