"""List the partitions of tap-cdp-export and run one of them through Meltano, for a scheduler to call.

From a shell, `python cdp_partitions.py list --every=7d` prints all of them as one JSON array, and `python
cdp_partitions.py run` reads one of them from stdin, runs it, and ends with the tap's exit code.

Environment variables: `MELTANO_PROJECT_ROOT` is the folder of `meltano.yml`, `MELTANO_ENVIRONMENT` its environment
(prod), `CDP_EXPORT_LOADER` the loader (target-postgres). Install the plugins once before: `meltano install`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

PROJECT = os.environ.get("MELTANO_PROJECT_ROOT", ".")
ENVIRONMENT = os.environ.get("MELTANO_ENVIRONMENT", "prod")
LOADER = os.environ.get("CDP_EXPORT_LOADER", "target-postgres")

Partition = dict[str, Any]

_NEVER_HEALS = {10, 11, 16}  # settings, credentials and rights, this machine
_EXIT_CODE = re.compile(r"\(exit (\d+)\)")  # Meltano ends with 1 whatever the tap ends with


class ExportFailed(Exception):
    """A partition is not whole.

    Attributes:
        code: the tap's exit code; 1 if there is none.
        can_be_retried: whether the same may succeed later.
    """

    def __init__(self, partition: str, code: int) -> None:
        """Take the partition's ID and the exit code."""
        super().__init__(f"{partition} is not whole: exit code {code}, see the log above")
        self.code = code
        self.can_be_retried = code not in _NEVER_HEALS


def partitions(*options: str) -> list[Partition]:
    """List the partitions.

    Args:
        options: of `tap-cdp-export-partitions`, such as `--start=2026-01-01`, `--every=7d`.

    Returns:
        An object for each, without secrets.
    """
    config = _output("invoke", "--dump=config", "tap-cdp-export")
    lines = _output("invoke", "tap-cdp-export:partitions", *options, text=config)
    return [json.loads(line) for line in lines.splitlines()]


def export(partition: Partition) -> str:
    """Run a partition from where its last run ended.

    Args:
        partition: from `partitions`.

    Returns:
        Its state ID.

    Raises:
        ExportFailed: If it is not whole.
    """
    state_id = f"{ENVIRONMENT}:tap-cdp-export-to-{LOADER}:{partition['id']}"
    command = ["meltano", "el", "--no-install", "tap-cdp-export", LOADER, f"--state-id={state_id}"]
    code = 1
    with subprocess.Popen(
        command, cwd=PROJECT, env={**_variables(), **partition["env"]}, stderr=subprocess.PIPE, text=True
    ) as meltano:
        for line in meltano.stderr or ():
            sys.stdout.write(line)  # which schedulers keep as the task's log
            if found := _EXIT_CODE.search(line):
                code = int(found[1])
    if meltano.returncode:
        raise ExportFailed(partition["id"], code)
    return state_id


def _output(*arguments: str, text: str = "") -> str:
    command = ["meltano", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=_variables(), input=text, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _variables() -> dict[str, str]:
    return {**os.environ, "MELTANO_ENVIRONMENT": ENVIRONMENT}


def main() -> None:
    """List the partitions, or run one."""
    match sys.argv[1:]:
        case ["list", *options]:
            sys.stdout.write(json.dumps(partitions(*options)) + "\n")
        case ["run"]:
            try:
                export(json.load(sys.stdin))
            except ExportFailed as failure:
                sys.stderr.write(f"{failure}\n")
                sys.exit(failure.code)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
