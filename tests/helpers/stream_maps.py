"""Stream maps of the SDK, with which the column maps of the tap are compared."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk.helpers._flattening import FlatteningOptions
from singer_sdk.mapper import CustomStreamMap

STREAM: Final = "users"


def stream_map(
    columns: dict[str, Any], definition: dict[str, Any], *, keys: tuple[str, ...] = (), depth: int = 0
) -> CustomStreamMap:
    """Build a stream map of the SDK.

    Args:
        columns: JSON schemas of the stream's columns.
        definition: the map, as in the setting `stream_maps`.
        keys: key properties of the stream.
        depth: maximum depth of flattening; 0 disables it.

    Returns:
        The map, with a salt in its configuration.
    """
    transform = {**definition}
    return CustomStreamMap(
        stream_alias=transform.pop("__alias__", STREAM),
        map_config={"salt": "pepper"},
        faker_config={},
        raw_schema={"type": "object", "properties": columns},
        key_properties=keys,
        map_transform=transform,
        flattening_options=FlatteningOptions(enabled=bool(depth), max_level=depth),
        stream_name=STREAM,
    )
