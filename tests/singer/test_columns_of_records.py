"""Every record of every stream has the columns of its SCHEMA and no others, whatever is done to it on its way."""

from __future__ import annotations

import copy
import gzip
import json
from collections import defaultdict
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tap_cdp_export.tap import VENDORS, TapCDPExport
from tests.helpers.in_process import sync
from tests.whole_tap.conftest import NOW

START = "2026-06-01T00:00:00Z"
"""Early enough, with that many people, for every list of suppressions to have a row."""

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.running import Row, Run

    Rows = dict[str, list[Row]]

LEFT_OUT = {"window_start", "segments", "home_city", "description", "count", "model"}
"""Columns that the second catalog deselects, of some streams each."""


@contextmanager
def settings_of_a_sandbox() -> Iterator[dict[str, Any]]:
    """Serve the same people each time; a sandbox that is asked by all tests would make them wait."""
    with Sandbox(Options(population=PopulationOptions(users=150, companies=5, now=NOW))) as sandbox:
        settings = sandbox.settings()
        tables = {vendor.name: {**settings[vendor.name], "tables": ["*"]} for vendor in VENDORS}
        tables["apsis"]["window_days"] = 88  # few exports
        yield {**settings, **tables, "start_date": START, "end_date": NOW}


@pytest.fixture(scope="module")
def catalog() -> dict[str, Any]:
    """Every stream of the tap."""
    with settings_of_a_sandbox() as settings:
        found: dict[str, Any] = copy.deepcopy(TapCDPExport(config=settings).catalog_dict)
    for entry in found["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = True
    return found


@pytest.fixture(scope="module")
def plain(catalog: dict[str, Any]) -> Rows:
    """The records as they are when nothing is done to them."""
    with settings_of_a_sandbox() as settings:
        run = sync(settings, catalog=catalog)
    assert run.exit_code == 0, run.log
    rows = rows_of(run)
    assert rows.keys() == {entry["tap_stream_id"] for entry in catalog["streams"]}
    return rows


def partial(catalog: dict[str, Any]) -> dict[str, Any]:
    """Deselect some columns, in a catalog as an earlier version of the tap made it."""
    changed = copy.deepcopy(catalog)
    for entry in changed["streams"]:
        for schema in entry["schema"]["properties"].values():
            if "object" in schema["type"]:
                schema["properties"] = {}
        for item in entry["metadata"]:
            if item["breadcrumb"] and item["breadcrumb"][-1] in LEFT_OUT:
                item["metadata"]["selected"] = False
    return changed


def rows_of(run: Run) -> Rows:
    """Read the records of all streams, from RECORD messages or from files, and hold each against its SCHEMA."""
    rows: Rows = defaultdict(list)
    columns: dict[str, Any] = {}
    for message in run.messages:
        if message["type"] == "SCHEMA":
            columns[message["stream"]] = message["schema"]["properties"]
            assert columns[message["stream"]].keys() >= {*message["key_properties"]}
        elif message["type"] == "RECORD":
            rows[message["stream"]].append(message["record"])
        elif message["type"] == "BATCH":
            for url in message["manifest"]:
                data = gzip.decompress(Path(urlsplit(url).path).read_bytes())
                rows[message["stream"]] += map(json.loads, data.splitlines())
    for stream, records in rows.items():
        for record in records:
            assert record.keys() == columns[stream].keys(), stream
            for name, value in record.items():
                assert value is None or kinds(value) & {*columns[stream][name]["type"]}, (stream, name)
    return rows


def kinds(value: object) -> set[str]:
    """Give the types of JSON schema that a value may have."""
    found: dict[type, set[str]] = {
        str: {"string"},
        bool: {"boolean"},
        int: {"integer", "number"},
        float: {"number"},
        dict: {"object"},
        list: {"array"},
    }
    return found[type(value)]


def as_text(value: object) -> object:
    """Give what flattening makes of a nested value, in a form that can be compared."""
    return ["text of", value] if isinstance(value, dict | list) else value


def read_back(value: object, original: object) -> object:
    return ["text of", json.loads(value)] if isinstance(value, str) and isinstance(original, dict | list) else value


DEPTHS = [None, 0, 1, 2]
NOTES = {"no map": None, "columns": "'mapped'", "records": "'mapped' if record else None"}
FORMS = {"whole, RECORD": False, "partial, BATCH": True}


def combinations() -> Iterator[Any]:
    """Give every combination; half of them, in which each pair of values comes once or more, run by default."""
    for (row, depth), (column, name), form in product(enumerate(DEPTHS), enumerate(NOTES), FORMS):
        marks = () if (row + column) % 2 == FORMS[form] else pytest.mark.faults
        yield pytest.param(depth, NOTES[name], FORMS[form], id=f"{depth}-{name}-{form}", marks=marks)


@pytest.mark.parametrize(("depth", "note", "is_partial"), [*combinations()])
def test_every_record_has_the_columns_of_its_schema(  # noqa: PLR0913 -- three fixtures, three dimensions
    catalog: dict[str, Any],
    plain: Rows,
    tmp_path: Path,
    *,
    depth: int | None,
    note: str | None,
    is_partial: bool,
) -> None:
    changes: dict[str, Any] = {"stream_maps": {"*": {"note": note, "extra": "extra"}}} if note else {}
    if depth is not None:
        changes |= {"flattening_enabled": True, "flattening_max_depth": depth}
    if is_partial:
        changes |= {"batch_config": {"storage": {"root": tmp_path.as_uri()}}}
    with settings_of_a_sandbox() as settings:
        run = sync({**settings, **changes}, catalog=partial(catalog) if is_partial else catalog)
    assert run.exit_code == 0, run.log
    rows = rows_of(run)
    assert rows.keys() == plain.keys()
    for stream, records in rows.items():
        added = {"note": "mapped"} if note else {}
        for record, original in zip(records, plain[stream], strict=True):
            expected = {
                **{name: value for name, value in original.items() if not is_partial or name not in LEFT_OUT},
                **added,
            }
            if depth is None:
                assert record == expected
            else:
                found = {name: read_back(value, original.get(name)) for name, value in record.items()}
                assert found == {name: as_text(value) for name, value in expected.items()}
