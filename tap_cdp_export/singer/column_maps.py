"""Stream maps applied to columns: only the columns that an expression reads become records.

Which columns a map reads, passes on and makes is decided beforehand; where that is not possible, each whole record
goes through the SDK's map instead. Expressions are evaluated by the SDK's map, on records with nothing but the columns
that they read. For example, of the columns `name`, `email` and `extra`, the map `{"id": "md5(email)"}` reads `email`,
passes on all three, and makes `id`: the SDK's map sees records such as `{"email": "a@b.example"}`.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    NULL_STRING,
    CustomStreamMap,
    SameRecordTransform,
)

from tap_cdp_export.records.batch import NEEDS_JSON_ESCAPE, plain_values
from tap_cdp_export.singer.stream_maps import corrected, expression_failed, transformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

    Columns = Mapping[str, Iterable[Any]]
    Lists = dict[str, list[Any]]

_OPTIONS: Final = {
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
}
_WHOLE_RECORD: Final = {"_", "record"}
_RANDOM: Final = {"fake"}
"""Forked processes have the same random state, so that each would make the same values."""

_FREE_FORM: Final = {"array", "object"}


class ColumnMap:
    """A stream map that is applied to columns.

    Attributes:
        alias: name of the stream in the messages.
    """

    def __init__(
        self,
        stream_map: StreamMap,
        *,
        read: Sequence[str] = (),
        passed: Iterable[str] = (),
        made: Mapping[str, str] | None = None,
        filter_rule: str | None = None,
    ) -> None:
        """Initialize.

        Args:
            stream_map: the SDK's.
            read: the columns that its expressions read.
            passed: the columns that it passes on unchanged.
            made: expressions of the columns that it makes.
            filter_rule: expression that is true for the records it keeps.
        """
        self.alias = stream_map.stream_alias
        self._map = stream_map
        self._stream = str(getattr(stream_map, "stream_name", self.alias))
        self._read = read
        self._passed = frozenset(passed)
        self._made = made or {}
        self._filters = filter_rule is not None

    def apply(self, columns: Columns) -> tuple[Columns, int]:
        """Map records.

        Args:
            columns: their selected columns, all equally long.

        Returns:
            The mapped columns, and the number of records that the filter has left out.

        Raises:
            SettingsError: If an expression fails on a record.
        """
        if not self._made and not self._filters:
            return {name: values for name, values in columns.items() if name in self._passed}, 0
        whole = {name: list(values) for name, values in columns.items()}
        made, kept = self._mapped(whole)
        passed: Columns = {name: values for name, values in whole.items() if name in self._passed}
        left_out = kept.count(False)
        if left_out:
            passed = {name: compress(values, kept) for name, values in passed.items()}
        mapped = {**passed, **made}
        return {**{name: mapped[name] for name in whole if name in mapped}, **mapped}, left_out

    def _mapped(self, whole: Lists) -> tuple[Lists, list[bool]]:
        """Return the columns that are made, and for each record whether it is kept."""
        names = [name for name in self._read if name in whole] or [*whole][:1]  # without any, no number of records
        rows = zip(*(plain_values(whole[name]) for name in names), strict=True)
        results = [self._evaluate(dict(zip(names, row, strict=True))) for row in rows]
        mapped = [record for record in results if record is not None]
        made = {name: [record[name] for record in mapped] for name in self._made}
        return made, [record is not None for record in results]

    def _evaluate(self, record: dict[str, Any]) -> dict[str, Any] | None:
        if self._made:
            return transformed(self._map, record, self._stream)
        try:
            return record if self._map.get_filter_result(record) else None
        except Exception as error:  # noqa: BLE001 -- as in `transformed`
            raise expression_failed(self._stream, error) from None


def column_map(
    stream_map: StreamMap, definitions: Mapping[str, Any], stream: str, columns: Mapping[str, Any]
) -> ColumnMap | None:
    """Convert a stream map of the SDK.

    Args:
        stream_map: the SDK's, the only one of the stream.
        definitions: the setting `stream_maps`.
        stream: the stream's name.
        columns: JSON schemas of the selected columns by name.

    Returns:
        The map for columns; None if it needs whole records.
    """
    if stream_map.flattening_enabled:
        return None
    if type(stream_map) is SameRecordTransform:
        return ColumnMap(stream_map, passed=columns)
    matching = [found for pattern, found in definitions.items() if fnmatch(stream, pattern)]
    if type(stream_map) is not CustomStreamMap or len(matching) != 1:
        return None
    definition = corrected(matching[0], stream_map.raw_schema, stream_map.raw_key_properties)
    expressions = {name: expression for name, expression in definition.items() if name not in _OPTIONS}
    made = {name: expression for name, expression in expressions.items() if expression not in {None, NULL_STRING}}
    filter_rule = definition.get(MAPPER_FILTER_OPTION)
    trees = [*map(ast.parse, [*made.values(), *([filter_rule] if filter_rule is not None else [])])]
    names = _names(trees)
    if "self" in names:
        names |= made.keys()
    read = [name for name in columns if name in names]
    passed = () if MAPPER_ELSE_OPTION in definition else columns.keys() - expressions.keys()
    needs_records = not names.isdisjoint(_WHOLE_RECORD | _RANDOM) or any(map(NEEDS_JSON_ESCAPE.search, made))
    if needs_records or _may_change_config(trees) or any(_is_free_form(columns[name]) for name in read):
        return None
    if not passed and not made:
        return None
    return ColumnMap(stream_map, read=read, passed=passed, made=made, filter_rule=filter_rule)


def _names(trees: Iterable[ast.AST]) -> set[str]:
    """Collect the names in expressions."""
    return {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _may_change_config(trees: Iterable[ast.AST]) -> bool:
    """Return whether a method of `config` may be called: a change would reach one process only."""
    nodes = (node for tree in trees for node in ast.walk(tree))
    return "config" in _names(node for node in nodes if isinstance(node, ast.Attribute))


def _is_free_form(schema: Mapping[str, Any]) -> bool:
    """Return whether a column may hold objects or arrays."""
    types = schema.get("type", [])
    kinds = {types} if isinstance(types, str) else {*types}
    return not kinds - {"null"} or not kinds.isdisjoint(_FREE_FORM)
