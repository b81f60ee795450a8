"""A vendor of the tests: what a fourth vendor needs, in full."""

from singer_sdk import typing as th

from tap_cdp_export.config.settings import empty_lists
from tap_cdp_export.vendors.vendor import Vendor
from tests.vendors.weather.streams import Readings, ReadingsSource, WeatherClient

VENDOR = Vendor(
    name="weather",
    title="Weather",
    description="Weather; present = on (stream weather_readings).",
    settings=th.ObjectType(
        th.Property("base_url", th.URIType, required=True, title="Base URL", description="The host."),
        th.Property("token", th.StringType, required=True, secret=True, title="Token", description="Bearer token."),
        th.Property("stations", th.ArrayType(th.StringType), required=True, title="Stations", description="Names."),
        additional_properties=False,
    ),
    check_settings=lambda settings: empty_lists("weather", settings, "stations"),
    connect=WeatherClient,
    sources=((ReadingsSource, (Readings,)),),
)
