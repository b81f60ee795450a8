"""The columns of the five streams that are selected by default, by the kind of their values."""

from __future__ import annotations

from typing import Any

from tests.helpers.about import streams


def kind_of(schema: dict[str, Any]) -> str:
    """Name what a property holds: `time`, `object`, `array`, `text`, `integer`, `number` or `boolean`."""
    if schema.get("format") == "date-time":
        return "time"
    (name,) = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"]) - {"null"}
    return "text" if name == "string" else str(name)


def columns(stream: str) -> dict[str, str]:
    """The columns of a stream and their kinds."""
    return {name: kind_of(schema) for name, schema in streams()[stream]["schema"]["properties"].items()}
