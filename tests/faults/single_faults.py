"""C1: one fault at one endpoint, once or always; the run exits with its documented code, the next one is complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.sandbox.options import Fault
from tests.faults.checker import ERROR_CANARY, findings
from tests.faults.history import History
from tests.faults.scenarios import Scenario, outcome
from tests.faults.scene import TABLES, Scene
from tests.faults.targets import MergingStateStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.scenarios import Outcome
    from tests.helpers.fork_server import ForkServer, Patch

NAME: Final = "C1 single faults"
HURRY: Final[Patch] = ("tests.faults.child_patches:hurry", {"factor": 40})
DEADLINE_SECONDS: Final = 200  # seconds of the accelerated clock
_PERSONALIZATION, _APSIS, _BRAZE = "personalization", "apsis", "braze"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint to which faults are applied.

    Attributes:
        name: Short name.
        vendor: Vendor of the endpoint.
        path: Path pattern of the fault plan.
        method: Method of the fault plan.
        skip: Number of requests before the one that gets the data.
        after: Bytes of the body before a cut or a trickle.
        codes: Exit codes by fault, where they differ from those of a GET that can be retried.
        without: Faults that the endpoint is not tested with.
    """

    name: str
    vendor: str
    path: str
    method: str = "GET"
    skip: int = 0
    after: int = 700
    codes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    without: frozenset[str] = frozenset()


_NOT_FOUND: Final[dict[str, tuple[int, ...]]] = {"404": (10,), "404 always": (10,), "410": (10,), "410 always": (10,)}

ENDPOINTS: Final = (
    Endpoint("users", _PERSONALIZATION, "/users.json", codes=_NOT_FOUND),
    Endpoint("accounts", _PERSONALIZATION, "/accounts.json", after=1, codes=_NOT_FOUND),
    Endpoint("token", _APSIS, "/oauth/token", method="POST", after=20, codes={
        f"{status}{times}": (11,) for status in (400, 404, 410) for times in ("", " always")
    }),
    Endpoint("ask APSIS", _APSIS, "/profiles/exports$", method="POST", after=20, codes={
        **_NOT_FOUND, "401": (0,), "403": (0,),
    }),
    Endpoint("poll APSIS", _APSIS, "/profiles/exports/", codes={
        "401": (0,), "403": (0,), "404": (0,), "404 always": (15,), "410": (0,), "410 always": (13,),
        "503": (0,), "503 always": (13,), "503 wait always": (15,), "503 wait oddly always": (13, 15),
        "clean cut": (0,), "cut at 0, clean": (0,),
    }),
    Endpoint("file APSIS", _APSIS, "/profiles/exports/", skip=1, codes={
        "401": (0,), "403": (0,), "404": (0,), "404 always": (15,), "410": (0,), "410 always": (13,),
        "503": (0,), "503 always": (13,), "503 wait always": (15,), "503 wait oddly always": (13, 15),
        "clean cut": (0,), "cut at 0, clean": (0,),
    }),
    Endpoint("ask Braze", _BRAZE, "/users/export/segment", method="POST", after=20, codes={
        **_NOT_FOUND, "cut always": (12, 14), "too long always": (12, 14), "part always": (12, 14),
    }),
    Endpoint("poll Braze", _BRAZE, r"\.zip$", codes={
        "302": (13,), "html": (0,),
        "401": (12,), "401 always": (12,), "403": (0,), "403 always": (15,), "404": (0,), "404 always": (15,),
        "400": (12,), "400 always": (12,), "410": (12,), "410 always": (12,), "clean cut": (0,),
        "cut at 0, clean": (0, 12),
    }),
    Endpoint("archive Braze", _BRAZE, r"\.zip$", skip=1, codes={
        "302": (13,), "html": (0,),
        "401": (12,), "401 always": (12,), "403": (0,), "403 always": (15,), "404": (0,), "404 always": (15,),
        "400": (12,), "400 always": (12,), "410": (12,), "410 always": (12,), "clean cut": (0,),
        "cut at 0, clean": (0, 12),
    }),
    Endpoint("list Braze", TABLES, "/campaigns/list", after=20, codes=_NOT_FOUND),
    Endpoint("series Braze", TABLES, "/campaigns/data_series", after=20, skip=2, without=frozenset({
        "400", "404", "400 always", "404 always",  # days are left to the next run, which is tested with the series
    })),
)  # fmt: skip

