"""Details of campaigns, Canvases and segments, one request each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from tap_cdp_export.records.batch import batch_of
from tap_cdp_export.vendors.braze.tables import list_schemas as schemas
from tap_cdp_export.vendors.braze.tables.endpoint import Endpoint
from tap_cdp_export.vendors.braze.tables.lists import CAMPAIGNS, CANVASES, SEGMENTS, listed
from tap_cdp_export.vendors.braze.tables.one_by_one import OneByOne
from tap_cdp_export.vendors.braze.tables.spans import span_of
from tap_cdp_export.vendors.braze.tables.stream import TableSource, TableStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CAMPAIGN: Final = Endpoint("/campaigns/details", "campaigns.details", "", "the details of a campaign")
CANVAS: Final = Endpoint("/canvas/details", "canvas.details", "", "the details of a Canvas")
SEGMENT: Final = Endpoint("/segments/details", "segments.details", "", "the details of a segment")


class DetailStream(TableStream):
    """Objects that are read one by one; its key is the name of the request's parameter.

    Attributes:
        list_endpoint: where the IDs come from.
    """

    list_endpoint: ClassVar[Endpoint]


class DetailSource(TableSource):
    """Lists the IDs, then asks for each, several at the same time."""

    def run(self) -> None:
        """Write the details of each object."""
        for stream in cast("Iterator[DetailStream]", self.selected.values()):
            (parameter,) = stream.primary_keys
            endpoint = stream.endpoint
            requests = OneByOne(stream.name, self.parallel_requests)
            identifiers = listed(self.client, stream.list_endpoint)
            answers = requests.answers(
                identifiers,
                lambda identifier, endpoint=endpoint, parameter=parameter: endpoint.get(  # type: ignore[misc]
                    self.client, {parameter: identifier}
                ),
                str,
                lambda identifiers=identifiers: identifiers,  # type: ignore[misc]
            )
            for identifier, answer in answers:
                self.client.spans[identifier] = span_of(answer.content)
                fields = {name: _with_ids(name, value) for name, value in answer.content.items() if name != "message"}
                stream.write(batch_of([stream.record(fields, **{parameter: identifier})]))
            requests.check()
            if requests.refused or stream.list_endpoint.path in self.client.cut_short:  # others may still be there
                stream.suppress_activate_version()
            stream.commit_window(None)
            stream.write_state()


_IDS: Final = {"messages": "message_variation_id", "variants": "variant_id", "steps": "step_id"}


def _with_ids(name: str, value: Any) -> Any:  # noqa: ANN401 -- JSON
    """Give a list whose objects hold their own ID: `{"a": {}}` of messages is `[{"message_variation_id": "a"}]`."""
    identity = _IDS.get(name)
    if identity is None:
        return value
    if isinstance(value, dict):
        items = [{identity: key, **item} if isinstance(item, dict) else {identity: key} for key, item in value.items()]
    elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
        items = [_renamed(item, identity) for item in value]
    else:
        return value
    return [{key: _with_ids(key, inner) for key, inner in item.items()} for item in items]


def _renamed(item: Mapping[str, Any], identity: str) -> dict[str, Any]:
    return {identity if key == "id" else key: value for key, value in item.items()}


class BrazeCampaignDetails(DetailStream):
    """The campaigns with their messages; needs the permissions campaigns.list and campaigns.details."""

    name = "braze_campaign_details"
    permission = "campaigns.list, campaigns.details"
    columns: ClassVar[dict[str, Any]] = schemas.CAMPAIGN_DETAILS
    primary_keys: ClassVar[tuple[str, ...]] = ("campaign_id",)
    own_columns = frozenset({"campaign_id"})
    list_endpoint = CAMPAIGNS
    endpoint = CAMPAIGN


class BrazeCanvasDetails(DetailStream):
    """The Canvases with their variants and steps; needs the permissions canvas.list and canvas.details."""

    name = "braze_canvas_details"
    permission = "canvas.list, canvas.details"
    columns: ClassVar[dict[str, Any]] = schemas.CANVAS_DETAILS
    primary_keys: ClassVar[tuple[str, ...]] = ("canvas_id",)
    own_columns = frozenset({"canvas_id"})
    list_endpoint = CANVASES
    endpoint = CANVAS


class BrazeSegmentDetails(DetailStream):
    """The segments with their filters in words; needs the permissions segments.list and segments.details."""

    name = "braze_segment_details"
    permission = "segments.list, segments.details"
    columns: ClassVar[dict[str, Any]] = schemas.SEGMENT_DETAILS
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id",)
    own_columns = frozenset({"segment_id"})
    list_endpoint = SEGMENTS
    endpoint = SEGMENT


DETAIL_STREAMS: Final = (BrazeCampaignDetails, BrazeCanvasDetails, BrazeSegmentDetails)
