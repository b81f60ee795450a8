"""The work is divided by dataset, window and segment; what cannot be divided is one piece, and no secret is told."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from click.testing import CliRunner

from tap_cdp_export.cli.partitions import Partition, Partitions, command
from tap_cdp_export.config.settings import settings_schema
from tap_cdp_export.tap import VENDORS, TapCDPExport
from tests.helpers.configurations import BRAZE_URL, END, START, config, vendor_settings
from tests.vendors import weather

if TYPE_CHECKING:
    from pathlib import Path

    from requests_mock import Mocker

    from tap_cdp_export.vendors.vendor import Vendor

DAY = timedelta(days=1)
STATE_ID = re.compile(r"[A-Za-z0-9_.-]{1,120}")


def find(settings: dict[str, Any], length: timedelta | None = None) -> list[Partition]:
    return Partitions().find(settings, length, parse_env=False)


def times(partition: Partition) -> tuple[str, str]:
    return partition.settings["start_date"], partition.settings["end_date"]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    def invoke(settings: dict[str, Any], *options: str) -> tuple[int, list[dict[str, Any]], str]:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(settings))
        result = CliRunner().invoke(command, ["--config", str(path), *options])
        return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.output

    return invoke


def test_a_piece_has_an_id_its_streams_and_the_changed_settings_twice(run: Any) -> None:
    code, lines, output = run(config("personalization", dataset_ids=["engage"]))
    assert code == 0
    assert lines == [
        {
            "id": "personalization.dataset-engage",
            "vendor": "personalization",
            "streams": ["users", "accounts"],
            "settings": {"start_date": START, "end_date": END, "personalization": {"dataset_ids": ["engage"]}},
            "env": {
                "TAP_CDP_EXPORT__SELECT_FILTER": '["users", "accounts"]',
                "TAP_CDP_EXPORT_START_DATE": START,
                "TAP_CDP_EXPORT_END_DATE": END,
                "TAP_CDP_EXPORT_PERSONALIZATION_DATASET_IDS": '["engage"]',
            },
        }
    ]
    assert "personalization-key" not in output


def test_without_a_length_only_datasets_and_segments_divide_the_work() -> None:
    settings = {
        **config("apsis", tables=["*"]),
        "personalization": vendor_settings("personalization", dataset_ids=["b2c", "b2b", "b2c"]),
        "braze": vendor_settings("braze", segment_ids=["s1", "global_control_group"], tables=["braze_segments"]),
    }
    assert [(found.id, found.streams) for found in find(settings) if found.vendor != "apsis"] == [
        ("personalization.dataset-b2c", ["users", "accounts"]),
        ("personalization.dataset-b2b", ["users", "accounts"]),
        ("braze.segment-s1", ["braze_users"]),
        ("braze.segment-global_control_group", ["braze_users"]),
        ("braze.tables", ["braze_segments"]),
    ]
    exports, tables = (found for found in find(settings) if found.vendor == "apsis")
    assert (exports.id, exports.streams) == ("apsis.exports", ["apsis_events", "apsis_profiles"])
    assert (tables.id, len(tables.streams)) == ("apsis.tables", 6)
    assert "apsis" not in tables.settings


def test_members_of_segments_are_not_divided_by_dataset() -> None:
    settings = config("personalization", dataset_ids=["b2c", "b2b"], segments=["VIP"], tables=["user_segments"])
    found = [(piece.id, piece.streams, piece.settings.get("personalization")) for piece in find(settings)]
    assert found[1:] == [
        ("personalization.dataset-b2b", ["users", "accounts"], {"dataset_ids": ["b2b"]}),
        ("personalization.tables", ["user_segments"], None),
    ]


def test_windows_follow_each_other_and_only_the_last_one_has_profiles() -> None:
    found = find(config("apsis"), 3 * DAY)
    assert [(piece.id, piece.streams, *times(piece)) for piece in found] == [
        ("apsis.from-20240301T000000Z", ["apsis_events"], "2024-03-01T00:00:00.000Z", "2024-03-04T00:00:00.000Z"),
        ("apsis.from-20240304T000000Z", ["apsis_events"], "2024-03-04T00:00:00.000Z", "2024-03-07T00:00:00.000Z"),
        (
            "apsis.from-20240307T000000Z",
            ["apsis_events", "apsis_profiles"],
            "2024-03-07T00:00:00.000Z",
            "2024-03-08T00:00:00.000Z",
        ),
    ]


def test_with_windows_everything_else_ends_where_the_last_one_does() -> None:
    settings = {**config("apsis"), "braze": vendor_settings("braze")}
    assert {times(piece)[1] for piece in find(settings, 30 * DAY)} == {"2024-03-08T00:00:00.000Z"}


def test_profiles_alone_are_not_divided_by_time() -> None:
    assert [piece.id for piece in find(config("apsis", events=[]), DAY)] == ["apsis.exports"]


def test_start_and_end_replace_those_of_the_settings(run: Any) -> None:
    code, lines, _ = run(config("apsis"), "--start=2024-01-01", "--end=2024-01-02T12:00:00Z", "--every=1d")
    assert code == 0
    assert [(line["settings"]["start_date"], line["settings"]["end_date"]) for line in lines] == [
        ("2024-01-01T00:00:00.000Z", "2024-01-02T00:00:00.000Z"),
        ("2024-01-02T00:00:00.000Z", "2024-01-02T12:00:00.000Z"),
    ]


def test_a_wildcard_is_resolved_by_asking_for_the_segments(requests_mock: Mocker) -> None:
    segments = [{"id": "1", "name": "VIP north"}, {"id": "2", "name": "Lost"}, {"id": "3", "name": "VIP south"}]
    requests_mock.get(f"{BRAZE_URL}/segments/list", [{"json": {"segments": segments}}, {"json": {"segments": []}}])
    found = find(config("braze", segment_ids=["VIP *", "9"]))
    assert [piece.settings["braze"] for piece in found] == [{"segment_ids": [number]} for number in "139"]


def test_the_vendors_refusal_to_list_segments_ends_with_11(
    requests_mock: Mocker, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(f"{BRAZE_URL}/segments/list", status_code=401, json={"message": "Invalid API key"})
    code, lines, _ = run(config("braze", segment_ids=["*"]))
    assert (code, lines) == (11, [])
    assert "(exit 11)" in caplog.text


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({}, (), "no vendor is configured"),
        (config("apsis"), ("--every=7",), "--every must be a whole number of weeks, days, hours or minutes"),
        (config("apsis"), ("--every=0d",), "--every must be"),
        (config("apsis"), ("--end=2023-01-01",), "end_date must be later than start_date"),
        ({"apsis": vendor_settings("apsis")}, ("--every=7d",), "start_date is missing"),
        (config("braze", segment_ids=None), (), "braze.segment_ids is missing"),
    ],
)
def test_what_is_wrong_ends_with_10(
    run: Any, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], options: tuple[str, ...], words: str
) -> None:
    code, lines, _ = run(settings, *options)
    assert (code, lines) == (10, [])
    assert words in caplog.text


def test_a_catalog_leaves_streams_out(run: Any, tmp_path: Path) -> None:
    catalog: dict[str, Any] = {
        "streams": [
            {
                "tap_stream_id": name,
                "schema": {"properties": {}},
                "metadata": [{"breadcrumb": [], "metadata": {"selected": name == "apsis_profiles"}}],
            }
            for name in ("apsis_profiles", "apsis_events", "braze_users")
        ]
    }
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    settings = {**config("apsis"), "braze": vendor_settings("braze")}
    code, lines, _ = run(settings, f"--catalog={tmp_path / 'catalog.json'}", "--every=1d")
    assert code == 0
    assert [(line["id"], line["streams"]) for line in lines] == [("apsis.exports", ["apsis_profiles"])]


def test_odd_and_long_names_become_state_ids_of_their_own() -> None:
    names = ["a:b", "a/b", "a b", "å", "x" * 300, "x" * 301, "tables"]
    settings = {**config("personalization", dataset_ids=names)}
    ids = [piece.id for piece in find(settings)]
    assert len(set(ids)) == len(names)
    assert all(STATE_ID.fullmatch(found) for found in ids)


def test_activate_version_is_off_where_it_would_drop_rows_of_another_piece() -> None:
    settings = {**config("braze", segment_ids=["s1", "s2"], tables=["braze_segments"])}
    on = find({**settings, "emit_activate_version_messages": True})
    assert [piece.settings.get("emit_activate_version_messages") for piece in on] == [False, False, None]
    assert all("emit_activate_version_messages" not in piece.settings for piece in find(settings))


def test_a_vendor_that_says_nothing_of_parts_is_one_piece() -> None:
    class FourVendorTap(TapCDPExport):
        vendors: ClassVar[tuple[Vendor, ...]] = (*VENDORS, weather.VENDOR)
        config_jsonschema: ClassVar[dict[str, Any]] = settings_schema(vendor.property for vendor in vendors)

    class FourVendorPartitions(Partitions):
        tap_class: ClassVar[type[TapCDPExport]] = FourVendorTap

    settings = {"weather": {"base_url": "https://198.51.100.8", "token": "t", "stations": ["north", "south"]}}
    (found,) = FourVendorPartitions().find(settings, DAY, parse_env=False)
    assert (found.id, found.streams) == ("weather.tables", ["weather_readings"])
