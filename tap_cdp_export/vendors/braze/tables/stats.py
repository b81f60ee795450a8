"""Statistics of campaigns and Canvases by day; the tables of one request share it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tap_cdp_export.records.properties import NO_IDENTITY
from tap_cdp_export.vendors.braze.api import CAMPAIGN_SERIES
from tap_cdp_export.vendors.braze.tables import series_schemas as schemas
from tap_cdp_export.vendors.braze.tables.details import CAMPAIGN, CANVAS
from tap_cdp_export.vendors.braze.tables.endpoint import Endpoint
from tap_cdp_export.vendors.braze.tables.lists import CAMPAIGNS, CANVASES
from tap_cdp_export.vendors.braze.tables.series import SeriesSource
from tap_cdp_export.vendors.braze.tables.series_stream import SeriesStream, Subject
from tap_cdp_export.vendors.braze.tables.subjects import sendables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_cdp_export.vendors.braze.tables.endpoint import Answer


class CampaignStatsSource(SeriesSource):
    """Reads the statistics of every campaign."""

    def subjects(self) -> list[Subject]:
        """List the campaigns, archived ones included."""
        return sendables(self.client, CAMPAIGNS, CAMPAIGN, "campaign_id", self.parallel_requests)


class CanvasStatsSource(SeriesSource):
    """Reads the statistics of every Canvas."""

    def subjects(self) -> list[Subject]:
        """List the Canvases, archived ones included."""
        return sendables(self.client, CANVASES, CANVAS, "canvas_id", self.parallel_requests)


_CAMPAIGN_SERIES: Final = Endpoint(
    "/campaigns/data_series",
    "campaigns.data_series",
    "data",
    "the statistics of a campaign",
    pool=CAMPAIGN_SERIES,
    joined=3,  # the answer, a day, its channels
)
_CANVAS_SERIES: Final = Endpoint(
    "/canvas/data_series",
    "canvas.data_series",
    "data",
    "the statistics of a Canvas",
    joined=4,  # the answer, its data, a day, its variants or steps
)


class BrazeCampaignStats(SeriesStream):
    """Campaigns by day; needs the permissions campaigns.list, campaigns.data_series, better also campaigns.details."""

    name = "braze_campaign_stats"
    permission = "campaigns.list, campaigns.data_series"
    columns: ClassVar[dict[str, Any]] = schemas.CAMPAIGN_STATS
    primary_keys: ClassVar[tuple[str, ...]] = ("campaign_id", "date")
    own_columns = frozenset({"campaign_id", "date"})
    has_every_day = True  # as recorded (docs/vendors/endpoints.md, B.3)
    endpoint = _CAMPAIGN_SERIES

    def rows(self, day: Mapping[str, Any], keys: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Make the record of the totals; the messages are those of `braze_campaign_message_stats`.

        Args:
            day: the vendor's object.
            keys: the key columns.

        Yields:
            One record.
        """
        yield from super().rows({name: value for name, value in day.items() if name != "messages"}, keys)


