"""DuckDB and PostgreSQL after two runs through Meltano: no lost rows, no duplicates, every value in its column."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.helpers.about import streams
from tests.targets.loaded import KEYS, SECOND_END, Loaded, from_json

if TYPE_CHECKING:
    from tests.helpers.running import Warehouse

pytestmark = pytest.mark.meltano

TIMESTAMP = {"target-duckdb": "TIMESTAMP", "target-postgres": "timestamp without time zone"}
TEXT = {"target-duckdb": "VARCHAR", "target-postgres": "text"}
OBJECT = {"target-duckdb": "JSON", "target-postgres": "jsonb"}
ARRAY = {"target-duckdb": "JSON", "target-postgres": "ARRAY"}


def test_the_first_run_loads_as_many_rows_as_the_sandbox_counts(loaded: Loaded, expected_first: dict[str, int]) -> None:
    assert min(expected_first.values()) > 0
    assert loaded.counts[0] == expected_first


def test_the_second_run_doubles_and_loses_no_row(loaded: Loaded, emitted: Warehouse) -> None:
    assert loaded.counts[1] == emitted.counts
    assert loaded.counts[1]["apsis_events"] > loaded.counts[0]["apsis_events"]
    for stream, (first, *_) in KEYS.items():
        assert loaded.column(stream, first).keys() == emitted.tables[stream].keys()


def test_the_second_run_updates_the_rows_of_the_first(loaded: Loaded) -> None:
    end = datetime.fromisoformat(SECOND_END).replace(tzinfo=None)
    start = end - timedelta(days=30)  # the default of statistics_days, which is longer than the time between the runs
    assert set(loaded.column("users", "window_start").values()) == {start}
    assert set(loaded.column("users", "window_end").values()) == {end}


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        ("users", "attributes"),
        ("users", "segments"),
        ("apsis_profiles", "attributes"),
        ("apsis_profiles", "tags"),
        ("apsis_events", "data"),
        ("braze_users", "custom_attributes"),
    ],
)
def test_nested_values_arrive_as_they_were_emitted(loaded: Loaded, emitted: Warehouse, stream: str, name: str) -> None:
    found = {key: from_json(value) for key, value in loaded.column(stream, name).items()}
    assert found == {key: row[name] for key, row in emitted.tables[stream].items()}


def test_a_profile_without_sections_keeps_its_key(loaded: Loaded) -> None:
    assert "-" in {section for _, section in loaded.column("apsis_profiles", "section_id")}


@pytest.mark.parametrize("stream", KEYS)
def test_the_streams_key_is_the_tables_primary_key(loaded: Loaded, stream: str) -> None:
    assert streams()[stream]["key_properties"] == list(KEYS[stream])
    assert loaded.primary_key(stream) == list(KEYS[stream])


@pytest.mark.parametrize("stream", KEYS)
def test_every_column_has_the_type_of_its_property(loaded: Loaded, stream: str) -> None:
    types = loaded.types(stream)
    for name, schema in streams()[stream]["schema"]["properties"].items():
        if schema.get("format") == "date-time":
            assert types[name] == TIMESTAMP[loaded.target]
        elif "object" in schema["type"]:
            assert types[name] == OBJECT[loaded.target]
        elif "array" in schema["type"]:
            assert types[name] == ARRAY[loaded.target]
        elif "string" in schema["type"]:
            assert types[name] == TEXT[loaded.target]
        else:
            assert types[name] not in {TEXT[loaded.target], OBJECT[loaded.target]}
