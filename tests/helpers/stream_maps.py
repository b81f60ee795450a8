"""The SDK's own stream maps, as what ours are compared with."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk.helpers._flattening import FlatteningOptions
from singer_sdk.mapper import CustomStreamMap

STREAM: Final = "users"


def stream_map(
    columns: dict[str, Any], definition: dict[str, Any], *, keys: tuple[str, ...] = (), depth: int = 0
) -> CustomStreamMap:
    """Build the SDK's map of a stream.

    Args:
        columns: JSON schemas of the stream's columns.
        definition: of the map, as users write it.
        keys: of the stream.
        depth: how deep records are flattened; 0 for not at all.

    Returns:
        The map, whose config holds a salt.
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
