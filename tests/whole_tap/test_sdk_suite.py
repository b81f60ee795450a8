"""The SDK's own test suite, against the bundled sandbox."""

from __future__ import annotations

from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_cdp_export.tap import TapCDPExport

TestTapCDPExport = get_tap_test_class(
    tap_class=TapCDPExport,
    config={"sandbox": True},
    suite_config=SuiteConfig(max_records_limit=None),
    parse_env_config=False,
)
