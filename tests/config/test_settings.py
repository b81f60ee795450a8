"""Settings, defaults, required settings and secrets are the documented ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.tap import VENDORS
from tests.helpers.configurations import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULTS = {
    "request_deadline_seconds": 900,
    "sandbox": False,
    "personalization.statistics_days": 30,
    "personalization.page_size": 1000,
    "personalization.include_geo": False,
    "personalization.accounts_missing": "warn",
    "personalization.extra_params": {},
    "personalization.tables": [],
    "apsis.base_url": "https://api.apsis.one",
    "apsis.attributes": [],
    "apsis.tags": [],
    "apsis.events": [],
    "apsis.item_fields": {"section_discriminator": "section_discriminator", "version_id": "version_id"},
    "apsis.tables": [],
    "apsis.extra_body": {},
    "apsis.window_days": 7,
    "apsis.lookback_minutes": 1440,
    "apsis.requests_per_minute": 1,
    "apsis.poll_initial_seconds": 2,
    "apsis.poll_max_seconds": 60,
    "apsis.export_timeout_seconds": 21600,
    "braze.tables": [],
    "braze.output_format": "zip",
    "braze.on_conflict": "wait",
    "braze.bucket_options": {},
    "braze.bucket_quiet_seconds": 300,
    "braze.bucket_activate_version": False,
    "braze.poll_initial_seconds": 5,
    "braze.poll_max_seconds": 60,
    "braze.export_timeout_seconds": 21600,
}
WITHOUT_DEFAULT = {
    "start_date",
    "end_date",
    "personalization.account_name",
    "personalization.instance",
    "personalization.base_url",
    "personalization.filter",
    "personalization.segmentation_id",
    "personalization.segment_id",
    "apsis.segment_filter",
    "braze.segment_ids",
    "braze.fields_to_export",
    "braze.custom_attributes_to_export",
    "braze.callback_endpoint",
    "braze.bucket_url",
}
REQUIRED = {
    "personalization.dataset_ids",
    "personalization.api_key_id",
    "personalization.api_key_secret",
    "apsis.client_id",
    "apsis.client_secret",
    "braze.base_url",
    "braze.api_key",
}
SECRETS = {
    "personalization.api_key_id",
    "personalization.api_key_secret",
    "apsis.client_id",
    "apsis.client_secret",
    "braze.api_key",
    "braze.bucket_options",
}

NAMES = [vendor.name for vendor in VENDORS]


def every_setting() -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield the name, the schema, and whether the setting is required."""
    for name, schema in SETTINGS["properties"].items():
        if name not in NAMES:
            yield name, schema, name in SETTINGS.get("required", ())
            continue
        for inner, inner_schema in schema["properties"].items():
            yield f"{name}.{inner}", inner_schema, inner in schema.get("required", ())


ALL = {name: (schema, required) for name, schema, required in every_setting()}


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_a_default_is_the_documented_one(name: str, default: object) -> None:
    assert ALL[name][0]["default"] == default


@pytest.mark.parametrize("name", sorted(WITHOUT_DEFAULT))
def test_a_setting_without_a_documented_default_is_optional(name: str) -> None:
    schema, required = ALL[name]
    assert "default" not in schema
    assert not required


def test_exactly_the_documented_settings_are_required() -> None:
    assert {name for name, (_, required) in ALL.items() if required} == REQUIRED


def test_every_documented_secret_is_marked() -> None:
    secret_names = {name for name, (schema, _) in ALL.items() if schema.get("secret")}
    assert secret_names >= SECRETS
    assert all(name in SECRETS or "options" in name for name in secret_names)


@pytest.mark.parametrize("name", ALL)
def test_every_setting_has_a_title_and_a_description_that_ends_a_sentence(name: str) -> None:
    schema, _ = ALL[name]
    assert schema["title"]
    assert schema["description"].endswith(".")


@pytest.mark.parametrize("vendor", NAMES)
def test_no_vendor_is_required_and_unknown_keys_are_refused(vendor: str) -> None:
    assert vendor not in SETTINGS.get("required", ())
    assert SETTINGS["properties"][vendor]["additionalProperties"] is False
    assert SETTINGS["additionalProperties"] is False
