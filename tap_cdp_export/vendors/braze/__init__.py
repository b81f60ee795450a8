"""Braze: a segment export that ends in an archive of JSON lines."""

from tap_cdp_export.vendors.braze.api import BrazeApi
from tap_cdp_export.vendors.braze.checks import CHECK
from tap_cdp_export.vendors.braze.entry_streams import (
    BrazeUserAliases,
    BrazeUserApps,
    BrazeUserCampaigns,
    BrazeUserCanvases,
    BrazeUserCanvasSteps,
    BrazeUserCustomEvents,
    BrazeUserDevices,
    BrazeUserPurchases,
    BrazeUserPushTokens,
)
from tap_cdp_export.vendors.braze.settings import SETTINGS, setting_problems
from tap_cdp_export.vendors.braze.streams import BrazeUsers, BrazeUsersSource
from tap_cdp_export.vendors.braze.tables.lists import BrazeSegments, ListSource
from tap_cdp_export.vendors.braze.tables.sources import SOURCES
from tap_cdp_export.vendors.vendor import Vendor

VENDOR = Vendor(
    name="braze",
    title="Braze",
    description="Braze; present = on (stream braze_users, and those that braze.tables names).",
    settings=SETTINGS,
    check_settings=setting_problems,
    connect=BrazeApi,
    sources=(
        (
            BrazeUsersSource,
            (
                BrazeUsers,
                BrazeUserCustomEvents,
                BrazeUserPurchases,
                BrazeUserCampaigns,
                BrazeUserCanvases,
                BrazeUserDevices,
                BrazeUserPushTokens,
                BrazeUserApps,
                BrazeUserAliases,
                BrazeUserCanvasSteps,
            ),
        ),
        (ListSource, (BrazeSegments,)),
        *SOURCES,
    ),
    check=CHECK,
)
