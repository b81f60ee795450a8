"""Messages that are not records, with the types of their fields."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tap_cdp_export.loader.errors import UnusableInput


class Schema(msgspec.Struct):
    """A SCHEMA message."""

    stream: str
    schema: dict[str, Any]
    key_properties: list[str] | None = None


class State(msgspec.Struct):
    """A STATE message."""

    value: Any


class Batch(msgspec.Struct):
    """A BATCH message."""

    stream: str
    encoding: dict[str, Any]
    manifest: list[str]
    version: int | None = None


class ActivateVersion(msgspec.Struct):
    """An ACTIVATE_VERSION message."""

    stream: str
    version: int


_Message = TypeVar("_Message", Schema, State, Batch, ActivateVersion)


def typed(message: dict[str, Any], kind: type[_Message], number: int) -> _Message:
    """Check the fields of a message.

    Args:
        message: the parsed line.
        kind: what it must be.
        number: of the line, for an error message.

    Returns:
        The message.

    Raises:
        UnusableInput: If a field is missing, or of another type.
    """
    try:
        return msgspec.convert(message, kind)
    except msgspec.ValidationError as error:
        raise UnusableInput(f"Line {number} of the input is not a whole {message['type']} message: {error}.") from None
