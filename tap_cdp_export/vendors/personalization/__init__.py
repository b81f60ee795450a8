"""Salesforce Marketing Cloud Personalization (was Evergage): paged exports of users and accounts."""

from tap_cdp_export.vendors.personalization.checks import CHECK
from tap_cdp_export.vendors.personalization.client import PersonalizationClient
from tap_cdp_export.vendors.personalization.settings import SETTINGS, setting_problems
from tap_cdp_export.vendors.personalization.streams import Accounts, PersonalizationSource, Users
from tap_cdp_export.vendors.personalization.user_segments import UserSegments, UserSegmentsSource
from tap_cdp_export.vendors.vendor import Vendor

VENDOR = Vendor(
    name="personalization",
    title="Personalization",
    description="Salesforce Marketing Cloud Personalization; present = on (streams users, accounts, and those "
    "that personalization.tables names).",
    settings=SETTINGS,
    check_settings=setting_problems,
    connect=PersonalizationClient,
    sources=(
        (PersonalizationSource, (Users,)),
        (PersonalizationSource, (Accounts,)),
        (UserSegmentsSource, (UserSegments,)),
    ),
    check=CHECK,
)
