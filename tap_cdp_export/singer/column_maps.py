"""Stream maps applied to columns: only what an expression reads has to become a record.

Which columns a map must be shown, which pass it by, and which it makes is decided beforehand; where it cannot be,
each whole record goes through the SDK's map instead. Expressions are evaluated by the SDK's map, which is given
records of nothing but the columns they read.
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
from tap_cdp_export.singer.stream_maps import expression_failed, mended, transformed

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
_NOT_SHARED: Final = {"fake"}
"""Processes that begin alike would all invent the same."""

_FREE: Final = {"array", "object"}


class ColumnMap:
    """What a stream map does, column by column.

    Attributes:
        alias: the name under which its records go out.
    """

    def __init__(
        self,
        stream_map: StreamMap,
        *,
        shown: Sequence[str] = (),
        passed: Iterable[str] = (),
        made: Mapping[str, str] | None = None,
        filter_rule: str | None = None,
    ) -> None:
        """Take the map apart.

        Args:
            stream_map: the SDK's.
            shown: the columns that it reads, as far as records have them.
            passed: the columns that it leaves alone.
            made: expressions of the columns that it gives.
            filter_rule: an expression that tells which records it lets out.
        """
        self.alias = stream_map.stream_alias
        self._map = stream_map
        self._stream = str(getattr(stream_map, "stream_name", self.alias))
        self._shown = shown
        self._passed = frozenset(passed)
        self._made = made or {}
        self._filters = filter_rule is not None

    def apply(self, columns: Columns) -> tuple[Columns, int]:
        """Map records.

        Args:
            columns: their selected columns, all equally long.

        Returns:
            Their columns as the map has them, and how many records it left out.
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
        """Make the columns that are made, and tell which records are kept."""
        names = [name for name in self._shown if name in whole] or [*whole][:1]  # one tells how many records there are
        shown = {name: plain_values(whole[name]) for name in names}
        rows = zip(*shown.values(), strict=True)
        found = [self._evaluated(dict(zip(names, row, strict=True))) for row in rows]
        mapped = [record for record in found if record is not None]
        made = {name: [record[name] for record in mapped] for name in self._made}
        return made, [record is not None for record in found]

    def _evaluated(self, record: dict[str, Any]) -> dict[str, Any] | None:
        if self._made:
            return transformed(self._map, record, self._stream)
        try:
            return record if self._map.get_filter_result(record) else None
        except Exception as error:  # noqa: BLE001 -- as in `transformed`
            raise expression_failed(self._stream, error) from None


def column_map(
    stream_map: StreamMap, definitions: Mapping[str, Any], stream: str, columns: Mapping[str, Any]
) -> ColumnMap | None:
    """Tell what a stream map does to columns.

    Args:
        stream_map: the SDK's, the only one of the stream.
        definitions: the setting `stream_maps`.
        stream: the stream's name.
        columns: JSON schemas of the selected columns by name.

    Returns:
        The map over columns; None where it must see whole records.
    """
    if stream_map.flattening_enabled:
        return None
    if type(stream_map) is SameRecordTransform:
        return ColumnMap(stream_map, passed=columns)
    matching = [found for pattern, found in definitions.items() if fnmatch(stream, pattern)]
    if type(stream_map) is not CustomStreamMap or len(matching) != 1:
        return None
    definition = mended(matching[0], stream_map.raw_schema, stream_map.raw_key_properties)
    expressions = {name: expression for name, expression in definition.items() if name not in _OPTIONS}
    made = {name: expression for name, expression in expressions.items() if expression not in {None, NULL_STRING}}
    filter_rule = definition.get(MAPPER_FILTER_OPTION)
    trees = [*map(ast.parse, [*made.values(), *([filter_rule] if filter_rule is not None else [])])]
    read = _names(trees)
    if "self" in read:
        read |= made.keys()
    shown = [name for name in columns if name in read]
    passed = () if MAPPER_ELSE_OPTION in definition else columns.keys() - expressions.keys()
    is_known = read.isdisjoint(_WHOLE_RECORD | _NOT_SHARED) and not any(map(NEEDS_JSON_ESCAPE.search, made))
    if not is_known or _may_change_config(trees) or any(_is_free(columns[name]) for name in shown):
        return None
    if not passed and not made:
        return None
    return ColumnMap(stream_map, shown=shown, passed=passed, made=made, filter_rule=filter_rule)


def _names(trees: Iterable[ast.AST]) -> set[str]:
    """Collect the names in expressions."""
    return {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _may_change_config(trees: Iterable[ast.AST]) -> bool:
    """Tell whether a method of what the settings hold is called: every process has them for itself."""
    nodes = (node for tree in trees for node in ast.walk(tree))
    return "config" in _names(node for node in nodes if isinstance(node, ast.Attribute))


def _is_free(schema: Mapping[str, Any]) -> bool:
    """Tell whether a column may hold objects or arrays."""
    types = schema.get("type", [])
    kinds = {types} if isinstance(types, str) else {*types}
    return not kinds - {"null"} or not kinds.isdisjoint(_FREE)
