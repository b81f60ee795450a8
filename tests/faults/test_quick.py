"""The quick set of the fault campaigns, and the proof that it can fail; each in processes of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from tests.faults.broken_taps import BROKEN_TAPS

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]


PLAYS = 4  # some mistakes show only when two things happen at the same moment


def findings_of(what: str, name: str = "") -> dict[str, list[str]]:
    """Run the command, and give what it found by campaign or broken tap."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "tests.faults", what, name, str(report)]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        assert report.exists(), done.stderr
        return msgspec.json.decode(report.read_bytes(), type=dict[str, list[str]])


def test_the_quick_set_finds_no_loss_and_no_surprise() -> None:
    findings = findings_of("quick")
    assert len(findings) == 9
    assert not any(findings.values()), findings


def test_every_tap_that_is_broken_on_purpose_is_caught() -> None:
    findings = findings_of("broken")
    assert findings.keys() == BROKEN_TAPS.keys()
    for name in [name for name, found in findings.items() if not found]:
        for _ in range(PLAYS):
            findings[name] += findings_of("broken", name).get(name, [])
    assert all(findings.values()), findings
    its_own_mistakes = [text for texts in findings.values() for text in texts if "a traceback" in text]
    assert its_own_mistakes == []
