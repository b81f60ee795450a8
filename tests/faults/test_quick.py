"""The quick set of the fault campaigns, and the broken taps that it must detect; each in its own processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from tests.faults.broken_taps import BROKEN_TAPS

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]


RETRIES = 4  # some defects show only under a race


def findings_of(subcommand: str, name: str = "") -> dict[str, list[str]]:
    """Run the command and return its findings by campaign or broken tap."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "tests.faults", subcommand, name, str(report)]
        process = subprocess.run(command, capture_output=True, check=False, text=True)
        assert report.exists(), process.stderr
        return msgspec.json.decode(report.read_bytes(), type=dict[str, list[str]])


def test_the_quick_set_has_no_findings() -> None:
    findings = findings_of("quick")
    assert len(findings) == 10
    assert not any(findings.values()), findings


def test_every_broken_tap_is_detected() -> None:
    findings = findings_of("broken")
    assert findings.keys() == BROKEN_TAPS.keys()
    for name in [name for name, tap_findings in findings.items() if not tap_findings]:
        for _ in range(RETRIES):
            findings[name] += findings_of("broken", name).get(name, [])
    assert all(findings.values()), findings
    tracebacks = [text for texts in findings.values() for text in texts if "a traceback" in text]
    assert tracebacks == []
