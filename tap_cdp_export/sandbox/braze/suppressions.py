"""Suppression lists: hard bounces, unsubscribes and invalid telephone numbers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.sandbox.braze.access import Refused, choice, parameters, whole_number
from tap_cdp_export.sandbox.clock import moment_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from tap_cdp_export.sandbox.braze.access import Access
    from tap_cdp_export.sandbox.braze.workspace import Workspace

_PARAMETERS: Final = ("start_date", "end_date", "limit", "offset")
_MOST: Final = 500
_USUAL: Final = 100
_REASONS: Final = ("provider_error", "deactivated")


class Suppressions:
    """Endpoints for whom nothing must be sent to."""

    def __init__(self, access: Access, workspace: Workspace) -> None:
        """Serve this workspace."""
        self._access = access
        self._workspace = workspace

    def routes(self) -> list[BaseRoute]:
        """Routes of the lists."""
        route = self._access.route
        return [
            route("/email/hard_bounces", self._bounces),
            route("/email/unsubscribes", self._unsubscribes),
            route("/sms/invalid_phone_numbers", self._phones),
        ]

    def _bounces(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("email.hard_bounces")
        page = self._page(parameters(request, *_PARAMETERS), self._workspace.figures.bounces)
        return 200, {"emails": [{"email": email, "hard_bounced_at": at} for email, at in page], "message": "success"}

    def _unsubscribes(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("email.unsubscribe")
        query = parameters(request, *_PARAMETERS, "sort_direction")
        page = self._page(query, self._workspace.figures.unsubscribes, choice(query, "sort_direction", "desc", "asc"))
        return 200, {"emails": [{"email": email, "unsubscribed_at": at} for email, at in page], "message": "success"}

    def _phones(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("sms.invalid_phone_numbers")
        query = parameters(request, *_PARAMETERS, "reason")
        wanted = [choice(query, "reason", *_REASONS)] if "reason" in query else _REASONS
        page = self._page(query, self._workspace.figures.invalid_phones)
        items = [
            {"phone": phone, "invalid_detected_at": at, "reason": _REASONS[int(phone[-1]) % 2]} for phone, at in page
        ]
        return 200, {"sms": [item for item in items if item["reason"] in wanted], "message": "success"}

    def _page(
        self, query: dict[str, str], items: list[tuple[str, int]], direction: str = "desc"
    ) -> list[tuple[str, str]]:
        """Return a page of a range of days in UTC, whose end is midnight; by default the newest come first."""
        start, end = _midnight(query, "start_date"), _midnight(query, "end_date")
        if start >= end:
            raise Refused(400, "start_date must be before end_date")
        limit, offset = whole_number(query, "limit", _USUAL, _MOST, least=1), whole_number(query, "offset", 0)
        found = [(item, _recorded(at)) for item, at in items if start <= at < end]
        if direction == "desc":
            found.reverse()
        return found[offset : offset + min(limit, self._workspace.options.most_suppressions)]


def _midnight(query: dict[str, str], name: str) -> int:
    try:
        day = date.fromisoformat(query[name])
    except (KeyError, ValueError):
        raise Refused(400, f"{name} must be a date, YYYY-MM-DD") from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _recorded(at: int) -> str:
    return f"{moment_of(at):%Y-%m-%d %H:%M:%S} +0000"
