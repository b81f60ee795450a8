"""Items of an export request, in every shape that the evidence allows (docs/vendors/apsis.md, November 2026).

The vendor publishes no shape. The option `item_shape` makes the sandbox insist on one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_cdp_export.sandbox.apsis import definitions
from tap_cdp_export.sandbox.apsis.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = {
    "attributes": (definitions.ATTRIBUTES, "attribute_discriminator"),
    "tags": (definitions.TAGS, "tag_discriminator"),
    "events": (definitions.EVENTS, "event_discriminator"),
}
_SECTION = "section_discriminator"


def versions_of(
    item: object, body: Mapping[str, Any], place: str, item_shape: str
) -> tuple[definitions.Section, list[str]]:
    """Find what an item names.

    Args:
        item: as sent.
        body: of the request.
        place: of the item in the body, such as `tags[0]`.
        item_shape: the option.

    Returns:
        The section, and the IDs of the named version, or of all versions of the named definition.

    Raises:
        Refused: If the item has another shape, or names nothing that exists.
    """
    known, own_discriminator = _KINDS[place.partition("[")[0]]
    if not isinstance(item, dict):
        raise Refused(400, f"{place} must be an object")
    insists = item_shape != "any"
    shape = item_shape if insists else _shape(item)
    discriminator = own_discriminator if own_discriminator in item else "discriminator"
    first, second = {
        "version_id": (_SECTION, "version_id"),
        "discriminator": (_SECTION, discriminator),
        "field_name": ("field_name", discriminator),
    }[shape]
    holder = body if shape == "field_name" or not (insists or _SECTION in item) else item
    section, name = holder.get(_SECTION), item.get(second)
    if not isinstance(section, str) or not isinstance(name, str) or (insists and first not in item):
        raise Refused(400, f"{place}: {first} and {second} are required; {_SECTION} names the section")
    if insists and (unknown := sorted(set(item) - {first, second})):
        raise Refused(400, f"{place}: {unknown[0]} is not allowed")
    for definition in known:
        names = definitions.versions(definition) if shape == "version_id" else [definition.discriminator]
        if definition.section.discriminator == section and name in names:
            return definition.section, [name] if shape == "version_id" else definitions.versions(definition)
    raise Refused(400, f"{place}: no such {second} in this section")


def _shape(item: Mapping[str, Any]) -> str:
    if "field_name" in item:
        return "field_name"
    return "version_id" if "version_id" in item else "discriminator"
