"""Personalization's CSV, whose dialect no page describes: every variant is an option."""

from __future__ import annotations

import csv
import io
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import msgspec

from tap_cdp_export.sandbox.personalization.export_users import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_cdp_export.sandbox.options import PersonalizationOptions

_STATISTICS = ("engagementScore", "engagementPercentChange", "firstActivity", "lastActivity", "totalActions")
_COLUMNS = {
    "users": ("name", "displayName", "emailAddress", "accountName", *_STATISTICS, "segments"),
    "accounts": ("name", *_STATISTICS, "accountStatus", "industry"),
}
_FILTERED = ("segmentJoined", "segmentInputValues")
_GEO = ("city", "stateProvince", "countryCode", "postalCode", "timeZone")


def csv_page(
    records: Iterator[dict[str, Any]], kind: str, options: PersonalizationOptions, *, paged: bool
) -> Iterator[bytes]:
    """One CSV body: a header and a line for each record.

    Args:
        records: The records, as JSON would hold them.
        kind: "users" or "accounts".
        options: The dialect.
        paged: A page is small enough to look at all its records before writing its header.
    """
    rows = (_flat(record, options) for record in records)
    seen = list(rows) if paged else list(islice(rows, 1))
    first = seen[0] if seen else None
    if first is None and options.csv_end == "empty":
        return
    columns = [*_COLUMNS[kind], *(name for name in (*_FILTERED, *_GEO) if first and name in first)]
    if kind == "users":
        present = set(chain.from_iterable(seen)) if paged and options.csv_columns_vary else set(ATTRIBUTES)
        columns += [name for name in ATTRIBUTES if name in present]
    if options.csv_shuffled:
        columns.reverse()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n" if options.csv_crlf else "\n")
    if options.csv_bom:
        text.write("\ufeff")
    twice = options.csv_duplicate_header
    writer.writerow([options.csv_key if name == "name" else name for name in columns] + ["lastActivity"] * twice)
    for row in chain(seen, rows):
        writer.writerow([_cell(row.get(name), options) for name in columns] + ["again"] * twice)
        yield _taken(text)
    if options.csv_blank_last_line:
        text.write("\r\n" if options.csv_crlf else "\n")
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    """What has been written, which is then forgotten."""
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data


def _flat(record: dict[str, Any], options: PersonalizationOptions) -> dict[str, Any]:
    """Attributes and places become columns of their own."""
    row = {name: value for name, value in record.items() if name not in ("attributes", "location")}
    attributes = record.get("attributes", {})
    if isinstance(attributes, list):
        attributes = {item["name"]: item["value"] for item in attributes}
    if "note" in attributes and not options.csv_quoted_newlines:
        attributes["note"] = "rang"
    row.update(attributes)
    row.update({name: value for name, value in record.get("location", {}).items() if name in _GEO})
    return row


def _cell(value: Any, options: PersonalizationOptions) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return options.csv_list_separator.join(map(str, value))
    return msgspec.json.encode(value).decode()
