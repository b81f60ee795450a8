"""Runs the bash blocks of a page one after the other in one shell, as a reader would."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from tests.docs.pages import BASH
from tests.helpers.about import ROOT

_OURS = ("MELTANO_", "TAP_", "TARGET_", "PG", "VIRTUAL_ENV", "PYTHONPATH")
_TAIL = 6_000


def blocks(name: str, heading: str = "") -> list[str]:
    """The bash blocks of a page in `docs/`.

    Args:
        name: Of the file.
        heading: Only the section below this heading, up to the next one of any level.

    Returns:
        Their text, without the fences.
    """
    text = page(name)
    if heading:
        assert f"\n{heading}\n" in text, heading
        text = re.split(r"^#+ ", text.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def run(commands: list[str], folder: Path, changes: dict[str, str] | None = None, *programs: Path) -> str:
    """Run blocks until one fails; what they leave in the background is ended.

    Args:
        commands: The blocks.
        folder: Where the shell starts.
        changes: What the reader puts in for what a block says; each must be there.
        programs: What the reader has, besides the system's programs and `python3`.

    Returns:
        What they printed, and the commands themselves.

    Raises:
        AssertionError: A command failed.
    """
    script = "\n".join(["set -eu", *commands])
    for old, new in (changes or {}).items():
        assert old in script, old
        script = script.replace(old, new)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    with TemporaryDirectory() as temporary, TemporaryFile("w+") as output:
        for name, program in {
            "python3": Path(sys.executable).resolve(),
            **{path.name: path for path in programs},
        }.items():
            (Path(temporary) / name).symlink_to(program)
        own = str(Path(sys.executable).parent)  # what is installed here, the reader does not have
        path = [temporary, *(part for part in os.environ["PATH"].split(os.pathsep) if part != own)]
        shell = subprocess.Popen(
            (BASH, "-x", "-c", script),
            cwd=folder,
            env=environment | {"PATH": os.pathsep.join(path)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        shell.wait()
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
        output.seek(0)
        text = output.read()
    assert shell.returncode == 0, text[-_TAIL:]
    return text


def page(name: str) -> str:
    """The text of a page in `docs/`."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
