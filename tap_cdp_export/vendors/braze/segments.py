"""Which segments to export: IDs as they are, and wildcards over the names of all segments."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

GLOBAL_CONTROL_GROUP: Final = "global_control_group"
"""In place of a segment's ID: the users that no campaign reaches; it has an endpoint of its own."""


def resolve(wanted: Sequence[str], list_segments: Callable[[], Iterable[dict[str, Any]]]) -> list[str]:
    """Replace wildcards by the IDs of the segments whose name they match, upper and lower case distinguished.

    Args:
        wanted: IDs, or names with `*` (any text) or `?` (any character) in them.
        list_segments: gives all segments; called only if there is a wildcard.

    Returns:
        IDs, each once, in the order of `wanted`.

    Raises:
        SettingsError: If a wildcard matches no name.
    """
    listed: list[dict[str, Any]] | None = None
    found: list[str] = []
    for number, item in enumerate(wanted):
        if not {"*", "?"} & set(item):
            found.append(item)
            continue
        if listed is None:
            listed = list(list_segments())
        pattern = item.replace("[", "[[]")  # a bracket in a name is a bracket
        matching = [segment["id"] for segment in listed if fnmatchcase(_name(segment), pattern)]
        if not matching:
            raise SettingsError(
                f"Setting braze.segment_ids.{number} matches none of the names of {len(listed)} segments "
                "(archived ones are not listed, and upper and lower case are distinct)."
            )
        found += matching
    return list(dict.fromkeys(found))


def _name(segment: Mapping[str, Any]) -> str:
    name = segment.get("name")
    return name if isinstance(name, str) else ""
