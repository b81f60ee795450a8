"""The SDK's stream maps and flattening, corrected where they lose columns or keys.

- The SDK flattens an object whose schema has an empty `properties` to nothing, and with a depth of 0 flattens nothing.
  Here an object without declared properties is one column of JSON text, and at a depth of 0 every object is.
- A map for the streams of a pattern is refused by the SDK where one of them is not selected, and so has no columns.
- With `__else__: null`, the SDK keeps a stream's keys in its records but not in its schema, and then refuses the map.
- A column that takes another's place (`new: old`) gets the other's type only while that is there as it was.

Of the SDK's private names, this relies on those of `singer_sdk.helpers._flattening`, and on `StreamMap` flattening its
records by `flattening_options` and `transformed_schema` as they are at that time.
"""

from __future__ import annotations

import traceback
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.exceptions import StreamMapConfigError
from singer_sdk.helpers._flattening import FlatteningOptions, flatten_key, flatten_schema
from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
    CustomStreamMap,
    PluginMapper,
)

from tap_cdp_export.errors import SettingsError

if TYPE_CHECKING:
    import logging
    from collections.abc import Collection, Mapping, Sequence

    from singer_sdk.mapper import StreamMap

_NAMES: Final = {MAPPER_ALIAS_OPTION, MAPPER_SOURCE_OPTION}
"""Options with a name of a stream: null means none, but the SDK fails on it."""


