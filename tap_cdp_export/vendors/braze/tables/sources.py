"""All tables around the users, each with the source that fills it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.vendors.braze.tables.details import DETAIL_STREAMS, DetailSource
from tap_cdp_export.vendors.braze.tables.lists import LIST_STREAMS, ListSource
from tap_cdp_export.vendors.braze.tables.stats import (
    CAMPAIGN_STATS,
    CANVAS_STATS,
    CampaignStatsSource,
    CanvasStatsSource,
)
from tap_cdp_export.vendors.braze.tables.suppressions import SUPPRESSION_STREAMS, SuppressionSource
from tap_cdp_export.vendors.braze.tables.workspace_series import (
    APP_SERIES,
    AppSeriesSource,
    BrazeEventCounts,
    BrazeSegmentSizes,
    EventSource,
    SegmentSource,
)

if TYPE_CHECKING:
    from tap_cdp_export.singer.source import ExportSource
    from tap_cdp_export.singer.stream import ExportStream

SOURCES: Final[tuple[tuple[type[ExportSource[Any]], tuple[type[ExportStream], ...]], ...]] = (
    *((ListSource, (stream,)) for stream in LIST_STREAMS),
    *((DetailSource, (stream,)) for stream in DETAIL_STREAMS),
    *((SuppressionSource, (stream,)) for stream in SUPPRESSION_STREAMS),
    (CampaignStatsSource, CAMPAIGN_STATS),
    (CanvasStatsSource, CANVAS_STATS),
    *((AppSeriesSource, (stream,)) for stream in APP_SERIES),
    (EventSource, (BrazeEventCounts,)),
    (SegmentSource, (BrazeSegmentSizes,)),
)
