"""APSIS One: an export job that ends in one huge nested JSON file, flattened into profiles and events."""

from tap_cdp_export.vendors.apsis.account import ApsisAccount
from tap_cdp_export.vendors.apsis.checks import CHECK
from tap_cdp_export.vendors.apsis.definition_streams import DEFINITION_STREAMS, DefinitionSource
from tap_cdp_export.vendors.apsis.settings import SETTINGS, setting_problems
from tap_cdp_export.vendors.apsis.streams import ApsisEvents, ApsisProfiles, ApsisSource
from tap_cdp_export.vendors.vendor import Vendor

VENDOR = Vendor(
    name="apsis",
    title="APSIS One",
    description="APSIS One; present = on (streams apsis_profiles, apsis_events, and those that apsis.tables names).",
    settings=SETTINGS,
    check_settings=setting_problems,
    connect=ApsisAccount.connect,
    sources=(
        (ApsisSource, (ApsisEvents, ApsisProfiles)),
        *((DefinitionSource, (stream,)) for stream in DEFINITION_STREAMS),
    ),
    check=CHECK,
)
