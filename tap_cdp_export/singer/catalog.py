"""The catalog file: its form, and the key columns that every selected stream needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk.singerlib import Catalog
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_cdp_export.errors import SettingsError

if TYPE_CHECKING:
    from singer_sdk.streams import Stream

_TEXT: Final = {"type": "string"}
_NAME: Final = {"type": ["string", "null"]}
_NAMES: Final = {"type": ["array", "null"], "items": _TEXT}
_TYPE: Final = {"enum": ["array", "boolean", "integer", "null", "number", "object", "string"]}
_COLUMN: Final = {
    "type": "object",
    "properties": {
        "type": {"anyOf": [_TYPE, {"type": "array", "minItems": 1, "items": _TYPE}]},
        "properties": {"type": "object", "additionalProperties": {"$ref": "#/definitions/column"}},
        "items": {"$ref": "#/definitions/column"},
        "required": {"type": "array", "items": _TEXT},
    },
}
_FORM: Final[dict[str, Any]] = {
    "definitions": {"column": _COLUMN},
    "type": "object",
    "required": ["streams"],
    "properties": {
        "streams": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tap_stream_id", "schema"],
                "properties": {
                    "tap_stream_id": _TEXT,
                    "stream": _NAME,
                    "key_properties": _NAMES,
                    "replication_key": _NAME,
                    "replication_method": {"enum": ["FULL_TABLE", "INCREMENTAL", None]},
                    "schema": {"allOf": [{"$ref": "#/definitions/column"}, {"required": ["properties"]}]},
                    "metadata": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["breadcrumb", "metadata"],
                            "properties": {
                                "breadcrumb": {"type": "array", "items": _TEXT},
                                "metadata": {
                                    "type": "object",
                                    "properties": {
                                        "selected": {"type": ["boolean", "null"]},
                                        "selected-by-default": {"type": ["boolean", "null"]},
                                        "replication-key": _NAME,
                                        "forced-replication-method": {"enum": ["FULL_TABLE", "INCREMENTAL", None]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}
"""What the tap and the SDK read of a catalog; all else may be anything."""


def read_catalog(document: Any) -> Catalog:  # noqa: ANN401 -- any JSON
    """Check the form of a catalog.

    Args:
        document: content of the file.

    Returns:
        The catalog.

    Raises:
        SettingsError: If the SDK could not work with it; the message names the place.
    """
    for error in DEFAULT_JSONSCHEMA_VALIDATOR(_FORM).iter_errors(document):
        place = ".".join(map(str, error.absolute_path)) or "the whole file"
        raise SettingsError(f"The catalog is not of the form that Singer expects, at {place}. Discover it again.")
    for entry in document["streams"]:
        if entry.get("stream") not in {None, entry["tap_stream_id"]}:
            raise SettingsError(
                f"In the catalog, stream and tap_stream_id of {entry['tap_stream_id']} differ. "
                "To load it under another name, use __alias__ in stream_maps."
            )
    return Catalog.from_dict(document)


def check_keys(stream: Stream, columns: list[str]) -> None:
    """Check that records will have their keys.

    Args:
        stream: selected.
        columns: the columns that the catalog has and selects.

    Raises:
        SettingsError: If a key is not among them.
    """
    missing = [name for name in stream.primary_keys or () if name not in columns]
    if missing:
        raise SettingsError(
            f"The catalog lacks or deselects a key column of {stream.name}: {', '.join(missing)}. "
            "Select it, or discover the catalog again."
        )
