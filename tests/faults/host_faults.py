"""C8: full disks, resource limits, other time zones and locales, and logs at DEBUG."""

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

    from tests.helpers.fork_server import ForkServer

NAME: Final = "C8 host faults"
_MIB: Final = 2**20
_TIME_EXTRACTED: Final = re.compile(rb'"time_extracted":"[^"]*"')
_LOCALES: Final = {
    "UTC": "C.UTF-8",
    "Asia/Kathmandu": "C.UTF-8",
    "America/St_Johns": "C",
    "Pacific/Kiritimati": "tr_TR.UTF-8",
}
_EXPORT_STATE: Final = re.compile(rb'"export":\{[^}]*\}[^}]*\}')


def _incompressible(size: int) -> str:
    return base64.b64encode(random.Random(4).randbytes(size)).decode()  # noqa: S311 -- no secret


def _large_export() -> dict[str, Any]:
    """Options for an export that is too large for memory, so that it is spooled to disk."""
    name = '{"braze_id": "0123456789abcdef01234567", "first_name": "%s"}'
    return {"braze": {"raw_line": name % _incompressible(6 * _MIB)}}


@contextmanager
def _small_disk(scene: Scene) -> Iterator[bool]:
    """Mount a tmpfs of 2 MiB as the temporary folder, if this process is allowed to."""
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(scene.temporary)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(scene.temporary)], check=True)  # noqa: S607 -- the system's umount


def _full_disk(fork_server: ForkServer, kind: str) -> Outcome:
    """A full disk ends the run with 16 and leaves no file; the next run with space is complete."""
    with Scene(fork_server, "braze", options=_large_export()) as scene:
        history = History(scene)
        problems = []
        if kind == "tmpfs":
            with _small_disk(scene) as mounted:
                if mounted:
                    run = history.run()
        elif kind == "RLIMIT_FSIZE":
            run = history.run(limits={"RLIMIT_FSIZE": 2 * _MIB})
        else:
            missing_folder = str(scene.folder / "missing")
            run = history.run(env=dict.fromkeys(("TMPDIR", "TEMP", "TMP"), missing_folder))
        if history.runs and run.code != 16 and not (kind == "no folder" and run.code == 0):
            problems.append(f"I3 exit code {run.code} in place of 16: {run.log.strip()[-300:]}")
        history.run_until_clean()
        return outcome(history, [f"{kind}: {text}" for text in problems + findings(history)])


def _low_memory(fork_server: ForkServer, vendor: str) -> Outcome:
    """Too little address space ends the run without loss.

    Python raises MemoryError, which the tap reports; msgspec crashes if it cannot grow its own buffers.
    """
    with Scene(fork_server, vendor, options=_large_export()) as scene:
        history = History(scene)
        for headroom in (8, 24):
            history.run(limits={"RLIMIT_AS": _address_space(fork_server) + headroom * _MIB})
        history.run_until_clean()
        accepted_findings = ("a traceback", f"exit code -{signal.SIGSEGV}")
        problems = [text for text in findings(history) if not any(part in text for part in accepted_findings)]
        return outcome(history, [f"{vendor} with little memory: {text}" for text in problems])


def _address_space(fork_server: ForkServer) -> int:
    """Address space of the fork server, which a child inherits."""
    with open(f"/proc/{fork_server.pid}/statm") as pages:  # noqa: PTH123 -- not a regular file
        return int(pages.read().split()[0]) * resource.getpagesize()


def _zone_and_locale(fork_server: ForkServer, vendor: str) -> Outcome:
    """The output does not depend on time zone and locale."""
    total, outputs = Outcome(scenarios=0), set()
    for zone, locale in _LOCALES.items():
        with Scene(fork_server, vendor) as scene:
            history = History(scene)
            run = history.run(env={"TZ": zone, "LC_ALL": locale, "LANG": locale}, real=locale == "C")
            outputs.add(_EXPORT_STATE.sub(b"", _TIME_EXTRACTED.sub(b"", run.out)))
            total.add(outcome(history, [f"{vendor} in {zone}: {text}" for text in findings(history)]))
    if len(outputs) > 1:
        total.findings.append(f"{vendor}: P12 the output depends on zone or locale")
    return total


def _debug_log(fork_server: ForkServer, vendor: str) -> Outcome:
    """Logs at DEBUG contain no secret and no customer data."""
    total = Outcome(scenarios=0)
    for env in ({"TAP_CDP_EXPORT_LOGLEVEL": "DEBUG"}, {"LOGLEVEL": "DEBUG"}):
        with Scene(fork_server, vendor) as scene:
            history = History(scene)
            history.run(env=env, real=len(env) == 1 and "LOGLEVEL" in env)
            total.add(outcome(history, [f"{vendor} at DEBUG: {text}" for text in findings(history)]))
    return total


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield all scenarios; in the quick set, one of each kind."""
    yield Scenario(NAME, "RLIMIT_FSIZE", lambda fork_server: _full_disk(fork_server, "RLIMIT_FSIZE"))
    if os.geteuid() == 0:
        yield Scenario(NAME, "tmpfs", lambda fork_server: _full_disk(fork_server, "tmpfs"))
    yield Scenario(NAME, "no folder", lambda fork_server: _full_disk(fork_server, "no folder"))
    for number, vendor in enumerate(VENDORS):
        if full or number == 0:
            yield Scenario(NAME, f"places, {vendor}", lambda fork_server, v=vendor: _zone_and_locale(fork_server, v))  # type: ignore[misc]
        if full or number == 1:
            yield Scenario(NAME, f"DEBUG, {vendor}", lambda fork_server, v=vendor: _debug_log(fork_server, v))  # type: ignore[misc]
    yield Scenario(NAME, "little memory", lambda fork_server: _low_memory(fork_server, "braze"))
