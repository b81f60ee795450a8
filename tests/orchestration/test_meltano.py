"""Partitions run side by side through `meltano el`; one fails and is repaired; the rows are those of a single run."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.buckets.stores import s3
from tests.orchestration.conftest import only, rows

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

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


def run_single(project: MeltanoProject, environment: dict[str, str], **more: str) -> None:
    done = project.meltano("run", "--no-install", "tap-cdp-export", "target-postgres", **environment, **more)
    assert done.returncode == 0, done.stderr


def test_several_at_once_one_repaired_and_the_daily_run_has_the_state(
    project: MeltanoProject, sandbox: Sandbox, server: dict[str, Any], environment: dict[str, str]
) -> None:
    fanned_out = {**environment, "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "fanned_out"}
    pieces = listed(project, environment, "--every=14d")
    sandbox.options.faults.append(Fault(status=403, path="/users/export/segment", times=1))
    done = run_all(project, fanned_out, pieces)
    failed = [piece for piece, run in zip(pieces, done, strict=True) if run.returncode]
    assert [(piece["vendor"], len(pieces)) for piece in failed] == [("braze", 4)]
    assert [run.returncode for run in done if "(exit 11)" in run.stderr] == [1]  # Meltano has an exit code of its own
    (repaired,) = run_all(project, fanned_out, failed)
    assert repaired.returncode == 0, repaired.stderr

    run_single(project, environment, TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA="single")
    found = rows(server, "fanned_out")
    assert found == rows(server, "single")
    assert set(found) == {"apsis_events", "apsis_profiles", "braze_users"}

    single = project.meltano("state", "get", DAILY, **environment)
    project.meltano("state", "clear", "--force", DAILY, **environment)
    for piece in pieces:
        merge = ("state", "merge", f"--from-state-id={DAILY}:{piece['id']}", DAILY)
        assert project.meltano(*merge, **environment).returncode == 0
    after_fan_out = project.meltano("state", "get", DAILY, **environment)
    bookmarks = json.loads(after_fan_out.stdout)["singer_state"]["bookmarks"]
    assert bookmarks == json.loads(single.stdout)["singer_state"]["bookmarks"]
    assert bookmarks["apsis_events"]["replication_key_value"].startswith("2026-11-10T12:00:00")


def test_state_in_s3(
    project: MeltanoProject, server: dict[str, Any], environment: dict[str, str], tmp_path: Path
) -> None:
    with s3(tmp_path) as store:
        variables = {
            **only(environment, "BRAZE"),
            "MELTANO_DATABASE_URI": f"sqlite:///{tmp_path}/meltano.db",
            "MELTANO_STATE_BACKEND_URI": "s3://bucket/states",
            "MELTANO_STATE_BACKEND_S3_AWS_ACCESS_KEY_ID": store.options["key"],
            "MELTANO_STATE_BACKEND_S3_AWS_SECRET_ACCESS_KEY": store.options["secret"],
            "MELTANO_STATE_BACKEND_S3_ENDPOINT_URL": store.options["endpoint_url"],
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "with_s3",
        }
        pieces = listed(project, variables)
        assert [run.returncode for run in run_all(project, variables, pieces)] == [0, 0]
        files, _ = fsspec.url_to_fs(store.url, **store.options)
        states = files.find("bucket/states")
    assert [any(f"{DAILY}:{piece['id']}" in path for path in states) for piece in pieces] == [True, True], states
    assert len(rows(server, "with_s3")["braze_users"]) > 0
