"""Columns that several streams share, as types of the SDK."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

NO_IDENTITY: Final = "-"
"""Value of a key column where the vendor sends no ID: many targets read an empty text as NULL."""

FREE_OBJECT: Final = th.CustomType({"type": "object", "additionalProperties": True})
"""Of the SDK's own type, `properties` would be empty, which its flattening takes for an object without content."""

OBJECTS: Final = th.ArrayType(FREE_OBJECT)
TEXTS: Final = th.ArrayType(th.StringType)

WINDOW: Final = (
    th.Property("window_start", th.DateTimeType, description="Start of the window it was read in, without lookback."),
    th.Property("window_end", th.DateTimeType, description="End of the window it was read in."),
)
EXTRA: Final = th.Property(
    "extra",
    FREE_OBJECT,
    description="Fields of the vendor without a column of their own, and values of another type than their column's.",
)


def key(name: str, description: str) -> th.Property[Any]:
    """Declare a text column that is part of the primary key.

    Args:
        name: the column.
        description: what it holds.

    Returns:
        The property, never null.
    """
    return th.Property(name, th.StringType, required=True, description=description)
