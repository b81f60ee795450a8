"""Writes the data dictionary from the catalog: `python -m tests.write_dictionary`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.tap import VENDORS
from tests.helpers.about import ROOT, streams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_cdp_export.singer.stream import ExportStream
    from tap_cdp_export.vendors.vendor import Vendor

FOLDER: Final = ROOT / "docs" / "dictionary"
_NOTE: Final = "This page is made by `python -m tests.write_dictionary`."


def pages() -> dict[Path, str]:
    """Build the pages: one a vendor, and the table of all streams."""
    catalog = streams()
    parts = {FOLDER / f"{vendor.name}.md": _page(vendor, catalog) for vendor in VENDORS}
    return {FOLDER / "index.md": _index(catalog), **parts}


def _index(catalog: dict[str, Any]) -> str:
    lines = [
        "# Data dictionary",
        "",
        f"All streams, and the tables that they become. {_NOTE} A stream that is offered on request is read only where",
        "the vendor's setting `tables` names it ([streams on request](../streams.md#streams-on-request)).",
    ]
    for vendor in VENDORS:
        lines += ["", f"## {vendor.title}", ""]
        lines += ["| stream | key | replication | offered | contents |", "|---|---|---|---|---|"]
        for name, stream in vendor.streams.items():
            entry = catalog[name]
            cells = (
                f"[`{name}`]({vendor.name}.md#{name})",
                _names(entry["key_properties"]),
                entry["replication_method"],
                "on request" if stream.is_on_request else "always",
                _description(stream).partition("\n")[0],
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _page(vendor: Vendor, catalog: dict[str, Any]) -> str:
    lines = [
        f"# {vendor.title}: tables",
        "",
        f"{_NOTE} What to know about the tables is on the page [streams](../streams.md).",
    ]
    permissions = sorted({name for stream in vendor.streams.values() for name in _permissions(stream)})
    if permissions:
        lines += ["", f"All tables together need these permissions: {_names(permissions)}."]
    for name, stream in vendor.streams.items():
        lines += ["", f"## {name}", "", *_section(vendor, stream, catalog[name])]
    return "\n".join(lines) + "\n"


def _section(vendor: Vendor, stream: type[ExportStream], entry: dict[str, Any]) -> Iterator[str]:
    yield _description(stream)
    yield ""
    yield f"- Key: {_names(entry['key_properties'])}"
    by = f", by `{entry['replication_key']}`" if entry.get("replication_key") else ""
    yield f"- Replication: {entry['replication_method']}{by}"
    setting = f"only where `{vendor.name}.tables` names it" if stream.is_on_request else "always"
    yield f"- Offered: {setting}"
    yield f"- Permission: {_names(_permissions(stream)) or 'not published by the vendor'}"
    yield ""
    yield "| column | type | format | key | description |"
    yield "|---|---|---|---|---|"
    for name, schema in _columns(entry["schema"]["properties"]):
        cells = (
            f"`{name}`",
            _kind(schema),
            schema.get("format", ""),
            ", ".join(_roles(name, entry)),
            _escaped(schema.get("description", "")),
        )
        yield f"| {' | '.join(cells)} |"


def _permissions(stream: type[ExportStream]) -> list[str]:
    return [name for name in stream.permission.split(", ") if name]


def _roles(column: str, entry: dict[str, Any]) -> Iterator[str]:
    """Say what a column is to its table."""
    if column in entry["key_properties"]:
        yield "key"
    if column == entry.get("replication_key"):
        yield "replication"


def _columns(properties: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the columns, and behind each of them the declared fields of its objects."""
    for name, schema in properties.items():
        yield f"{prefix}{name}", schema
        inner, mark = (schema["items"], "[].") if "items" in schema else (schema, ".")
        yield from _columns(inner.get("properties", {}), f"{prefix}{name}{mark}")


def _kind(schema: dict[str, Any]) -> str:
    """Say which type a value has when it is not null."""
    types = schema.get("type", [])
    (kind,) = [name for name in ([types] if isinstance(types, str) else types) if name != "null"] or ("any",)
    return f"array of {_kind(schema['items'])}" if "items" in schema else str(kind)


def _escaped(text: str) -> str:
    """Keep a text from being taken for the end of a cell, or for HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _description(stream: type[ExportStream]) -> str:
    return inspect.cleandoc(stream.__doc__ or "").partition("\nAttributes:")[0].strip()


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
