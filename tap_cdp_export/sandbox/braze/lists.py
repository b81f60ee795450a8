"""Lists of campaigns, Canvases and segments, and the details of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from tap_cdp_export.sandbox.braze.access import choice, page_of, parameters, whole_number
from tap_cdp_export.sandbox.braze.identifiers import (
    CANVAS_CONTROL,
    CANVAS_MESSAGE,
    CANVAS_STEP,
    CANVAS_STEP_NAME,
    CANVAS_VARIANT,
    CONTROL,
    VARIANT,
    control_id,
)
from tap_cdp_export.sandbox.braze.workspace import iso
from tap_cdp_export.sandbox.shop import WELCOME

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from tap_cdp_export.sandbox.braze.access import Access
    from tap_cdp_export.sandbox.braze.workspace import Campaign, Workspace

T = TypeVar("T")

PAGE: Final = 100
_CONVERSION_EVENTS: Final = ("Clicks Email", "Opens Email")
_LIST_PARAMETERS: Final = ("page", "include_archived", "sort_direction", "last_edit.time[gt]")
_DETAIL_PARAMETERS: Final = ("post_launch_draft_version", "include_has_translatable_content")


class Lists:
    """Endpoints for what the workspace holds."""

    def __init__(self, access: Access, workspace: Workspace) -> None:
        """Serve this workspace."""
        self._access = access
        self._workspace = workspace

    def routes(self) -> list[BaseRoute]:
        """Routes of the lists and details."""
        route = self._access.route
        return [
            route("/campaigns/list", self._campaigns),
            route("/campaigns/details", self._campaign),
            route("/canvas/list", self._canvases),
            route("/canvas/details", self._canvas),
            route("/segments/list", self._segments),
            route("/segments/details", self._segment),
        ]

    def _campaigns(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("campaigns.list")
        query = parameters(request, *_LIST_PARAMETERS)
        with_archived = _flag(query, "include_archived")
        items = [
            {
                "id": campaign.identifier,
                "last_edited": iso(self._workspace.opened),
                "name": campaign.name,
                "is_api_campaign": False,
                "tags": [] if campaign.alert is None else ["warehouse"],
            }
            for campaign in self._workspace.campaigns()
            if with_archived or not campaign.archived
        ]
        return 200, {"campaigns": self._page(items, query), "message": "success"}

    def _canvases(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("canvas.list")
        query = parameters(request, *_LIST_PARAMETERS)
        _flag(query, "include_archived")
        edited = iso(self._workspace.opened)
        items = [
            {"id": identifier, "last_edited": edited, "name": name, "tags": ["onboarding"]}
            for identifier, name in self._workspace.canvases()
        ]
        return 200, {"canvases": self._page(items, query), "message": "success"}

    def _segments(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("segments.list")
        query = parameters(request, "page", "sort_direction")
        items = [
            {
                "id": segment.identifier,
                "name": segment.name,
                "analytics_tracking_enabled": self._workspace.is_tracked(segment),
                "tags": [],
            }
            for segment in self._workspace.segments()
        ]
        return 200, {"message": "success", "segments": self._page(items, query)}

    def _page(self, items: list[T], query: dict[str, str]) -> list[T] | None:
        """Return a page in the order that the query asks for."""
        ordered = items if choice(query, "sort_direction", "asc", "desc") == "asc" else items[::-1]
        return page_of(ordered, whole_number(query, "page", 0), PAGE, self._workspace.options.past_end)

    def _campaign(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("campaigns.details")
        query = parameters(request, "campaign_id", *_DETAIL_PARAMETERS)
        campaign = self._workspace.campaign(query.get("campaign_id"))
        channel = "email" if campaign.subject else "webhook"
        events = _CONVERSION_EVENTS[: self._workspace.options.conversion_events] if campaign.subject else ()
        content = {
            **self._common(campaign.name, archived=campaign.archived, draft=campaign.draft, channel=channel),
            "tags": [],
            "messages": {campaign.variation: _message(campaign)},
            "conversion_behaviors": [{"type": name, "window": 259_200} for name in events],
        }
        if self._workspace.options.control_groups and campaign.subject:
            control = {"channel": "email", "name": CONTROL, "type": "control"}
            content["messages"][control_id(campaign.variation)] = control
        if span := self._workspace.span(campaign):
            content |= {"first_sent": iso(span[0]), "last_sent": iso(span[1])}
        return 200, content

    def _canvas(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("canvas.details")
        query = parameters(request, "canvas_id", *_DETAIL_PARAMETERS)
        identifier = self._workspace.canvas(query.get("canvas_id"))
        variants: tuple[tuple[str, str, list[str]], ...] = (
            (CANVAS_VARIANT, VARIANT, [CANVAS_STEP]),
            (CANVAS_CONTROL, CONTROL, []),
        )
        message = {"channel": "email", "subject": WELCOME.subject, "from": "Stigen <hej@example.com>"}
        content = {
            **self._common(WELCOME.name, archived=False, draft=False, channel="email"),
            "tags": ["onboarding"],
            "variants": [
                {"name": name, "id": variant, "first_step_ids": steps, **({"first_step_id": steps[0]} if steps else {})}
                for variant, name, steps in variants
            ],
            "steps": [
                {
                    "name": CANVAS_STEP_NAME,
                    "type": "message",
                    "id": CANVAS_STEP,
                    "next_step_ids": [],
                    "next_paths": [],
                    "channels": ["email"],
                    "messages": {CANVAS_MESSAGE: message},
                }
            ],
        }
        if span := self._workspace.figures.spans.get(identifier):
            content |= {"first_entry": iso(span[0]), "last_entry": iso(span[1])}
        return 200, content

    def _common(self, name: str, *, archived: bool, draft: bool, channel: str) -> dict[str, Any]:
        created = iso(self._workspace.opened)
        return {
            "message": "success",
            "created_at": created,
            "updated_at": created,
            "name": name,
            "description": "",
            "schedule_type": "time_based",
            "archived": archived,
            "draft": draft,
            "enabled": not draft,
            "has_post_launch_draft": False,
            "channels": [channel],
            "teams": [],
        }

    def _segment(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("segments.details")
        segment = self._workspace.segment(parameters(request, "segment_id").get("segment_id"))
        created = iso(self._workspace.opened)
        return 200, {
            "message": "success",
            "name": segment.name,
            "description": segment.name,
            "created_at": created,
            "updated_at": created,
            "text_description": segment.kind,
            "tags": [],
            "teams": [],
        }


def _message(campaign: Campaign) -> dict[str, Any]:
    if not campaign.subject:
        return {"channel": "webhook", "name": VARIANT, "url": "https://example.com/stock", "method": "POST"}
    return {
        "channel": "email",
        "name": VARIANT,
        "subject": campaign.subject,
        "from": "Stigen <hej@example.com>",
        "body": f"<html><body><h1>{campaign.subject}</h1></body></html>",
        "extras": {},
    }


def _flag(query: dict[str, str], name: str) -> bool:
    return choice(query, name, "false", "true") == "true"