class BrazeCampaignMessageStats(SeriesStream):
    """Message variations by day; needs the permissions of braze_campaign_stats."""

    name = "braze_campaign_message_stats"
    permission = "campaigns.list, campaigns.data_series"
    columns: ClassVar[dict[str, Any]] = schemas.CAMPAIGN_MESSAGE_STATS
    primary_keys: ClassVar[tuple[str, ...]] = ("campaign_id", "date", "channel", "message_variation_id", "occurrence")
    own_columns = frozenset(primary_keys)
    has_every_day = True  # as recorded (docs/vendors/endpoints.md, B.3)
    endpoint = _CAMPAIGN_SERIES

    def rows(self, day: Mapping[str, Any], keys: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Make a record of each message variation.

        Args:
            day: the vendor's object.
            keys: the key columns of the day.

        Yields:
            Records.
        """
        channels = day.get("messages") or {}
        if not isinstance(channels, dict):
            raise self.endpoint.not_as_documented()
        for channel, variations in channels.items():
            occurrences: Counter[str] = Counter()
            for variation in variations if isinstance(variations, list) else [variations]:
                if variation is None:
                    continue
                if not isinstance(variation, dict):
                    raise self.endpoint.not_as_documented()
                identifier = variation.get("variation_api_id")
                fields = dict(variation)
                if isinstance(identifier, str) and identifier:
                    del fields["variation_api_id"]
                else:
                    identifier = NO_IDENTITY
                occurrences[identifier] += 1
                yield self.record(
                    fields,
                    **keys,
                    channel=channel or NO_IDENTITY,
                    message_variation_id=identifier,
                    occurrence=occurrences[identifier],
                )


class _CanvasSeries(SeriesStream):
    """A part of a Canvas's day.

    Attributes:
        part: key of the part in the day's object.
        identity: key column that its keys fill; empty for the totals.
    """

    longest = 14
    endpoint = _CANVAS_SERIES
    part: ClassVar[str]
    identity: ClassVar[str] = ""

    def series_in(self, answer: Answer) -> list[Any]:
        """Return the days in an answer.

        Args:
            answer: of the endpoint.

        Returns:
            One object a day.
        """
        data = answer.content.get("data")
        stats = data.get("stats") if isinstance(data, dict) else None
        if not isinstance(stats, list):
            raise self.endpoint.not_as_documented(answer)
        return stats

    def rows(self, day: Mapping[str, Any], keys: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Make the records of the part.

        Args:
            day: the vendor's object.
            keys: the key columns of the day.

        Yields:
            Records.
        """
        part = day.get(self.part) or {}
        parts = part if self.identity else {"": part}
        if not isinstance(parts, dict) or not all(isinstance(fields, dict | None) for fields in parts.values()):
            raise self.endpoint.not_as_documented()
        for identifier, fields in parts.items():
            identity = {self.identity: identifier or NO_IDENTITY} if self.identity else {}
            yield self.record(fields or {}, **keys, **identity)


class BrazeCanvasStats(_CanvasSeries):
    """Canvases by day; needs the permissions canvas.list, canvas.data_series, better also canvas.details."""

    name = "braze_canvas_stats"
    permission = "canvas.list, canvas.data_series"
    columns: ClassVar[dict[str, Any]] = schemas.CANVAS_STATS
    primary_keys: ClassVar[tuple[str, ...]] = ("canvas_id", "date")
    own_columns = frozenset(primary_keys)
    part = "total_stats"


class BrazeCanvasVariantStats(_CanvasSeries):
    """Variants of Canvases by day; needs the permissions of braze_canvas_stats."""

    name = "braze_canvas_variant_stats"
    permission = "canvas.list, canvas.data_series"
    columns: ClassVar[dict[str, Any]] = schemas.CANVAS_VARIANT_STATS
    primary_keys: ClassVar[tuple[str, ...]] = ("canvas_id", "date", "variant_id")
    own_columns = frozenset(primary_keys)
    params: ClassVar[dict[str, str]] = {"include_variant_breakdown": "true"}
    part = "variant_stats"
    identity = "variant_id"


class BrazeCanvasStepStats(_CanvasSeries):
    """Steps of Canvases by day; needs the permissions of braze_canvas_stats."""

    name = "braze_canvas_step_stats"
    permission = "canvas.list, canvas.data_series"
    columns: ClassVar[dict[str, Any]] = schemas.CANVAS_STEP_STATS
    primary_keys: ClassVar[tuple[str, ...]] = ("canvas_id", "date", "step_id")
    own_columns = frozenset(primary_keys)
    params: ClassVar[dict[str, str]] = {"include_step_breakdown": "true"}
    part = "step_stats"
    identity = "step_id"


CAMPAIGN_STATS: Final = (BrazeCampaignStats, BrazeCampaignMessageStats)
CANVAS_STATS: Final = (BrazeCanvasStats, BrazeCanvasVariantStats, BrazeCanvasStepStats)
