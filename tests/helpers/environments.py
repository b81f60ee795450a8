"""Virtual environments for tools that are compared or tested with this project, but not installed beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

SLOWING: Final = frozenset({"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"})
"""Variables that slow every start of Python down: with the second, it compiles all packages anew."""

_CACHE: Final = Path(tempfile.gettempdir()) / "tap-cdp-export-environments"


class NotInstallable(Exception):
    """A tool cannot be installed on this machine."""


def environment(*packages: str) -> Path:
    """Create an environment atomically, unless it exists.

    Args:
        packages: what is installed, with versions.

    Returns:
        The folder of its commands.

    Raises:
        NotInstallable: If that is not possible on this machine.
    """
    name = "-".join(packages).replace("~=", "-").replace("==", "-").replace("<", "-below-")
    folder = _CACHE / f"environment-{name}-{sys.version_info.minor}"
    if (folder / "whole").exists():
        return folder / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(exist_ok=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotInstallable(done.stderr.strip().rpartition("\n")[2])
    (folder / "whole").touch()
    return folder / "bin"
