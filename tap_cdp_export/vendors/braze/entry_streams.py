"""The tables made from the lists of Braze users: one row an entry."""

from __future__ import annotations

from typing import Any, ClassVar

from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.vendors.braze.schemas import (
    ALIASES,
    APPS,
    CAMPAIGNS,
    CANVAS_STEPS,
    CANVASES,
    CUSTOM_EVENTS,
    DEVICES,
    PURCHASES,
    PUSH_TOKENS,
)


class BrazeUserEntries(ExportStream):
    """A table of the entries of one of the users' lists.

    Attributes:
        field: the list.
        identity: the field that names an entry.
        inner: a list inside the entries, whose own entries become the rows; None if the entries themselves do.
        inner_identity: the field that names an entry of `inner`.
        counts: integer columns that the vendor may also send as text.
    """

    is_on_request = True
    permission = "users.export.segment"
    field: ClassVar[str]
    identity: ClassVar[str]
    inner: ClassVar[str | None] = None
    inner_identity: ClassVar[str] = ""
    counts: ClassVar[frozenset[str]] = frozenset()


class BrazeUserCustomEvents(BrazeUserEntries):
    """Custom events of the last 90 days."""

    name = "braze_user_custom_events"
    columns: ClassVar[dict[str, Any]] = CUSTOM_EVENTS
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id", "name", "occurrence")
    field = "custom_events"
    identity = "name"


class BrazeUserPurchases(BrazeUserEntries):
    """Purchases of the last 90 days."""

    name = "braze_user_purchases"
    columns: ClassVar[dict[str, Any]] = PURCHASES
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id", "name", "occurrence")
    field = "purchases"
    identity = "name"


class BrazeUserCampaigns(BrazeUserEntries):
    """Campaigns received in the last 90 days."""

    name = "braze_user_campaigns"
    columns: ClassVar[dict[str, Any]] = CAMPAIGNS
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id", "api_campaign_id", "occurrence")
    field = "campaigns_received"
    identity = "api_campaign_id"


class BrazeUserCanvases(BrazeUserEntries):
    """Canvases received in the last 90 days."""

    name = "braze_user_canvases"
    columns: ClassVar[dict[str, Any]] = CANVASES
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id", "api_canvas_id", "occurrence")
    field = "canvases_received"
    identity = "api_canvas_id"


class BrazeUserDevices(BrazeUserEntries):
    """Devices."""

    name = "braze_user_devices"
    columns: ClassVar[dict[str, Any]] = DEVICES
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id", "device_id", "occurrence")
    field = "devices"
    identity = "device_id"


class BrazeUserPushTokens(BrazeUserEntries):
    """Push tokens."""

    name = "braze_user_push_tokens"
    columns: ClassVar[dict[str, Any]] = PUSH_TOKENS
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id", "token", "occurrence")
    field = "push_tokens"
    identity = "token"


class BrazeUserApps(BrazeUserEntries):
    """Apps in use."""

    name = "braze_user_apps"
    columns: ClassVar[dict[str, Any]] = APPS
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id", "name", "occurrence")
    field = "apps"
    identity = "name"
    counts: ClassVar[frozenset[str]] = frozenset({"sessions"})


class BrazeUserAliases(BrazeUserEntries):
    """Aliases."""

    name = "braze_user_aliases"
    columns: ClassVar[dict[str, Any]] = ALIASES
    primary_keys: ClassVar[tuple[str, ...]] = ("segment_id", "braze_id", "alias_label", "occurrence")
    field = "user_aliases"
    identity = "alias_label"


class BrazeUserCanvasSteps(BrazeUserEntries):
    """Steps of Canvases received in the last 90 days."""

    name = "braze_user_canvas_steps"
    columns: ClassVar[dict[str, Any]] = CANVAS_STEPS
    primary_keys: ClassVar[tuple[str, ...]] = (
        "segment_id",
        "braze_id",
        "api_canvas_id",
        "api_canvas_step_id",
        "occurrence",
    )
    field = "canvases_received"
    identity = "api_canvas_id"
    inner = "steps_received"
    inner_identity = "api_canvas_step_id"
