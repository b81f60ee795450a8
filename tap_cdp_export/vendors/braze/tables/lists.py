"""Lists that are read whole in every run: what the workspace holds, and what the company has defined."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from tap_cdp_export.records.batch import batch_of
from tap_cdp_export.vendors.braze.api import NAMES
from tap_cdp_export.vendors.braze.schemas import SEGMENTS as SEGMENT_COLUMNS
from tap_cdp_export.vendors.braze.tables import list_schemas as schemas
from tap_cdp_export.vendors.braze.tables.endpoint import Endpoint
from tap_cdp_export.vendors.braze.tables.paging import changes, linked, numbered, repeats
from tap_cdp_export.vendors.braze.tables.stream import TableSource, TableStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_cdp_export.vendors.braze.api import BrazeApi
    from tap_cdp_export.vendors.braze.tables.paging import Paging

_MOST_WITHOUT_NEW: Final = 3
"""So many pages in a row without a new item are no list that shifted while it was read."""
_LEAST_A_PAGE: Final = 50
"""A list of fewer items has a single page, as far as the size of pages is documented."""
_MOST_PASSES: Final = 5
_WITH_ARCHIVED: Final = {"include_archived": "true"}

CAMPAIGNS: Final = Endpoint(
    "/campaigns/list", "campaigns.list", "campaigns", "the list of campaigns", params=_WITH_ARCHIVED
)
CANVASES: Final = Endpoint("/canvas/list", "canvas.list", "canvases", "the list of Canvases", params=_WITH_ARCHIVED)
SEGMENTS: Final = Endpoint("/segments/list", "segments.list", "segments", "the list of segments")
CUSTOM_EVENTS: Final = Endpoint("/events", "events.get", "events", "the custom events", pool=NAMES)
EVENT_NAMES: Final = Endpoint("/events/list", "events.list", "events", "the names of events", pool=NAMES)


class ListStream(TableStream):
    """A list that is whole in every run.

    Attributes:
        paging: how the list is cut into pages.
    """

    paging: ClassVar[Paging]


class ListSource(TableSource):
    """Reads a list, page by page."""

    def run(self) -> None:
        """Write every item."""
        for stream in cast("Iterator[ListStream]", self.selected.values()):
            identifiers: list[str] = []
            field = stream.renamed.get(stream.primary_keys[0], stream.primary_keys[0])
            for items in pages(self.client, stream.endpoint, type(stream).paging, field):
                stream.write(batch_of([stream.record(item) for item in items]))
                identifiers += [item[field] for item in items]
            self.client.listed[stream.endpoint.path] = identifiers
            if stream.endpoint.path in self.client.cut_short:
                stream.suppress_activate_version()
            stream.commit_window(None)
            stream.write_state()


def pages(api: BrazeApi, endpoint: Endpoint, paging: Paging, field: str) -> Iterator[list[dict[str, Any]]]:
    """Read a list, each item once.

    Where an item vanishes, the later ones move forward, and one may move to a page that was read before. So a list of
    several pages is read again until its items are the same, further ones at the end aside. Where the vendor keeps no
    order, the last pass need only hold all items of the one before.

    Args:
        api: where to ask.
        endpoint: of the list.
        paging: how it is cut into pages.
        field: what names an item; a list of bare texts gives objects with this field alone.

    Yields:
        The new items of each page.

    Raises:
        UnusableAnswer: If an item has no name, the pages go on without a new one, or the list changes all the time.
    """
    seen: set[str] = set()
    before: list[str] | None = None
    for number in range(1, _MOST_PASSES + 1):
        names: list[str] = []
        for items in _pass(api, endpoint, paging, field):
            names += [item[field] for item in items]
            yield [item for item in items if item[field] not in seen]
            seen.update(names)
        if len(names) < _LEAST_A_PAGE:
            return
        if before is not None:
            is_whole = number == _MOST_PASSES and set(before) <= set(names)
            if is_whole or names[: len(before)] == before:
                return
        before = names
    raise changes(endpoint)


def _pass(api: BrazeApi, endpoint: Endpoint, paging: Paging, field: str) -> Iterator[list[dict[str, Any]]]:
    seen: set[str] = set()
    without_new = 0
    for items in paging(api, endpoint):
        new = []
        for item in items:
            named = {field: item} if isinstance(item, str) else item
            name = named.get(field) if isinstance(named, dict) else None
            if not isinstance(name, str) or not name:
                raise endpoint.not_as_documented()
            if name not in seen:
                seen.add(name)
                new.append({key: _without_nulls(value) for key, value in named.items()})
        without_new = 0 if new else without_new + 1
        if without_new == _MOST_WITHOUT_NEW:
            raise repeats(endpoint)
        yield new


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 -- JSON
    """Drop the nulls that the vendor has in some lists of tags."""
    return [element for element in value if element is not None] if isinstance(value, list) else value


def listed(api: BrazeApi, endpoint: Endpoint, paging: Paging = numbered, field: str = "id") -> list[str]:
    """List what identifies the items of a list, which a run reads once.

    Args:
        api: where to ask.
        endpoint: of the list.
        paging: how it is cut into pages.
        field: what names an item.

    Returns:
        The IDs or names, in the vendor's order.
    """
    if endpoint.path not in api.listed:
        api.listed[endpoint.path] = [item[field] for items in pages(api, endpoint, paging, field) for item in items]
    return api.listed[endpoint.path]


def custom_attributes(api: BrazeApi) -> Iterator[list[dict[str, Any]]]:
    """Read the definitions of custom attributes.

    Args:
        api: where to ask.

    Yields:
        Those of each page, each with its `name`.

    Raises:
        CredentialsRefused: If the key lacks the permission custom_attributes.get.
    """
    return pages(api, BrazeCustomAttributes.endpoint, BrazeCustomAttributes.paging, "name")


def all_segments(api: BrazeApi) -> Iterator[dict[str, Any]]:
    """List all segments that are not archived.

    Args:
        api: where to ask.

    Returns:
        The vendor's objects, each with its `id`.

    Raises:
        CredentialsRefused: If the key lacks the permission segments.list.
    """
    return chain.from_iterable(pages(api, SEGMENTS, numbered, "id"))


class BrazeSegments(ListStream):
    """The segments of the workspace; needs the permission segments.list."""

    name = "braze_segments"
    columns: ClassVar[dict[str, Any]] = SEGMENT_COLUMNS
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id",)
    endpoint = SEGMENTS
    renamed: ClassVar[dict[str, str]] = {"segment_id": "id"}
    paging = numbered


class BrazeCampaigns(ListStream):
    """The campaigns, archived ones included; needs the permission campaigns.list."""

    name = "braze_campaigns"
    columns: ClassVar[dict[str, Any]] = schemas.CAMPAIGNS
    primary_keys: ClassVar[tuple[str, ...]] = ("campaign_id",)
    endpoint = CAMPAIGNS
    renamed: ClassVar[dict[str, str]] = {"campaign_id": "id"}
    paging = numbered


class BrazeCanvases(ListStream):
    """The Canvases, archived ones included; needs the permission canvas.list."""

    name = "braze_canvases"
    columns: ClassVar[dict[str, Any]] = schemas.CANVASES
    primary_keys: ClassVar[tuple[str, ...]] = ("canvas_id",)
    endpoint = CANVASES
    renamed: ClassVar[dict[str, str]] = {"canvas_id": "id"}
    paging = numbered


class BrazeCustomAttributes(ListStream):
    """The definitions of custom attributes; needs the permission custom_attributes.get."""

    name = "braze_custom_attributes"
    columns: ClassVar[dict[str, Any]] = schemas.CUSTOM_ATTRIBUTES
    primary_keys: ClassVar[tuple[str, ...]] = ("name",)
    endpoint = Endpoint(
        "/custom_attributes",
        "custom_attributes.get",
        "attributes",
        "the custom attributes",
        pool=NAMES,
    )
    paging = linked


class BrazeCustomEvents(ListStream):
    """The definitions of custom events; needs the permission events.get."""

    name = "braze_custom_events"
    columns: ClassVar[dict[str, Any]] = schemas.CUSTOM_EVENTS
    primary_keys: ClassVar[tuple[str, ...]] = ("name",)
    endpoint = CUSTOM_EVENTS
    paging = linked


class BrazeProducts(ListStream):
    """The IDs of the products that were bought; needs the permission purchases.product_list."""

    name = "braze_products"
    columns: ClassVar[dict[str, Any]] = schemas.PRODUCTS
    primary_keys: ClassVar[tuple[str, ...]] = ("product_id",)
    endpoint = Endpoint(
        "/purchases/product_list",
        "purchases.product_list",
        "products",
        "the list of products",
        pool=NAMES,
    )
    paging = numbered


LIST_STREAMS: Final = (BrazeCampaigns, BrazeCanvases, BrazeCustomAttributes, BrazeCustomEvents, BrazeProducts)
