"""Column types: from a JSON schema, and wider ones when a schema has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.loader.errors import UnusableInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TEXT: Final = "VARCHAR"
JSON: Final = "JSON"
INTEGERS: Final = tuple(
    f"{sign}{name}" for sign in ("", "U") for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
)
"""All of DuckDB: a user, or another loader, may have chosen those that this module does not choose."""

SPELLINGS: Final = ("TIMESTAMP", "DATE", "DOUBLE")
"""Types whose values are written in several ways, such as `2026-01-01T00:00Z` and `2026-01-01`, or `1` and `1.0`."""

_TYPES: Final = {"boolean": "BOOLEAN", "integer": "BIGINT", "number": "DOUBLE", "object": JSON, "array": JSON}
_FORMATS: Final = {"date-time": "TIMESTAMP", "date": "DATE"}
_WIDER: Final = {
    frozenset({"BIGINT", "HUGEINT"}): "HUGEINT",
    frozenset({"BIGINT", "DOUBLE"}): "DOUBLE",
    frozenset({"HUGEINT", "DOUBLE"}): "DOUBLE",
    frozenset({"DATE", "TIMESTAMP"}): "TIMESTAMP",
}
_OWN: Final = frozenset({TEXT, "HUGEINT", *_TYPES.values(), *_FORMATS.values()})


def columns_of(stream: str, schema: Mapping[str, Any]) -> dict[str, str]:
    """Choose a type for every property.

    Args:
        stream: name of the stream, for an error message.
        schema: schema of the stream's records.

    Returns:
        Name and type of every column.

    Raises:
        UnusableInput: If there is no property, the names cannot be those of columns, or a type cannot be read.
    """
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        raise UnusableInput(f"The schema of {stream} has no properties, so its table would have no columns.")
    seen: dict[str, str] = {}
    for name in properties:
        if not name or "\0" in name:
            raise UnusableInput(f"The schema of {stream} has a property whose name is empty or holds a NUL character.")
        if (other := seen.setdefault(name.lower(), name)) != name:
            raise UnusableInput(
                f"{stream} has the properties {other} and {name}, which DuckDB does not tell apart. "
                "Rename or remove one, for example with a stream map of the tap."
            )
    columns = {}
    for name, inner in properties.items():
        try:
            columns[name] = type_of(inner)
        except TypeError:  # a list where a text has to be, and the like
            raise UnusableInput(f"The schema of {stream}.{name} is not a JSON schema.") from None
    return columns


def type_of(schema: object) -> str:
    """Choose the type that holds all values of a schema.

    Times with a zone become TIMESTAMP in UTC; objects, arrays and values of unknown type become JSON; other mixtures,
    and times without a date (which may have an offset), become text.

    Args:
        schema: schema of a property.

    Returns:
        A type of DuckDB.
    """
    types = set(_alternatives(schema))
    if not types:
        return JSON
    return _join(types)


def _alternatives(schema: object) -> Iterator[str]:
    """Yield the types of all alternatives that are not null."""
    if not isinstance(schema, dict):
        return
    inner = [part for key in ("anyOf", "oneOf", "allOf") for part in schema.get(key, ())]
    names = schema.get("type", [] if inner else sorted({_name_of(value) for value in _constants(schema)}))
    for name in [names] if isinstance(names, str) else names:
        if name == "string":
            yield _FORMATS.get(schema.get("format", ""), TEXT)
        elif name == "integer" and not all(-(2**63) <= bound < 2**63 for bound in _bounds(schema)):
            yield "HUGEINT"
        elif name != "null":
            yield _TYPES.get(name, JSON)
    for part in inner:
        yield from _alternatives(part)


def _bounds(schema: Mapping[str, Any]) -> list[int | float]:
    return [schema[key] for key in ("minimum", "maximum") if isinstance(schema.get(key), int | float)]


def _constants(schema: Mapping[str, Any]) -> list[Any]:
    return [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]


def _name_of(value: object) -> str:
    """Return the JSON schema type of a value."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array"}
    return names.get(type(value), "object")


def _join(types: Iterable[str]) -> str:
    first, *others = sorted(types)
    for other in others:
        first = first if first == other else _WIDER.get(frozenset({first, other}), JSON if JSON in types else TEXT)
    return first


def widened(existing: str, wanted: str) -> str:
    """Choose the type that holds both the rows of a table and new values.

    Args:
        existing: type of the column.
        wanted: type of the values to come.

    Returns:
        A type; the existing one if it can hold the values, or if it is none that this module chooses.
    """
    if existing in {wanted, TEXT, JSON} or existing not in _OWN:
        return existing
    return _WIDER.get(frozenset({existing, wanted}), TEXT)
