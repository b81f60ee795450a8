"""The commands of the page on orchestration, and of the examples without an engine, run with the real Meltano."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]
import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.buckets.stores import s3
from tests.docs.pages import BASH
from tests.docs.test_orchestration import blocks
from tests.helpers.about import ROOT
from tests.orchestration.conftest import END, START, only, rows

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox
    from tests.targets.meltano_project import MeltanoProject

pytestmark = pytest.mark.orchestrators
DAILY = "prod:tap-cdp-export-to-target-postgres"


class Shell:
    """Runs commands in a Meltano project, beside which the examples' script lies."""

    def __init__(self, project: MeltanoProject, environment: dict[str, str]) -> None:
        """Copy the script."""
        shutil.copy(ROOT / "examples" / "cdp_partitions.py", project.folder)
        self.folder = project.folder
        inherited = {n: value for n, value in os.environ.items() if not n.startswith(("MELTANO_", "TAP_", "TARGET_"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**inherited, "PATH": path, "MELTANO_ENVIRONMENT": "prod", **environment}

    def run(self, command: str, *, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in bash; one of several that fails ends it."""
        return subprocess.run(
            [BASH, "-euo", "pipefail", "-c", command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={**self.environment, **environment},
        )

    def must_run(self, command: str, **environment: str) -> str:
        """Run a command that must succeed."""
        done = self.run(command, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run_pieces(self, pieces: list[dict[str, Any]]) -> list[int]:
        """Run partitions side by side; return the tap's exit codes."""

        def run(piece: dict[str, Any]) -> int:
            return self.run("python cdp_partitions.py run", text=json.dumps(piece)).returncode

        with ThreadPoolExecutor(max_workers=4) as pool:
            return list(pool.map(run, pieces))

    def bookmarks(self) -> dict[str, Any]:
        """The bookmarks of the daily run."""
        return dict(json.loads(self.must_run(f"meltano state get {DAILY}"))["singer_state"]["bookmarks"])


def test_several_at_once_one_repaired_and_the_daily_run_has_the_state(
    project: MeltanoProject, sandbox: Sandbox, server: dict[str, Any], environment: dict[str, str]
) -> None:
    listing, first_piece, merge, schedule = blocks("bash")
    shell = Shell(project, {**environment, "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "fanned_out"})
    shell.must_run("meltano state list")  # two commands that create the system database at once collide
    dated = listing.replace("2025-01-01", START).replace("2025-07-01", END).replace("7d", "14d")
    assert dated.count(START) == dated.count(END) == dated.count("14d") == 1
    shell.must_run(dated)
    text = (project.folder / "partitions.jsonl").read_text()
    pieces = [json.loads(line) for line in text.splitlines()]
    assert [piece["vendor"] for piece in pieces] == ["apsis", "apsis", "braze", "braze"]
    assert "sandbox-key" not in text

    for piece in (pieces[0], pieces[2]):  # two loads that create the same table at once collide
        assert shell.run_pieces([piece]) == [0]
    sandbox.options.faults.append(Fault(status=403, path="/users/export/segment", times=1))
    at_once = [pieces[1], pieces[3]]
    codes = shell.run_pieces(at_once)
    assert sorted(codes) == [0, 11]
    assert shell.run_pieces([at_once[codes.index(11)]]) == [0]
    shell.must_run(first_piece)  # once more, which asks for nothing

    shell.must_run(schedule, TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA="single")
    found, expected = rows(server, "fanned_out"), rows(server, "single")
    assert set(found) == {"apsis_events", "apsis_profiles", "braze_users"}
    assert {table: len(of) for table, of in found.items()} == {table: len(of) for table, of in expected.items()}
    assert found == expected

    after_single_run = shell.bookmarks()
    shell.must_run(f"meltano state clear --force {DAILY}")
    shell.must_run(merge)
    assert shell.bookmarks() == after_single_run
    assert after_single_run["apsis_events"]["replication_key_value"].startswith(END[:19])


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
        shell = Shell(project, variables)
        pieces = json.loads(shell.must_run("python cdp_partitions.py list"))
        for piece in pieces:  # one after the other, as above
            assert shell.run_pieces([piece]) == [0]
        files, _ = fsspec.url_to_fs(store.url, **store.options)
        states = files.find("bucket/states")
    assert [any(f"{DAILY}:{piece['id']}" in path for path in states) for piece in pieces] == [True, True], states
    assert len(rows(server, "with_s3")["braze_users"]) > 0
