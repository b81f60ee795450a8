"""Series by day: statistics of campaigns and Canvases, and the figures of the workspace."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.sandbox.braze.access import Refused, choice, parameters, whole_number
from tap_cdp_export.sandbox.braze.figures import TOTAL
from tap_cdp_export.sandbox.braze.identifiers import (
    APPS,
    CANVAS_CONTROL,
    CANVAS_STEP,
    CANVAS_STEP_NAME,
    CANVAS_VARIANT,
    CONTROL,
    VARIANT,
    control_id,
)
from tap_cdp_export.sandbox.clock import DAY, day, milliseconds
from tap_cdp_export.sandbox.shop import WELCOME

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from tap_cdp_export.sandbox.braze.access import Access
    from tap_cdp_export.sandbox.braze.definitions import Definitions
    from tap_cdp_export.sandbox.braze.workspace import Campaign, Workspace

_LONGEST: Final = 100
_LONGEST_OF_CANVAS: Final = 14
_RANGE: Final = ("length", "ending_at")
_APP_SERIES: Final = (
    ("/kpi/new_users/data_series", "kpi.new_users.data_series", "new_users"),
    ("/kpi/dau/data_series", "kpi.dau.data_series", "dau"),
    ("/kpi/mau/data_series", "kpi.mau.data_series", "mau"),
    ("/kpi/uninstalls/data_series", "kpi.uninstalls.data_series", "uninstalls"),
    ("/sessions/data_series", "sessions.data_series", "sessions", "unit", "segment_id"),
    ("/purchases/revenue_series", "purchases.revenue_series", "revenue", "unit", "product"),
    ("/purchases/quantity_series", "purchases.quantity_series", "purchase_quantity", "unit", "product"),
)
"""Path, permission and figure of each series of apps, and its further parameters."""


class Series:
    """Endpoints whose answers have a row for each day of the company, zeros included."""

    def __init__(self, access: Access, workspace: Workspace, definitions: Definitions) -> None:
        """Serve the figures of this workspace."""
        self._access = access
        self._workspace = workspace
        self._definitions = definitions

    def routes(self) -> list[BaseRoute]:
        """Routes of all series."""
        route = self._access.route
        return [
            route("/campaigns/data_series", self._campaign, pool="campaign series"),
            route("/canvas/data_series", self._canvas),
            route("/segments/data_series", self._segment),
            route("/events/data_series", self._event),
            *(route(path, self._of_apps(*app_series)) for path, *app_series in _APP_SERIES),
        ]

    def _of_apps(self, permission: str, name: str, *more: str) -> Callable[[Request], tuple[int, dict[str, Any]]]:
        def answer(request: Request) -> tuple[int, dict[str, Any]]:
            self._access.require(permission)
            query = parameters(request, *_RANGE, "app_id", *more)
            choice(query, "unit", "day")
            app, figures = self._app(query), self._workspace.figures
            rows = [{"time": _text(date), name: figures.of_app(name, app, date)} for date in self._days(query)]
            return 200, {"data": rows, "message": "success"}

        return answer

    def _app(self, query: dict[str, str]) -> str:
        app = query.get("app_id", TOTAL)
        if app not in (TOTAL, *self._workspace.kept(APPS)):
            raise Refused(400, "app_id must be a string of the App api identifier")
        return app

    def _days(self, query: dict[str, str], longest: int = _LONGEST) -> range:
        """Return the days of a query; those to come are left out."""
        if "length" not in query:
            raise Refused(400, "length is required")
        length = whole_number(query, "length", 0, longest, least=1)
        now = self._workspace.now
        end = self._workspace.day(min(_moment(query, "ending_at") if "ending_at" in query else now, now))
        options = self._workspace.options
        last = end if options.series_end == "inclusive" else end - 1
        first = last - length + 1
        if options.series_kept_days is not None:
            kept = self._workspace.day(now) - options.series_kept_days
            if last < kept and options.series_too_old == "refuse":
                raise Refused(400, "ending_at is too far in the past")
            first = max(first, kept)
        return range(first, last + 1)

    def _segment(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("segments.data_series")
        query = parameters(request, *_RANGE, "segment_id")
        segment = self._workspace.segment(query.get("segment_id"))
        if not self._workspace.is_tracked(segment):
            raise Refused(400, "Analytics tracking is not enabled for this segment")
        figures = self._workspace.figures
        rows = [{"time": _text(date), "size": figures.size(segment.identifier, date)} for date in self._days(query)]
        return 200, {"data": rows, "message": "success"}

    def _event(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("events.data_series")
        query = parameters(request, *_RANGE, "event", "unit", "app_id", "segment_id")
        choice(query, "unit", "day")
        event = query.get("event", "")
        if event not in self._definitions.event_names():
            raise Refused(400, "event must be the name of a custom event")
        app, counts = self._app(query), self._workspace.figures.apps
        rows = [{"time": _text(date), "count": counts[event, app][date]} for date in self._days(query)]
        return 200, {"data": rows, "message": "success"}

    def _campaign(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("campaigns.data_series")
        query = parameters(request, *_RANGE, "campaign_id")
        campaign = self._workspace.campaign(query.get("campaign_id"))
        rows = [self._campaign_day(campaign, date) for date in self._days(query)]
        return 200, {"data": rows, "message": "success"}

    def _campaign_day(self, campaign: Campaign, date: int) -> dict[str, Any]:
        identifier, figures = campaign.identifier, self._workspace.figures
        messages: dict[str, Any] = {"sms": []}
        recipients = figures.mail(identifier, "sent", date)
        if campaign.alert is not None:
            first, last = map(self._workspace.day, self._workspace.alert_span(campaign.alert))
            recipients = 1 + (date + campaign.alert) % 5 if first <= date <= last else 0
            messages["webhook"] = [{"variation_api_id": campaign.variation, "sent": recipients, "errors": 0}]
        else:
            messages["email"] = [{"variation_api_id": campaign.variation, **self._mail(identifier, date)}]
        totals = {"revenue": 0.0, "unique_recipients": recipients, **self._conversions(identifier, date, "send_time")}
        if self._workspace.options.control_groups and campaign.alert is None:
            messages["email"][0] |= {"variation_name": VARIANT, **totals}
            messages["email"].append(self._control(campaign, date))
        return {"time": _text(date), **totals, "messages": messages}

    def _control(self, campaign: Campaign, date: int) -> dict[str, Any]:
        """Figures of a campaign's control group, whose members get no mail and so neither open nor click one."""
        return {
            "variation_api_id": control_id(campaign.variation),
            "variation_name": CONTROL,
            "revenue": 0.0,
            **dict.fromkeys(self._conversions(campaign.identifier, date, "send_time"), 0),
            "enrolled": self._workspace.figures.mail(campaign.identifier, "control_entries", date),
        }

    def _conversions(self, identifier: str, date: int, by: str) -> dict[str, int]:
        """Conversions of event A, a click, and perhaps of event B, an open."""
        events = ("clicks", "opens")[: self._workspace.options.conversion_events]
        return {
            f"conversions{number or ''}{suffix}": self._workspace.figures.mail(identifier, figure, date)
            for number, event in enumerate(events)
            for suffix, figure in (("", event), (f"_by_{by}", f"{event}_by_send_time"))
        }

    def _mail(self, identifier: str, date: int) -> dict[str, int]:
        """Figures of the mails of a campaign or Canvas; each is opened and clicked once at most."""
        figures = self._workspace.figures
        return {
            name: figures.mail(identifier, source, date)
            for name, source in (
                ("sent", "sent"),
                ("opens", "opens"),
                ("unique_opens", "opens"),
                ("clicks", "clicks"),
                ("unique_clicks", "clicks"),
                ("unsubscribes", "unsubscribes"),
                ("bounces", "bounces"),
                ("delivered", "delivered"),
                ("reported_spam", "reported_spam"),
                ("machine_open", "machine_open"),
                ("machine_amp_open", "machine_amp_open"),
            )
        }

    def _canvas(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("canvas.data_series")
        query = parameters(
            request,
            *_RANGE,
            "canvas_id",
            "starting_at",
            "include_variant_breakdown",
            "include_step_breakdown",
            "include_deleted_step_data",
        )
        identifier = self._workspace.canvas(query.get("canvas_id"))
        if "ending_at" not in query:
            raise Refused(400, "ending_at is required")
        with_variants = choice(query, "include_variant_breakdown", "false", "true") == "true"
        with_steps = choice(query, "include_step_breakdown", "false", "true") == "true"
        stats = []
        for date in self._days(query, _LONGEST_OF_CANVAS):
            day_of_canvas: dict[str, Any] = {"time": _text(date), "total_stats": self._canvas_day(identifier, date)}
            if with_variants:
                day_of_canvas["variant_stats"] = {
                    CANVAS_VARIANT: {
                        "name": VARIANT,
                        **self._canvas_day(identifier, date),
                        "entries": self._workspace.figures.mail(identifier, "entries", date),
                    },
                    CANVAS_CONTROL: {
                        "name": CONTROL,
                        "revenue": 0.0,
                        **dict.fromkeys(self._conversions(identifier, date, "entry_time"), 0),
                        "entries": self._workspace.figures.mail(identifier, "control_entries", date),
                    },
                }
            if with_steps:
                totals = self._canvas_day(identifier, date)
                del totals["entries"]
                messages = {"email": [self._mail(identifier, date)]}
                day_of_canvas["step_stats"] = {CANVAS_STEP: {"name": CANVAS_STEP_NAME, **totals, "messages": messages}}
            stats.append(day_of_canvas)
        return 200, {"data": {"name": WELCOME.name, "stats": stats}, "message": "success"}

    def _canvas_day(self, identifier: str, date: int) -> dict[str, Any]:
        figures = self._workspace.figures
        return {
            "revenue": 0.0,
            **self._conversions(identifier, date, "entry_time"),
            "entries": sum(figures.mail(identifier, name, date) for name in ("entries", "control_entries")),
        }


def _text(date: int) -> str:
    return day(date * DAY)


def _moment(query: dict[str, str], name: str) -> int:
    try:
        datetime.fromisoformat(query[name])
        return milliseconds(query[name])
    except ValueError:
        raise Refused(400, f"{name} must be ISO 8601") from None