_CUT: Final[dict[str, Any]] = {"kind": "cut"}
FAULTS: Final[dict[str, tuple[dict[str, Any], tuple[int, ...]]]] = {
    "400": ({"status": 400}, (10,)),
    "401": ({"status": 401}, (11,)),
    "403": ({"status": 403}, (11,)),
    "404": ({"status": 404}, (10,)),
    "408": ({"status": 408}, (0,)),
    "410": ({"status": 410}, (10,)),
    "425": ({"status": 425}, (0,)),
    "429": ({"status": 429}, (0,)),
    "429 wait": ({"status": 429, "retry_after": 2}, (0,)),
    "429 wait until": ({"status": 429, "retry_after": 2, "retry_after_date": True}, (0,)),
    "500": ({"status": 500}, (0,)),
    "502": ({"status": 502}, (0,)),
    "503": ({"status": 503}, (0,)),
    "503 wait": ({"status": 503, "retry_after": 2}, (0,)),
    "503 wait oddly": ({"status": 503, "headers": {"Retry-After": "soon"}}, (0,)),
    "429 empty": ({"status": 429, "headers": {"X-RateLimit-Remaining": "", "X-RateLimit-Reset": ""}}, (0,)),
    "504": ({"status": 504}, (0,)),
    "302": ({"status": 302, "headers": {"Location": "http://127.0.0.1:9/elsewhere"}}, (12,)),
    "html": ({"kind": "html"}, (0,)),
    "drop": ({"kind": "drop"}, (0,)),
    "lost answer": ({"kind": "drop", "answer_lost": True}, (0,)),
    "lost answer 500": ({"status": 500, "answer_lost": True}, (0,)),
    "trickle": ({"kind": "trickle", "seconds": 0.05}, (0,)),
    "slow": ({"kind": "slow", "seconds": 0.2}, (0,)),
    "cut": (_CUT, (0,)),
    "cut at 0": ({**_CUT, "after_bytes": 0}, (0,)),
    "clean cut": ({**_CUT, "clean": True}, (0, 12)),
    "cut at 0, clean": ({**_CUT, "clean": True, "after_bytes": 0}, (0, 12)),
    "too long": ({**_CUT, "declared_length": 10**9}, (0,)),
    "part": ({"kind": "part"}, (0,)),
    "400 always": ({"status": 400, "times": 0}, (10,)),
    "401 always": ({"status": 401, "times": 0}, (11,)),
    "403 always": ({"status": 403, "times": 0}, (11,)),
    "404 always": ({"status": 404, "times": 0}, (10,)),
    "410 always": ({"status": 410, "times": 0}, (10,)),
    "429 always": ({"status": 429, "times": 0}, (14,)),
    "429 wait always": ({"status": 429, "retry_after": 90_000, "times": 0}, (14,)),
    "500 always": ({"status": 500, "times": 0}, (13,)),
    "503 always": ({"status": 503, "times": 0}, (13,)),
    "503 wait always": ({"status": 503, "retry_after": 90_000, "times": 0}, (13,)),
    "503 wait oddly always": ({"status": 503, "headers": {"Retry-After": "soon"}, "times": 0}, (13,)),
    "drop always": ({"kind": "drop", "times": 0}, (13,)),
    "html always": ({"kind": "html", "times": 0}, (12,)),
    "cut always": ({**_CUT, "times": 0}, (12,)),
    "clean cut always": ({**_CUT, "clean": True, "times": 0}, (12,)),
    "part always": ({"kind": "part", "times": 0}, (12,)),
    "too long always": ({**_CUT, "declared_length": 10**9, "times": 0}, (12,)),
}


def short_deadlines(vendor: str, **settings: Any) -> dict[str, Any]:
    """Return settings with deadlines that pass soon on the accelerated clock."""
    if vendor != _PERSONALIZATION:
        settings = {"export_timeout_seconds": DEADLINE_SECONDS, **settings}
    else:
        settings = {"accounts_missing": "error", **settings}
    return {"request_deadline_seconds": DEADLINE_SECONDS, vendor.removesuffix(" with tables"): settings}


def run_fault(fork_server: ForkServer, endpoint: Endpoint, kind: str) -> Outcome:
    """Apply one fault to one endpoint."""
    about = f"{endpoint.name}, {kind}"
    fault, default_codes = FAULTS[kind]
    expected_codes = endpoint.codes.get(kind, default_codes)
    plan = {"path": endpoint.path, "method": endpoint.method, "skip": endpoint.skip, "after_bytes": endpoint.after}
    if fault.get("kind", "status") == "status":
        plan["body"] = ERROR_CANARY
    with Scene(fork_server, endpoint.vendor, settings=short_deadlines(endpoint.vendor)) as scene:
        history = History(scene, state_store=MergingStateStore)
        scene.options.faults = [Fault(**{**plan, **fault})]
        run = history.run(patches=[HURRY])
        scene.options.faults = []
        problems = []
        if run.code not in expected_codes:
            problems.append(
                f"I3 exit code {run.code} in place of {expected_codes}: {run.log.strip().rpartition(chr(10))[2]}"
            )
        if not any(entry.fault for entry in run.requests):
            problems.append("the fault was never applied")
        if run.code != 0:
            history.run_until_clean(patches=[HURRY])
        problems += findings(history)
        return outcome(history, [f"{about}: {text}" for text in problems])


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield every fault at every endpoint; in the quick set, each fault at one endpoint."""
    for row, endpoint in enumerate(ENDPOINTS):
        for column, kind in enumerate(FAULTS):
            if kind in endpoint.without:
                continue
            if full or (row - column) % len(ENDPOINTS) == 0:
                yield Scenario(
                    NAME,
                    f"{endpoint.name}, {kind}",
                    lambda fork_server, e=endpoint, k=kind: run_fault(fork_server, e, k),  # type: ignore[misc]
                )
