"""A temporary Meltano project with this checkout's `meltano.yml`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.helpers.about import ROOT, settings
from tests.helpers.environments import SLOWING

_OURS = ("MELTANO_", "TAP_", "TARGET_")


class MeltanoProject:
    """A folder in which Meltano runs, isolated from the settings of the user who runs the tests."""

    def __init__(self, folder: Path) -> None:
        """Copy `meltano.yml`; the tap itself is installed from this checkout."""
        self.folder = folder
        text = (ROOT / "meltano.yml").read_text(encoding="utf-8")
        (folder / "meltano.yml").write_text(text.replace("${MELTANO_PROJECT_ROOT}", str(ROOT)), encoding="utf-8")

    def meltano(self, *arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Meltano in the environment `prod`.

        Args:
            arguments: of its command line.
            text: what it reads from stdin.
            environment: further environment variables.

        Returns:
            How it ended.
        """
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(_OURS) and name not in SLOWING
        }
        return subprocess.run(
            [Path(sys.executable).with_name("meltano"), "--environment=prod", *arguments],
            cwd=self.folder,
            env={**inherited, **environment},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, target: str, **environment: str) -> str:
        """Run the tap into a target; the run must succeed.

        Args:
            target: the loader's name.
            environment: further environment variables.

        Returns:
            The log.
        """
        done = self.meltano("run", "tap-cdp-export", target, **environment)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def settings_that_reach_the_tap(self, **environment: str) -> dict[str, Any]:
        """Let Meltano write the tap's settings file.

        Args:
            environment: further environment variables.

        Returns:
            What it holds.
        """
        done = self.meltano("invoke", "--dump=config", "tap-cdp-export", **environment)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def as_environment(config: dict[str, Any]) -> dict[str, str]:
    """Convert settings to the environment variables that Meltano reads.

    Args:
        config: nested, as in a settings file.

    Returns:
        Names and values; what is no text is JSON.
    """
    variables = {}
    for setting in settings():
        value: Any = config
        for step in setting.name.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            variables[f"TAP_CDP_EXPORT_{setting.name.upper().replace('.', '_')}"] = text
    return variables
