"""C4: Hypothesis draws histories of faults, kills, signals, targets and clocks, and shrinks what loses a row."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import hypothesis
from hypothesis import strategies as st

from tap_cdp_export.sandbox.options import Fault
from tests.faults.checker import ERROR_CANARY, findings
from tests.faults.history import History, dying_after, killed_at, signalled
from tests.faults.scenarios import Outcome, Scenario, outcome
from tests.faults.scene import LATER, VENDORS, Scene
from tests.faults.single_faults import ENDPOINTS, FAULTS, HURRY, impatient
from tests.faults.targets import TARGETS, Host, MergingHost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.fork_server import ForkServer

NAME: Final = "C4 random histories"
_LARGEST_OUTPUT: Final = 190_000
_LAST_STEP: Final = 190
_PASSING: Final = sorted(kind for kind in FAULTS if not kind.endswith("always"))


@dataclass(frozen=True)
class Round:
    """One run: the faults it meets (endpoint, kind, requests left alone), how it ends, what reads it."""

    faults: tuple[tuple[int, str, int], ...]
    end: tuple[str, int]
    target: str
    later: bool


_rounds: Final = st.builds(
    Round,
    faults=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(_PASSING), st.integers(0, 5)), max_size=3
    ).map(tuple),
    end=st.one_of(
        st.just(("well", 0)),
        st.tuples(st.just("killed at byte"), st.integers(0, _LARGEST_OUTPUT)),
        st.tuples(st.just("killed at step"), st.integers(1, _LAST_STEP)),
        st.tuples(st.just("SIGTERM"), st.integers(0, 1)),
        st.tuples(st.just("target dies"), st.integers(0, 300)),
    ),
    target=st.sampled_from(sorted(TARGETS)),
    later=st.booleans(),
)  # fmt: skip
_histories: Final = st.tuples(st.sampled_from(VENDORS), st.booleans(), st.lists(_rounds, min_size=1, max_size=4))


def _disturbance(end: tuple[str, int]) -> dict[str, Any]:
    kind, number = end
    match kind:
        case "killed at byte":
            return {"reader": killed_at(number), "patches": [HURRY]}
        case "killed at step":
            return {"patches": [HURRY, ("child_patches:crash", {"at": number})]}
        case "SIGTERM":
            when = b'"type":"RECORD"' if number else b'"type":"SCHEMA"'
            return {"reader": signalled(signal.SIGTERM, when=when, slowly=0.001), "patches": [HURRY]}
        case "target dies":
            return {"reader": dying_after(number), "patches": [HURRY]}
    return {"patches": [HURRY]}


def _play(fork_server: ForkServer, vendor: str, rounds: list[Round], *, merging: bool) -> Outcome:
    endpoints = [endpoint for endpoint in ENDPOINTS if endpoint.vendor == vendor]
    with Scene(fork_server, vendor, settings=impatient(vendor)) as scene:
        history = History(scene, host=MergingHost if merging else Host)
        for number, one in enumerate(rounds):
            if one.later:
                scene.at(LATER)
            plan = []
            for place, kind, skip in one.faults:
                endpoint = endpoints[place % len(endpoints)]
                fault = FAULTS[kind][0]
                body = {"body": ERROR_CANARY} if fault.get("kind", "status") == "status" else {}
                where = {"path": endpoint.path, "method": endpoint.method, "after_bytes": endpoint.after}
                plan.append(Fault(**{**where, "skip": skip, **body, **fault}))
            scene.options.faults = plan
            loses = one.target == "killed" and (number > 0 or one.end[0] == "well")
            history.run(target=TARGETS["late drainer" if loses else one.target], **_disturbance(one.end))
        scene.options.faults = []
        history.until_clean(patches=[HURRY])
        moved = any(one.later for one in rounds)
        return outcome(history, findings(history, clock_moved=moved))


def _drawn(fork_server: ForkServer, seed: int, examples: int) -> Outcome:
    """Play so many drawn histories; the smallest one that loses something is the finding."""
    total = Outcome(scenarios=0)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
    )
    @hypothesis.given(_histories)
    def no_row_is_lost(drawn: tuple[str, bool, list[Round]]) -> None:
        vendor, merging, rounds = drawn
        one = _play(fork_server, vendor, rounds, merging=merging)
        found, one.findings = one.findings, []
        total.add(one)
        if found:
            raise AssertionError(f"{vendor}, {'merging' if merging else 'replacing'} host, {rounds}: {found}")

    try:
        no_row_is_lost()
    except AssertionError as error:
        total.findings.append(f"seed {seed}: {error}")
    return total


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Fifty histories, or eight hundred; FAULTS_SEED draws others."""
    base = int(os.environ.get("FAULTS_SEED", "0"))
    for share in range(16 if full else 2):
        examples = 50 if full else 25
        yield Scenario(NAME, f"share {share}", partial(_drawn, seed=base + share, examples=examples))
