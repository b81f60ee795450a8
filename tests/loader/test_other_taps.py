"""What other taps emit: stream names, schemas, key orders and versions; see `tests/loader/other_taps/README.md`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.loader.loading import Warehouse

OUTPUTS = Path(__file__).with_name("other_taps")
PLACED = datetime(2026, 1, 2, 1, 4, 5, 678901, tzinfo=UTC).replace(tzinfo=None)


def load_twice(warehouse: Warehouse, name: str) -> None:
    """Load an output, and the same again."""
    for _ in range(2):
        warehouse.load(*(OUTPUTS / name).read_bytes().splitlines(keepends=True))


@pytest.mark.parametrize("name", ["meltanolabs-tap-postgres-0.10.0.jsonl", "pipelinewise-tap-postgres-2.1.0.jsonl"])
def test_taps_of_postgresql(warehouse: Warehouse, name: str) -> None:
    load_twice(warehouse, name)
    columns = '"order id", line, "Unit Price", placed_at, due::DATE, at_time, paid, tags, details, "ünï", ratio, uid'
    assert warehouse.rows(columns, "public-Order Items") == [
        (
            *(1, 1, 19.99, PLACED, date(2026, 1, 5), "10:30:00", True, '["a","b c"]', '{"k":[1,null,"x"]}'),
            *('Åsa "q" \\ \n tab\t', 1.5, "6f1b1c3a-0000-4000-8000-000000000001"),
        ),
        (1, 2, 0.0001, None, None, None, None, "[]" if "pipelinewise" in name else None, None, "", None, None),
        (
            *(2, 1, 5.0, datetime(2026, 2, 1, tzinfo=UTC).replace(tzinfo=None), date(2026, 2, 1), "23:59:59"),
            *(False, "[]", "{}", "😀", 0.1, None),
        ),
    ]
    assert warehouse.types("public-Order Items")["order id"] == "BIGINT"
    assert warehouse.rows("n, v", "public-no_key") == [(1, "x")] * 4 + [(2, None)] * 2
    assert set(warehouse.states[-1]["bookmarks"]) == {"public-Order Items", "public-no_key"}


def test_a_tap_of_json_lines(warehouse: Warehouse) -> None:
    load_twice(warehouse, "tap-jsonl-0.3.1.jsonl")
    assert warehouse.rows("id, user, score, late, _sdc_filename", "people.v2") == [
        (1, '{"name":"Åsa","langs":["sv"]}', 1.5, None, "/data/in.data"),
        (2, None, 2.0, "x", "/data/in.data"),
    ]


def test_a_tap_of_spreadsheets(warehouse: Warehouse) -> None:
    load_twice(warehouse, "tap-spreadsheets-1.1.2.jsonl")
    assert warehouse.rows("id, full_name, joined, amount", "spreadsheet_stream") == [
        ("1", "Åsa Öberg", "2026-01-02", "10.5"),
        ("2", "Smith, Jo", "2026-01-03", ""),
        ("3", "", "2026-01-04", "7"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b'{"stream":"t","record":{"k":"1"},"type":"RECORD"}\n',
        b'{"record": {"k": "1", "type": "STATE"}, "type": "RECORD", "stream": "t"}\n',
        b'{"record": {"k": "1", "x": NaN}, "type": "RECORD", "stream": "t"}\n',
        b'  { "type" : "RECORD" , "stream" : "t" , "record" : { "k" : "1" } }  \r\n',
        b'{"type":"RECORD","stream":"\\u0074","record":{"k":"1"}}\n',
        b'{"type":"RECORD","version":null,"time_extracted":null,"stream":"t","record":{"k":"1"}}\n',
        b'{"\\u0074ype":"RECORD","stream":"t","record":{"\\u006b":"1"}}\n',
    ],
)
def test_a_record_may_be_written_in_any_way(warehouse: Warehouse, line: bytes) -> None:
    head = b'{"key_properties":["k"],"schema":{"properties":{"k":{"type":"string"}}},"stream":"t","type":"SCHEMA"}\n'
    warehouse.load(head, b"\n", line, b" \r\n", line)
    assert warehouse.rows() == [("1",)]


def test_a_stream_whose_name_begins_with_anothers(warehouse: Warehouse) -> None:
    names = ["a", "a b", "ö"]
    head = '{"type":"SCHEMA","stream":"%s","schema":{"properties":{"k":{"type":"string"}}},"key_properties":[]}\n'
    record = '{"type":"RECORD","stream":"%s","record":{"k":"%s"}}\n'
    messages = [(head % name).encode() for name in names] + [(record % (name, name)).encode() for name in names * 2]
    warehouse.load(*messages)
    assert [warehouse.rows(table=name) for name in names] == [[(name,)] * 2 for name in names]
