"""C5: every STATE line of a history is a safe start: the records before it and a fresh run from it are everything."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final

from tests.faults.checker import findings
from tests.faults.history import History, killed_at, killed_once, signalled
from tests.faults.scenarios import Outcome, Scenario, outcome
from tests.faults.scene import BUCKET, KINDS, LATER, Scene
from tests.faults.strict_lines import parsed
from tests.faults.targets import Host, MergingHost, Tables, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.fork_server import ForkServer

NAME: Final = "C5 replay of every STATE"

_DISTURBED: Final[dict[str, dict[str, Any]]] = {
    "undisturbed": {},
    "killed early": {"reader": killed_at(9_000)},
    "killed late": {"reader": killed_at(60_000)},
    "stopped": {"reader": signalled(signal.SIGTERM, when=b'"type":"RECORD"', slowly=0.002)},
    "crashed": {"patches": [("child_patches:crash", {"at": 77})]},
    "crashed late": {"patches": [("child_patches:crash", {"at": 101})]},
    "crashed when asked": {"patches": [("child_patches:crash", {"at": 15})]},
}
_VARIED: Final[dict[str, dict[str, Any]]] = {
    "personalization": {"personalization": {"shift_per_page": 0, "short_pages": True}},
    "apsis": {"apsis": {"failing_exports": 1, "poll_mode": "v2", "url_field": "file_download_url_v2"}},
    "braze": {"braze": {"lines_per_file": 7}},
    BUCKET: {"braze": {"lines_per_file": 11}},
}


def _history(scene: Scene, kind: str) -> History:
    history = History(scene)
    history.run(**_DISTURBED[kind])
    history.until_clean()
    return history


def _replayed(fork_server: ForkServer, vendor: str, kind: str, *, varied: bool) -> Outcome:
    with Scene(fork_server, vendor, options=_VARIED[vendor] if varied else None) as scene:
        original = _history(scene, kind)
        total = outcome(original, [f"{vendor} {kind}: {text}" for text in findings(original)])
        tables: Tables = {}
        number = 0
        for run in original.runs:
            target = Target(tables)
            for line in run.lines:
                message = parsed(line)
                target.take(message)
                if message["type"] == "STATE":
                    number += 1
                    about = f"{vendor} {kind}: replay of STATE {number}"
                    replay = _start(scene, vendor, tables, message["value"], number)
                    total.add(_judged(replay, about, halved=varied and vendor == "apsis"))
                    total.scenarios -= 1
        return total


def _start(scene: Scene, vendor: str, tables: Tables, state: dict[str, Any], number: int) -> History:
    """Start where the exports of the state still are, or at another address, where they are unknown."""
    place = scene if number % 2 or vendor == BUCKET else Scene(scene.fork_server, vendor, options=scene.variant[1])
    replay = History(place, Target, MergingHost if number % 3 == 0 else Host)
    replay.foreign_state = place is not scene
    replay.tables = {stream: dict(rows) for stream, rows in tables.items()}
    replay.host.keep(state)
    return replay


def _judged(replay: History, about: str, *, halved: bool) -> Outcome:
    """Judge a replay; a window that failed too often was halved, which only its two columns may show."""
    if replay.scene.sandbox._thread is None:  # noqa: SLF001 -- a fresh sandbox, not yet open
        with replay.scene:
            return _judged(replay, about, halved=halved)
    replay.until_clean()
    one = outcome(replay, [f"{about}: {text}" for text in findings(replay, clock_moved=halved)], states=1)
    one.histories = 0
    return one


def _profiles_alone(fork_server: ForkServer) -> Outcome:
    """Without events the window moves with the clock, and a finished export must not be found again in STATE."""
    settings: dict[str, Any] = {"apsis": {"events": []}}
    with Scene(fork_server, "apsis", settings=settings) as scene:
        history = History(scene, host=MergingHost)
        history.run(reader=killed_once(b'"export":{'))
        history.until_clean()
        scene.at(LATER)
        last = history.run()
        found = findings(history, clock_moved=True)
        if not any(entry.method == "POST" and entry.path.endswith("exports") for entry in last.requests):
            found.append("I1 the last run asked for nothing new")
        return outcome(history, [f"profiles alone: {text}" for text in found])


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Every disturbance for every vendor, plain and with other options; quick: one a vendor."""
    yield Scenario(NAME, "profiles alone", _profiles_alone)
    for row, vendor in enumerate(KINDS):
        for column, kind in enumerate(_DISTURBED):
            for varied in (False, True):
                if full or (not varied and column == 1 + row):
                    yield Scenario(
                        NAME,
                        f"{vendor} {kind}",
                        lambda fork_server, v=vendor, k=kind, w=varied: _replayed(fork_server, v, k, varied=w),  # type: ignore[misc]
                    )
