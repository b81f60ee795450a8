"""CSV pages of Personalization; the dialect is undocumented, so every variant is an option."""

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
    """Yield a CSV body: a header and a row for each record.

    Args:
        records: Records in the form of the JSON export.
        kind: "users" or "accounts".
        options: Dialect.
        paged: Whether this is a page, which is small enough to read all records before the header is written.
    """
    rows = (_flat(record, options) for record in records)
    leading_rows = list(rows) if paged else list(islice(rows, 1))
    first = leading_rows[0] if leading_rows else None
    if first is None and options.csv_end == "empty":
        return
    columns = [*_COLUMNS[kind], *(name for name in (*_FILTERED, *_GEO) if first and name in first)]
    if kind == "users":
        present = set(chain.from_iterable(leading_rows)) if paged and options.csv_columns_vary else set(ATTRIBUTES)
        columns += [name for name in ATTRIBUTES if name in present]
    if options.csv_shuffled:
        columns.reverse()
    text = io.StringIO(newline="")
    line_end = "\r\n" if options.csv_crlf else "\n"
    writer = csv.writer(text, lineterminator=line_end, delimiter=options.csv_delimiter)
    if options.csv_bom:
        text.write("\ufeff")
    if options.csv_blank_first_line:
        text.write(line_end)
    has_duplicate = options.csv_duplicate_header
    writer.writerow(
        [options.csv_key if name == "name" else name for name in columns] + ["lastActivity"] * has_duplicate
    )
    for row in chain(leading_rows, rows):
        writer.writerow([_cell(row.get(name), options) for name in columns] + ["again"] * has_duplicate)
        yield _drain(text)
    if options.csv_blank_last_line:
        text.write(line_end)
    yield _drain(text)


def _drain(text: io.StringIO) -> bytes:
    """Return the written text, and empty the buffer."""
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data


def _flat(record: dict[str, Any], options: PersonalizationOptions) -> dict[str, Any]:
    """Flatten attributes and location into columns."""
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
