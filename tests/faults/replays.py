"""C5: replays every STATE line of a history; the records before it and a run from it must be complete."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final

from tests.faults.checker import findings
from tests.faults.history import History, kill_at_byte, kill_at_marker, send_signals
from tests.faults.scenarios import Outcome, Scenario, outcome
from tests.faults.scene import BUCKET, KINDS, LATER, Scene
from tests.faults.strict_lines import parsed
from tests.faults.targets import MergingStateStore, StateStore, Tables, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.fork_server import ForkServer

NAME: Final = "C5 replay of every STATE"

_DISTURBANCES: Final[dict[str, dict[str, Any]]] = {
    "undisturbed": {},
    "killed early": {"reader": kill_at_byte(9_000)},
    "killed late": {"reader": kill_at_byte(60_000)},
    "stopped": {"reader": send_signals(signal.SIGTERM, marker=b'"type":"RECORD"', read_pause=0.002)},
    "crashed": {"patches": [("tests.faults.child_patches:crash", {"at": 77})]},
    "crashed late": {"patches": [("tests.faults.child_patches:crash", {"at": 101})]},
    "crashed when asked": {"patches": [("tests.faults.child_patches:crash", {"at": 15})]},
}
_VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "personalization": {"personalization": {"shift_per_page": 0, "short_pages": True}},
    "apsis": {"apsis": {"failing_exports": 1, "poll_mode": "v2", "url_field": "file_download_url_v2"}},
    "braze": {"braze": {"lines_per_file": 7}},
    BUCKET: {"braze": {"lines_per_file": 11}},
}


def _history(scene: Scene, kind: str) -> History:
    history = History(scene)
    history.run(**_DISTURBANCES[kind])
    history.run_until_clean()
    return history


def _replay_states(fork_server: ForkServer, vendor: str, kind: str, *, varied: bool) -> Outcome:
    with Scene(fork_server, vendor, options=_VARIANTS[vendor] if varied else None) as scene:
        original = _history(scene, kind)
        total = outcome(original, [f"{vendor} {kind}: {text}" for text in findings(original)])
        tables: Tables = {}
        number = 0
        for run in original.runs:
            target = Target(tables)
            for line in run.lines:
                message = parsed(line)
                target.process(message)
                if message["type"] == "STATE":
                    number += 1
                    about = f"{vendor} {kind}: replay of STATE {number}"
                    replay = _prepare_replay(scene, vendor, tables, message["value"], number)
                    total.add(_check_replay(replay, about, halved=varied and vendor == "apsis"))
                    total.scenarios -= 1
        return total


def _prepare_replay(scene: Scene, vendor: str, tables: Tables, state: dict[str, Any], number: int) -> History:
    """Prepare a replay at the same address, or at another one, where the exports in the state are unknown."""
    replay_scene = (
        scene if number % 2 or vendor == BUCKET else Scene(scene.fork_server, vendor, options=scene.variant[1])
    )
    replay = History(replay_scene, Target, MergingStateStore if number % 3 == 0 else StateStore)
    replay.foreign_state = replay_scene is not scene
    replay.tables = {stream: dict(rows) for stream, rows in tables.items()}
    replay.state_store.save(state)
    return replay


def _check_replay(replay: History, about: str, *, halved: bool) -> Outcome:
    """Check a replay; a window that failed repeatedly was halved, which may change only its two columns."""
    if replay.scene.sandbox._thread is None:  # noqa: SLF001 -- a new sandbox that is not started yet
        with replay.scene:
            return _check_replay(replay, about, halved=halved)
    replay.run_until_clean()
    replay_outcome = outcome(replay, [f"{about}: {text}" for text in findings(replay, clock_moved=halved)], states=1)
    replay_outcome.histories = 0
    return replay_outcome


def _profiles_alone(fork_server: ForkServer) -> Outcome:
    """Without events, the window moves with the clock, and STATE must not keep a finished export."""
    settings: dict[str, Any] = {"apsis": {"events": []}}
    with Scene(fork_server, "apsis", settings=settings) as scene:
        history = History(scene, state_store=MergingStateStore)
        history.run(reader=kill_at_marker(b'"export":{'))
        history.run_until_clean()
        scene.at(LATER)
        last_run = history.run()
        problems = findings(history, clock_moved=True)
        if not any(entry.method == "POST" and entry.path.endswith("exports") for entry in last_run.requests):
            problems.append("I1 the last run requested no export")
        return outcome(history, [f"profiles alone: {text}" for text in problems])


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield every disturbance for every vendor, in two variants; in the quick set, one for each vendor."""
    yield Scenario(NAME, "profiles alone", _profiles_alone)
    for row, vendor in enumerate(KINDS):
        for column, kind in enumerate(_DISTURBANCES):
            for varied in (False, True):
                if full or (not varied and column == 1 + row):
                    yield Scenario(
                        NAME,
                        f"{vendor} {kind}",
                        lambda fork_server, v=vendor, k=kind, w=varied: _replay_states(fork_server, v, k, varied=w),  # type: ignore[misc]
                    )
