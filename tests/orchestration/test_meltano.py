"""Partitions run side by side through `meltano el`; one fails and is repaired; the rows are those of a single run."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.orchestration.conftest import rows

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox
    from tests.targets.meltano_project import MeltanoProject

pytestmark = pytest.mark.orchestrators
DAILY = "prod:tap-cdp-export-to-target-postgres"


def listed(project: MeltanoProject, environment: dict[str, str], *options: str) -> list[dict[str, Any]]:
    """List the partitions as the docs say."""
    config = project.meltano("invoke", "--dump=config", "tap-cdp-export", **environment)
    assert config.returncode == 0, config.stderr
    done = project.meltano("invoke", "tap-cdp-export:partitions", *options, text=config.stdout, **environment)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def run_all(
    project: MeltanoProject, environment: dict[str, str], pieces: list[dict[str, Any]]
) -> list[subprocess.CompletedProcess[str]]:
    """Run partitions side by side."""

    def run(piece: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        state_id = f"--state-id={DAILY}:{piece['id']}"
        variables = {**environment, **piece["env"]}
        return project.meltano("el", "--no-install", "tap-cdp-export", "target-postgres", state_id, **variables)

    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(run, pieces))


def test_several_at_once_one_repaired_and_a_daily_run_that_goes_on(
    project: MeltanoProject, sandbox: Sandbox, server: dict[str, Any], environment: dict[str, str]
) -> None:
    fanned_out = {**environment, "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "fanned_out"}
    single = {**environment, "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "single"}
    pieces = listed(project, environment, "--every=14d")
    sandbox.options.faults.append(Fault(status=403, path="/users/export/segment", times=1))
    done = run_all(project, fanned_out, pieces)
    for p, d in zip(pieces, done): print(p["id"], d.returncode, d.stderr[-1500:] if d.returncode else "")
    assert 0
