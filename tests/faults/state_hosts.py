"""C8: full disks, small limits, other zones and locales, a clock that is off, and logs at DEBUG."""

from __future__ import annotations

import base64
import os
import random
import re
import resource
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tests.faults.checker import findings
from tests.faults.history import History
from tests.faults.scenarios import Outcome, Scenario, outcome
from tests.faults.scene import VENDORS, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.fork_server import ForkServer

NAME: Final = "C8 host faults"
_MIB: Final = 2**20
_TIME_EXTRACTED: Final = re.compile(rb'"time_extracted":"[^"]*"')
_PLACES: Final = {
    "UTC": "C.UTF-8",
    "Asia/Kathmandu": "C.UTF-8",
    "America/St_Johns": "C",
    "Pacific/Kiritimati": "tr_TR.UTF-8",
}
_ASKED_AT: Final = re.compile(rb'"export":\{[^}]*\}[^}]*\}')


def _incompressible(size: int) -> str:
    return base64.b64encode(random.Random(4).randbytes(size)).decode()  # noqa: S311 -- no secret


def _bulky() -> dict[str, Any]:
    """An export of more bytes than are kept in memory, so that it goes to the disk."""
    name = '{"braze_id": "0123456789abcdef01234567", "first_name": "%s"}'
    return {"braze": {"raw_line": name % _incompressible(6 * _MIB)}}


@contextmanager
def _small_disk(scene: Scene) -> Iterator[bool]:
    """Mount two MiB of memory as the run's temporary folder, where this process may mount."""
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(scene.temporary)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(scene.temporary)], check=True)  # noqa: S607 -- the system's


def _full_disk(fork_server: ForkServer, kind: str) -> Outcome:
    """Exit code 16, nothing left, and a whole run once there is room."""
    with Scene(fork_server, "braze", options=_bulky()) as scene:
        history = History(scene)
        found = []
        if kind == "tmpfs":
            with _small_disk(scene) as mounted:
                if mounted:
                    run = history.run()
        elif kind == "RLIMIT_FSIZE":
            run = history.run(limits={"RLIMIT_FSIZE": 2 * _MIB})
        else:
            missing = str(scene.folder / "missing")
            run = history.run(env=dict.fromkeys(("TMPDIR", "TEMP", "TMP"), missing))
        if history.runs and run.code != 16 and not (kind == "no folder" and run.code == 0):
            found.append(f"I3 exit code {run.code} in place of 16: {run.log.strip()[-300:]}")
        history.until_clean()
        return outcome(history, [f"{kind}: {text}" for text in found + findings(history)])


def _little_memory(fork_server: ForkServer, vendor: str) -> Outcome:
    """Too little address space ends the run, and loses nothing.

    It ends in the tap's own words wherever Python finds out; msgspec crashes where its own buffers do not grow.
    """
    with Scene(fork_server, vendor, options=_bulky()) as scene:
        history = History(scene)
        for room in (8, 24):
            history.run(limits={"RLIMIT_AS": _address_space(fork_server) + room * _MIB})
        history.until_clean()
        accepted = ("a traceback", f"exit code -{signal.SIGSEGV}")
        found = [text for text in findings(history) if not any(part in text for part in accepted)]
        return outcome(history, [f"{vendor} with little memory: {text}" for text in found])


def _address_space(fork_server: ForkServer) -> int:
    """Tell how much the nursery has, of which a child is a copy."""
    with open(f"/proc/{fork_server.pid}/statm") as pages:  # noqa: PTH123 -- not a file of ours
        return int(pages.read().split()[0]) * resource.getpagesize()


def _place(fork_server: ForkServer, vendor: str) -> Outcome:
    """Three zones and two locales give the same bytes."""
    total, texts = Outcome(scenarios=0), set()
    for zone, locale in _PLACES.items():
        with Scene(fork_server, vendor) as scene:
            history = History(scene)
            run = history.run(env={"TZ": zone, "LC_ALL": locale, "LANG": locale}, real=locale == "C")
            texts.add(_ASKED_AT.sub(b"", _TIME_EXTRACTED.sub(b"", run.out)))
            total.add(outcome(history, [f"{vendor} in {zone}: {text}" for text in findings(history)]))
    if len(texts) > 1:
        total.findings.append(f"{vendor}: P12 the output depends on zone or locale")
    return total


def _talkative(fork_server: ForkServer, vendor: str) -> Outcome:
    """At DEBUG too, nothing that must not be said is said."""
    total = Outcome(scenarios=0)
    for env in ({"TAP_CDP_EXPORT_LOGLEVEL": "DEBUG"}, {"LOGLEVEL": "DEBUG"}):
        with Scene(fork_server, vendor) as scene:
            history = History(scene)
            history.run(env=env, real=len(env) == 1 and "LOGLEVEL" in env)
            total.add(outcome(history, [f"{vendor} at DEBUG: {text}" for text in findings(history)]))
    return total


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """All of them; quick: one of each kind."""
    yield Scenario(NAME, "RLIMIT_FSIZE", lambda fork_server: _full_disk(fork_server, "RLIMIT_FSIZE"))
    if os.geteuid() == 0:
        yield Scenario(NAME, "tmpfs", lambda fork_server: _full_disk(fork_server, "tmpfs"))
    yield Scenario(NAME, "no folder", lambda fork_server: _full_disk(fork_server, "no folder"))
    for number, vendor in enumerate(VENDORS):
        if full or number == 0:
            yield Scenario(NAME, f"places, {vendor}", lambda fork_server, v=vendor: _place(fork_server, v))  # type: ignore[misc]
        if full or number == 1:
            yield Scenario(NAME, f"DEBUG, {vendor}", lambda fork_server, v=vendor: _talkative(fork_server, v))  # type: ignore[misc]
    yield Scenario(NAME, "little memory", lambda fork_server: _little_memory(fork_server, "braze"))
