"""The SDK's own test suite, against the bundled sandbox, with every stream offered."""

from __future__ import annotations

from typing import Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_cdp_export.tap import VENDORS, TapCDPExport

# the SDK cannot check a column that the sandbox never fills, such as extra of the definitions
pytestmark = [
    pytest.mark.filterwarnings("ignore:No records were available to test:UserWarning"),
    pytest.mark.xdist_group("SDK's suite"),  # one run for all its tests
]

SETTINGS: dict[str, Any] = {"sandbox": True, **{vendor.name: {"tables": ["*"]} for vendor in VENDORS}}
BY_CHANCE = ["braze_hard_bounces", "braze_unsubscribes", "braze_invalid_phones"]
"""Whether the sandbox has any of the last four weeks depends on the day."""

TestTapCDPExport = get_tap_test_class(
    tap_class=TapCDPExport,
    config=SETTINGS,
    suite_config=SuiteConfig(max_records_limit=None, ignore_no_records_for_streams=BY_CHANCE),
    parse_env_config=False,
)
