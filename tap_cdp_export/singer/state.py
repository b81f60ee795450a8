"""The state of an earlier run, in whatever form it is given."""

from __future__ import annotations

import logging
from typing import Any, Final, cast

from tap_cdp_export.errors import SettingsError

logger = logging.getLogger(__name__)

_PARTITIONS: Final = "partitions"  # the SDK's; streams here have none, but it walks through those of a STATE


def state_in(document: object) -> dict[str, Any]:
    """Extract the state from a document.

    Example: `{"singer_state": {"bookmarks": {}}}` and `{"type": "STATE", "value": {"bookmarks": {}}}` both return
    `{"bookmarks": {}}`.

    Args:
        document: a state, a STATE message, or the output of `meltano state get`; may be nested.

    Returns:
        The state.

    Raises:
        SettingsError: If the document is none of these.
    """
    state = document
    while isinstance(state, dict) and state and "bookmarks" not in state:
        if state.get("type") == "STATE" and "value" in state:
            state = state["value"]
        elif "singer_state" in state:
            state = state["singer_state"]
        else:
            break
    bookmarks = state.get("bookmarks", None if state else {}) if isinstance(state, dict) else None
    if not isinstance(bookmarks, dict):
        raise SettingsError(
            "The state is no object with an object bookmarks in it. Give the last STATE line, or its value."
        )
    return cast("dict[str, Any]", state)


def readable_bookmarks(state: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is no state of a stream, with a warning; those streams start from their beginning.

    Args:
        state: from `state_in`; may come from another version of the tap.

    Returns:
        A state whose bookmarks are objects, with lists of objects as partitions.
    """
    bookmarks: dict[str, Any] = {}
    for stream, entry in state.get("bookmarks", {}).items():
        if isinstance(entry, dict):
            is_walkable = _is_list_of_objects(entry.get(_PARTITIONS, []))
            bookmarks[stream] = entry if is_walkable else {k: v for k, v in entry.items() if k != _PARTITIONS}
        else:
            logger.warning("STATE holds nothing about %s that this version understands; it is not used.", stream)
    return {**state, "bookmarks": bookmarks}


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
