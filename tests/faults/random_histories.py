"""C4: random histories of faults, kills, signals, targets and clocks, drawn and shrunk by Hypothesis."""

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
from tests.faults.history import History, close_after, kill_at_byte, send_signals
from tests.faults.scenarios import Outcome, Scenario, outcome
from tests.faults.scene import LATER, VENDORS, Scene
from tests.faults.single_faults import ENDPOINTS, FAULTS, HURRY, short_deadlines
from tests.faults.targets import TARGETS, MergingStateStore, StateStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.fork_server import ForkServer

NAME: Final = "C4 random histories"
_LARGEST_OUTPUT: Final = 190_000
_LAST_STEP: Final = 190
_TEMPORARY_FAULTS: Final = sorted(kind for kind in FAULTS if not kind.endswith("always"))


@dataclass(frozen=True)
class Round:
    """One run: its faults (endpoint, kind, requests to skip), end and target, and whether the clock moves first."""

    faults: tuple[tuple[int, str, int], ...]
    end: tuple[str, int]
    target: str
    later: bool


_rounds: Final = st.builds(
    Round,
    faults=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(_TEMPORARY_FAULTS), st.integers(0, 5)), max_size=3
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
            return {"reader": kill_at_byte(number), "patches": [HURRY]}
        case "killed at step":
            return {"patches": [HURRY, ("tests.faults.child_patches:crash", {"at": number})]}
        case "SIGTERM":
            marker = b'"type":"RECORD"' if number else b'"type":"SCHEMA"'
            return {"reader": send_signals(signal.SIGTERM, marker=marker, read_pause=0.001), "patches": [HURRY]}
        case "target dies":
            return {"reader": close_after(number), "patches": [HURRY]}
    return {"patches": [HURRY]}


def _run_history(fork_server: ForkServer, vendor: str, rounds: list[Round], *, merging: bool) -> Outcome:
    endpoints = [endpoint for endpoint in ENDPOINTS if endpoint.vendor == vendor]
    with Scene(fork_server, vendor, settings=short_deadlines(vendor)) as scene:
        history = History(scene, state_store=MergingStateStore if merging else StateStore)
        for number, run_round in enumerate(rounds):
            if run_round.later:
                scene.at(LATER)
            plan = []
            for endpoint_number, kind, skip in run_round.faults:
                endpoint = endpoints[endpoint_number % len(endpoints)]
                fault = FAULTS[kind][0]
                body = {"body": ERROR_CANARY} if fault.get("kind", "status") == "status" else {}
                request_match = {"path": endpoint.path, "method": endpoint.method, "after_bytes": endpoint.after}
                plan.append(Fault(**{**request_match, "skip": skip, **body, **fault}))
            scene.options.faults = plan
            is_replaced = run_round.target == "killed" and (number > 0 or run_round.end[0] == "well")
            history.run(
                target=TARGETS["late drainer" if is_replaced else run_round.target], **_disturbance(run_round.end)
            )
        scene.options.faults = []
        history.run_until_clean(patches=[HURRY])
        clock_moved = any(run_round.later for run_round in rounds)
        return outcome(history, findings(history, clock_moved=clock_moved))


def _run_random_histories(fork_server: ForkServer, seed: int, examples: int) -> Outcome:
    """Run a number of random histories; the smallest one with findings is reported."""
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
    def no_row_is_lost(example: tuple[str, bool, list[Round]]) -> None:
        vendor, merging, rounds = example
        history_outcome = _run_history(fork_server, vendor, rounds, merging=merging)
        errors, history_outcome.findings = history_outcome.findings, []
        total.add(history_outcome)
        if errors:
            raise AssertionError(f"{vendor}, {'merging' if merging else 'replacing'} host, {rounds}: {errors}")

    try:
        no_row_is_lost()
    except AssertionError as error:
        total.findings.append(f"seed {seed}: {error}")
    return total


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield eight hundred histories, or fifty in the quick set; FAULTS_SEED selects others."""
    base = int(os.environ.get("FAULTS_SEED", "0"))
    for share in range(16 if full else 2):
        examples = 50 if full else 25
        yield Scenario(NAME, f"share {share}", partial(_run_random_histories, seed=base + share, examples=examples))
