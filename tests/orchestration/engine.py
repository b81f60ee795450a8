"""An orchestrator in a virtual environment of its own, with an example of this repository beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.about import ROOT

_OURS = ("AIRFLOW", "CDP_", "DAGSTER", "MELTANO_", "PYTHON", "TAP_", "TARGET_")


@dataclass(frozen=True)
class Engine:
    """An installed orchestrator.

    Attributes:
        binaries: folder of its commands.
        folder: where the example lies.
    """

    binaries: Path
    folder: Path

    @classmethod
    def install(cls, folder: Path, requirement: str, *files: str) -> Engine:
        """Install an orchestrator, and copy the example.

        Args:
            folder: an empty folder.
            requirement: what pip installs.
            files: names in the folder `examples`.

        Returns:
            The engine.
        """
        environment = folder / "venv"
        uv = Path(sys.executable).with_name("uv")
        if uv.exists():  # it comes with Meltano, and is faster
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
            pip = [str(uv), "pip", "install", "--quiet", "--python", str(environment / "bin" / "python")]
        else:
            venv.create(environment, with_pip=True)
            pip = [str(environment / "bin" / "pip"), "install", "--quiet"]
        subprocess.run([*pip, requirement], check=True)
        for file in files:
            shutil.copy(ROOT / "examples" / file, folder)
        return cls(environment / "bin", folder)

    def run(self, *command: str, **environment: str) -> str:
        """Run a command of the orchestrator, which must succeed.

        Args:
            command: name and arguments.
            environment: further environment variables.

        Returns:
            Its output, stderr included.
        """
        done = self.attempt(*command, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def attempt(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as `run` does, whether or not it succeeds."""
        return subprocess.run(
            [self.binaries / command[0], *command[1:]],
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            cwd=self.folder,
            env=self.variables(environment),
        )

    def variables(self, environment: dict[str, str]) -> dict[str, str]:
        """Give the environment of a command: none of the user's settings, and Meltano on the PATH."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        path = os.pathsep.join([str(Path(sys.executable).parent), inherited["PATH"]])
        return {**inherited, "PATH": path, "CDP_EXPORT_RETRY_SECONDS": "1", **environment}