class StreamMaps(PluginMapper):
    """The stream maps of a run."""

    def __init__(self, config: Mapping[str, Any], logger: logging.Logger) -> None:
        """Take the settings.

        Args:
            config: all settings; not changed.
            logger: the tap's.
        """
        super().__init__({**config, "stream_maps": {**config.get("stream_maps", {})}}, logger)
        self._flattening = self.flattening_options
        self.flattening_options = FlatteningOptions(enabled=False)

    def register_raw_stream_schema(
        self, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None:
        """Make the maps of a stream.

        Args:
            stream_name: the stream.
            schema: its JSON schema, with the selected columns alone.
            key_properties: its keys.

        Raises:
            SettingsError: If a map is wrong, or flattening gives two columns the same name.
        """
        given = self.stream_maps_dict
        is_selected = bool(schema.get("properties"))  # or a map for streams of a pattern would miss the keys of others
        self.stream_maps_dict = {
            name: corrected(definition, schema, key_properties)
            for name, definition in given.items()
            if is_selected and _reads(name, definition, stream_name)
        }
        try:
            super().register_raw_stream_schema(stream_name, schema, key_properties)
        except StreamMapConfigError as error:  # its text names columns, and shows no expression
            raise SettingsError(f"The stream map of {stream_name} is wrong. {error}") from None
        except Exception:  # noqa: BLE001 -- Python's parser and the SDK raise anything, MemoryError and RecursionError too
            raise SettingsError(
                f"The stream map of {stream_name} is wrong: one of its expressions cannot be read."
            ) from None
        finally:
            self.stream_maps_dict = given
        try:
            for stream_map in self.stream_maps[stream_name]:
                stream_map.transformed_key_properties = stream_map.transformed_key_properties or []  # as SCHEMA has it
                self._flatten(stream_map)
        except ValueError:
            raise SettingsError(
                f"Flattening gives two columns of {stream_name} the same name. "
                "Raise flattening_max_key_length, or lower flattening_max_depth."
            ) from None

    def _flatten(self, stream_map: StreamMap) -> None:
        """Flatten a map's schema, and let the map flatten its records likewise."""
        options = self._flattening
        if not options or not options.enabled:
            return
        spelling: dict[str, Any] = {"separator": options.separator, "max_key_length": options.max_key_length}
        max_level = max(options.max_level, 1)
        schema = stream_map.transformed_schema
        columns = {
            name: _declared(column, with_properties=options.max_level > 0)
            for name, column in schema["properties"].items()
        }
        schema = flatten_schema({**schema, "properties": columns}, max_level, **spelling)
        if "required" in schema:
            schema["required"] = [flatten_key(name, [], **spelling) for name in schema["required"]]
        stream_map.transformed_schema = schema
        keys = stream_map.transformed_key_properties or ()
        stream_map.transformed_key_properties = [flatten_key(name, [], **spelling) for name in keys]
        stream_map.flattening_options = FlatteningOptions(enabled=True, max_level=max_level, **spelling)


def _reads(name: str, definition: Any, stream: str) -> bool:  # noqa: ANN401 -- any JSON
    """Return whether a map reads a stream; the SDK would blame any stream for a wrong alias of another."""
    source = definition.get(MAPPER_SOURCE_OPTION) if isinstance(definition, dict) else None
    return fnmatch(stream, source or name)


def corrected(definition: Any, schema: Mapping[str, Any], keys: Sequence[str] | None) -> Any:  # noqa: ANN401 -- any JSON
    """Rewrite the definition of a map so that the SDK does what it means.

    Args:
        definition: as users write it.
        schema: of the stream.
        keys: of the stream.

    Returns:
        The definition with the keys named where `__else__` leaves out what is not named, and with removals last: the
        type of a column is read before it is removed. `{"email": None, "id": "email"}` gives
        `{"id": "email", "email": None}`.
    """
    if not isinstance(definition, dict):
        return definition
    columns = schema["properties"]
    definition = {key: value for key, value in definition.items() if key not in _NAMES or value is not None}
    if MAPPER_ELSE_OPTION in definition:
        keys = definition.get(MAPPER_KEY_PROPERTIES_OPTION, keys) or ()
        definition = {**{key: key for key in keys if key in columns}, **definition}
    return dict(sorted(definition.items(), key=lambda item: _place(item[1], columns)))


def _place(expression: Any, columns: Collection[str]) -> int:  # noqa: ANN401 -- any JSON
    """Return the sort key of an expression: column names first, removals last."""
    if isinstance(expression, list):
        return 1
    return 2 if expression in {None, NULL_STRING} else int(expression not in columns)


def transformed(stream_map: StreamMap, record: dict[str, Any], stream: str) -> dict[str, Any] | None:
    """Apply a map to a record.

    Args:
        stream_map: of the stream.
        record: its selected columns.
        stream: its name.

    Returns:
        The record as it goes out, with columns of its schema alone; None if the map leaves it out.

    Raises:
        SettingsError: If an expression fails.
    """
    try:
        mapped = stream_map.transform(record)
    except Exception as error:  # noqa: BLE001 -- an expression may raise anything, and its text may hold the record
        raise expression_failed(stream, error) from None
    if mapped and stream_map.flattening_enabled:  # an object that is null, or has more than is declared
        columns = stream_map.transformed_schema["properties"]
        return {name: value for name, value in mapped.items() if name in columns}
    return mapped


def expression_failed(stream: str, error: Exception) -> SettingsError:
    """Create the error for a record on which an expression fails; its text does not show the record.

    Args:
        stream: its name.
        error: what the expression raised.

    Returns:
        The error to raise.
    """
    cause = error.__cause__ or error
    if getattr(cause, "name", None) == "fake":  # of simpleeval's NameNotDefined: without Faker, the SDK defines none
        return SettingsError(
            f"The stream map of {stream} needs the tap's extra faker{_place_of(error)}: install the tap again with it."
        )
    return SettingsError(
        f"The stream map of {stream} fails on a record{_place_of(error)} ({type(cause).__name__}). "
        "Any column but a key may be null: write, for instance, md5(email) if email else None."
    )


def _place_of(error: Exception) -> str:
    """Name the column whose expression failed, or the filter; the SDK's error does not, but its frame knows."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is CustomStreamMap._eval.__code__:  # noqa: SLF001 -- see above
            column = frame.f_locals.get("property_name")
            return f", at {MAPPER_FILTER_OPTION if column is None else f'the column {column}'}"
    return ""


def _declared(schema: dict[str, Any], *, with_properties: bool) -> dict[str, Any]:
    """Leave out `properties` where it is empty, or everywhere; flattening then makes the object text."""
    properties = schema.get("properties")
    rest = {name: value for name, value in schema.items() if name != "properties"}
    if not properties or not with_properties:
        return rest
    return {**rest, "properties": {name: _declared(inner, with_properties=True) for name, inner in properties.items()}}
