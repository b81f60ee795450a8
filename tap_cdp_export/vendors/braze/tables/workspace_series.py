"""Series of the workspace: key figures, sessions, purchases, events and sizes of segments."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from tap_cdp_export.vendors.braze.api import PURCHASES
from tap_cdp_export.vendors.braze.tables import subjects
from tap_cdp_export.vendors.braze.tables.endpoint import Endpoint
from tap_cdp_export.vendors.braze.tables.series import SeriesSource
from tap_cdp_export.vendors.braze.tables.series_schemas import SEGMENT_SIZES, app_series
from tap_cdp_export.vendors.braze.tables.series_stream import SeriesStream, Subject


class AppSeriesSource(SeriesSource):
    """Reads a series of the configured apps, or of all together."""

    def subjects(self) -> list[Subject]:
        """Give the configured apps, or their sum."""
        return subjects.apps(self.settings.get("app_ids", ()))


class EventSource(SeriesSource):
    """Reads a series of every custom event, of the configured apps or of all together."""

    def subjects(self) -> list[Subject]:
        """List the events."""
        return subjects.events(self.client, self.settings.get("app_ids", ()))


class SegmentSource(SeriesSource):
    """Reads a series of every segment that is tracked."""

    def subjects(self) -> list[Subject]:
        """List the segments."""
        return subjects.segments(self.client)


class AppSeries(SeriesStream):
    """A figure of apps, by day."""

    primary_keys: ClassVar[tuple[str, ...]] = ("app_id", "date")
    own_columns = frozenset({"app_id", "date"})


class BrazeKpiNewUsers(AppSeries):
    """New users by day; needs the permission kpi.new_users.data_series."""

    name = "braze_kpi_new_users"
    columns: ClassVar[dict[str, Any]] = app_series("New users of the day.")
    renamed: ClassVar[dict[str, str]] = {"value": "new_users"}
    endpoint = Endpoint("/kpi/new_users/data_series", "kpi.new_users.data_series", "data", "the number of new users")


class BrazeKpiDailyActiveUsers(AppSeries):
    """Daily active users; needs the permission kpi.dau.data_series."""

    name = "braze_kpi_daily_active_users"
    columns: ClassVar[dict[str, Any]] = app_series("Users active on the day.")
    renamed: ClassVar[dict[str, str]] = {"value": "dau"}
    endpoint = Endpoint("/kpi/dau/data_series", "kpi.dau.data_series", "data", "the number of daily active users")


class BrazeKpiMonthlyActiveUsers(AppSeries):
    """Monthly active users, by day; needs the permission kpi.mau.data_series."""

    name = "braze_kpi_monthly_active_users"
    columns: ClassVar[dict[str, Any]] = app_series("Users active in the 30 days up to the day.")
    renamed: ClassVar[dict[str, str]] = {"value": "mau"}
    endpoint = Endpoint("/kpi/mau/data_series", "kpi.mau.data_series", "data", "the number of monthly active users")


class BrazeKpiUninstalls(AppSeries):
    """Uninstalls by day; needs the permission kpi.uninstalls.data_series."""

    name = "braze_kpi_uninstalls"
    columns: ClassVar[dict[str, Any]] = app_series("Uninstalls of the day.")
    renamed: ClassVar[dict[str, str]] = {"value": "uninstalls"}
    endpoint = Endpoint("/kpi/uninstalls/data_series", "kpi.uninstalls.data_series", "data", "the number of uninstalls")


class BrazeSessions(AppSeries):
    """Sessions by day; needs the permission sessions.data_series."""

    name = "braze_sessions"
    columns: ClassVar[dict[str, Any]] = app_series("Sessions of the day.")
    renamed: ClassVar[dict[str, str]] = {"value": "sessions"}
    endpoint = Endpoint("/sessions/data_series", "sessions.data_series", "data", "the number of sessions")


class BrazeRevenue(AppSeries):
    """Revenue by day; needs the permission purchases.revenue_series."""

    name = "braze_revenue"
    columns: ClassVar[dict[str, Any]] = app_series("Revenue of the day.", is_amount=True)
    renamed: ClassVar[dict[str, str]] = {"value": "revenue"}
    endpoint = Endpoint(
        "/purchases/revenue_series", "purchases.revenue_series", "data", "the revenue by day", pool=PURCHASES
    )


class BrazePurchaseQuantities(AppSeries):
    """Purchases by day; needs the permission purchases.quantity_series."""

    name = "braze_purchase_quantities"
    columns: ClassVar[dict[str, Any]] = app_series("Purchases of the day.")
    renamed: ClassVar[dict[str, str]] = {"value": "purchase_quantity"}
    endpoint = Endpoint(
        "/purchases/quantity_series", "purchases.quantity_series", "data", "the purchases by day", pool=PURCHASES
    )


class BrazeEventCounts(SeriesStream):
    """Custom events by day; needs the permissions events.list (or events.get) and events.data_series."""

    name = "braze_event_counts"
    permission = "events.list, events.data_series"
    columns: ClassVar[dict[str, Any]] = app_series("How often the event happened on the day.", by_event=True)
    primary_keys: ClassVar[tuple[str, ...]] = ("event", "app_id", "date")
    own_columns = frozenset({"event", "app_id", "date"})
    renamed: ClassVar[dict[str, str]] = {"value": "count"}
    endpoint = Endpoint("/events/data_series", "events.data_series", "data", "the number of events")


class BrazeSegmentSizes(SeriesStream):
    """Sizes of tracked segments by day; needs the permissions segments.list and segments.data_series."""

    name = "braze_segment_sizes"
    permission = "segments.list, segments.data_series"
    columns: ClassVar[dict[str, Any]] = SEGMENT_SIZES
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "date")
    own_columns = frozenset({"segment_id", "date"})
    renamed: ClassVar[dict[str, str]] = {"value": "size"}
    endpoint = Endpoint("/segments/data_series", "segments.data_series", "data", "the size of a segment")


APP_SERIES: Final = (
    BrazeKpiNewUsers,
    BrazeKpiDailyActiveUsers,
    BrazeKpiMonthlyActiveUsers,
    BrazeKpiUninstalls,
    BrazeSessions,
    BrazeRevenue,
    BrazePurchaseQuantities,
)
