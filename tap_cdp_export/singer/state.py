"""The state of an earlier run, in whatever form it is given."""

from __future__ import annotations

import logging
from typing import Any, Final, cast

from tap_cdp_export.errors import SettingsError

logger = logging.getLogger(__name__)

_BOOKMARKS: Final = "bookmarks"
_DEPTH: Final = 20  # no version of the tap writes half of it; the SDK copies a STATE by recursion, which has a limit
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
        A state whose bookmarks are objects, with lists of objects as partitions, and nothing nested beyond all use.
    """
    bookmarks: dict[str, Any] = {}
    state = {name: value for name, value in state.items() if name == _BOOKMARKS or not _is_nested_deeper(value, _DEPTH)}
    for stream, entry in state.get(_BOOKMARKS, {}).items():
        if isinstance(entry, dict):
            is_walkable = _is_list_of_objects(entry.get(_PARTITIONS, []))
            known = entry if is_walkable else {k: v for k, v in entry.items() if k != _PARTITIONS}
            bookmarks[stream] = {k: v for k, v in known.items() if not _is_nested_deeper(v, _DEPTH)}
            if len(bookmarks[stream]) < len(known):
                logger.warning("STATE holds something about %s that is nested too deeply; it is not used.", stream)
        else:
            logger.warning("STATE holds nothing about %s that this version understands; it is not used.", stream)
    return {**state, _BOOKMARKS: bookmarks}


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_nested_deeper(value: object, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth == 0 or any(_is_nested_deeper(item, depth - 1) for item in inner)
