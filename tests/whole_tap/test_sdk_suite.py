"""The SDK's own test suite, against the bundled sandbox, with every stream selected."""

from __future__ import annotations

from typing import Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_cdp_export.tap import TapCDPExport

# the SDK cannot check a column that the sandbox never fills, such as extra of the definitions
pytestmark = pytest.mark.filterwarnings("ignore:No records were available to test:UserWarning")

SETTINGS = {"sandbox": True}


def everything_selected() -> dict[str, Any]:
    catalog: dict[str, Any] = TapCDPExport(config=SETTINGS, parse_env_config=False).catalog_dict
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = True
    return catalog


TestTapCDPExport = get_tap_test_class(
    tap_class=TapCDPExport,
    config=SETTINGS,
    suite_config=SuiteConfig(max_records_limit=None),
    parse_env_config=False,
    catalog=everything_selected(),
)
