"""The examples' way through Meltano: what it runs, and which failures it lets a scheduler retry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.about import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PIECE = {"id": "braze.segment-1", "env": {"TAP_CDP_EXPORT_BRAZE_SEGMENT_IDS": '["1"]'}}
MELTANO = """#!/bin/sh
echo "$@" >> "$0.log"
case "$*" in
    *--dump=config*) echo '{"some": "settings"}' ;;
    *:partitions*) cat >> "$0.log"; echo '{"id": "a"}'; echo '{"id": "b"}' ;;
    *)
        echo "$MELTANO_ENVIRONMENT $TAP_CDP_EXPORT_BRAZE_SEGMENT_IDS" >> "$0.log"
        printf '%b' "$LOG" >&2
        exit "${CODE:-0}"
        ;;
esac
"""


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Run the script with a Meltano that writes down what it is asked."""
    meltano = tmp_path / "meltano"
    meltano.write_text(MELTANO)
    meltano.chmod(0o755)

    def invoke(*arguments: str, text: str = "", **environment: str) -> tuple[int, str, list[str]]:
        command = [sys.executable, str(ROOT / "examples" / "cdp_partitions.py"), *arguments]
        path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={"PATH": path, **environment},
        )
        asked = (tmp_path / "meltano.log").read_text().splitlines()
        return done.returncode, done.stdout + done.stderr, asked

    return invoke


def test_the_list_is_made_from_the_settings_that_meltano_gives(run: Any) -> None:
    code, output, asked = run("list", "--every=7d")
    assert (code, json.loads(output)) == (0, [{"id": "a"}, {"id": "b"}])
    assert asked == [
        "invoke --dump=config tap-cdp-export",
        "invoke tap-cdp-export:partitions --every=7d",
        '{"some": "settings"}',
    ]


def test_a_partition_runs_with_its_settings_and_a_state_of_its_own(run: Any) -> None:
    code, output, asked = run("run", text=json.dumps(PIECE), CDP_EXPORT_LOADER="target-x", LOG="done\\n")
    assert (code, output) == (0, "done\n")
    state_id = "prod:tap-cdp-export-to-target-x:braze.segment-1"
    assert asked == [f"el --no-install tap-cdp-export target-x --state-id={state_id}", 'prod ["1"]']


@pytest.mark.parametrize(
    ("log", "code"),
    [("braze_users: not you (exit 11)\\nRunnerError\\n", 11), ("(exit 12)\\n(exit 13)\\n", 13), ("no code\\n", 1)],
)
def test_it_ends_with_the_taps_exit_code(run: Any, log: str, code: int) -> None:
    ended, output, _ = run("run", text=json.dumps(PIECE), LOG=log, CODE="1")
    assert ended == code
    assert f"braze.segment-1 is not whole: exit code {code}" in output


def test_what_a_scheduler_may_retry() -> None:
    script = (
        "from cdp_partitions import ExportFailed;"
        "print([code for code in (1, 10, 11, 12, 13, 14, 15, 16, 143) if ExportFailed('', code).can_be_retried])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "examples")
    assert json.loads(done.stdout) == [1, 12, 13, 14, 15, 143]
