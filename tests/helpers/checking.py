"""Run the check in the process of the test, against a running sandbox."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_cdp_export.cli.check import FirstContact
from tap_cdp_export.errors import CdpExportError
from tests.helpers.running import vendor

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox


def check(settings: dict[str, Any], *, may_export: bool = True) -> dict[str, Any]:
    """Run the check.

    Args:
        settings: content of the settings file.
        may_export: whether one export a vendor is allowed.

    Returns:
        The report, as read from its file.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.json")
        with suppress(CdpExportError):
            FirstContact().run(settings, parse_env=False, may_export=may_export, report_file=path)
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return report


def outcomes(sandbox: Sandbox, name: str, **changes: Any) -> dict[str, str]:
    """Check one vendor of a sandbox, one export allowed.

    Args:
        sandbox: running.
        name: of the vendor.
        changes: of its settings.

    Returns:
        The outcome of each fact.
    """
    report = check(vendor(sandbox.settings(), name, **changes))
    return {identifier: fact["outcome"] for identifier, fact in report["vendors"][name]["facts"].items()}
