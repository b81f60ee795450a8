"""The benchmarks by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks.compare import Table, compare, say, undisturbed
from tests.benchmarks.data import Part
from tests.benchmarks.limits import limits_of
from tests.benchmarks.peers.environments import peers
from tests.benchmarks.server import serving
from tests.benchmarks.taps import CHILDREN, OURS, PLAIN, RIGHT, command_lines, variant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        rounds: how often each variant is timed.
        quick: small data, and without tools that have to be installed.
        folder: for the files of the runs.
    """

    rounds: int
    quick: bool
    folder: Path


KINDS: Final = ("users", "csv", "apsis", "braze")
SCALES: Final = (1, 10, 100)
PAGED: Final = ("users", "csv")
PAGES: Final = (200, 2_000, 5_000, 20_000)
"""Records per page."""

TITLES: Final = {
    "users": "users from JSON",
    "csv": "users from CSV",
    "apsis": "apsis_profiles and apsis_events from one export",
    "braze": "braze_users from a zip",
}
_PARTS: Final = {
    "users": (Part("users", 200_000, 1_000), Part("users", 4_000, 1_000)),
    "csv": (Part("csv", 200_000, 1_000), Part("csv", 4_000, 1_000)),
    "apsis": (Part("apsis", 200), Part("apsis", 4)),
    "braze": (Part("braze", 100_000, 5_000), Part("braze", 2_000, 500)),
}
_BASES: Final = {
    "users": (Part("users", 20_000, 1_000), Part("users", 1_000, 500)),
    "csv": (Part("csv", 20_000, 1_000), Part("csv", 1_000, 500)),
    "apsis": (Part("apsis", 20), Part("apsis", 1)),
    "braze": (Part("braze", 10_000, 5_000), Part("braze", 500, 250)),
}
_WITHOUT: Final = {
    "users": ("display_name", "total_actions", "segments"),
    "braze": ("phone", "home_city", "cards_clicked"),
}
_MAPS: Final = {
    "users": {
        "email_domain": "email_address.split('@')[-1] if email_address else None",
        "email_address": "__NULL__",
        "has_email": "bool(record['email_address'])",
    }
}


def _stream(kind: str, plan: Plan) -> list[Table]:
    part = _PARTS[kind][plan.quick]
    with serving(part) as url:
        variants = [variant(name, part, url, plan.folder / kind) for name in (OURS, PLAIN)]
        problems: list[str] = []
        if kind == "users" and not plan.quick:
            variants += peers(part, url, plan.folder / "peers", problems)
        table = compare(kind, TITLES[kind], variants, rounds=plan.rounds, plain_bytes=part.plain_bytes)
    if kind != "csv":
        table.limits = limits_of(part)
    table.notes += problems
    return [table]


def _events(plan: Plan) -> list[Table]:
    """Measure an export of APSIS One in which nearly all records are events."""
    part = replace(_PARTS["apsis"][plan.quick], events=4)
    title = "apsis_profiles with at least four events, and those events"
    with serving(part) as url:
        taps = [variant(name, part, url, plan.folder / "events") for name in (OURS, PLAIN)]
        return [compare("events", title, taps, rounds=plan.rounds, plain_bytes=part.plain_bytes)]


def _children(plan: Plan) -> list[Table]:
    """Measure the users of Braze together with the tables of all their lists."""
    part = _PARTS["braze"][plan.quick]
    title = "braze_users and its nine tables from a zip"
    with serving(part) as url:
        taps = [variant(name, part, url, plan.folder / "children", streams=CHILDREN) for name in (OURS, PLAIN)]
        return [compare("children", title, taps, rounds=plan.rounds, plain_bytes=part.plain_bytes)]


def _maps(plan: Plan) -> list[Table]:
    """Measure RECORD messages behind a stream map that needs whole records."""
    part = _PARTS["users"][plan.quick]
    title = f"{TITLES['users']}, through a stream map that sees whole records"
    with serving(part) as url:
        folder = plan.folder / "maps-records"
        taps = [variant(tap, part, url, folder, settings={"stream_maps": _MAPS}) for tap in (OURS, PLAIN)]
        return [compare("maps-records", title, taps, rounds=plan.rounds, plain_bytes=part.plain_bytes)]


def _batch(plan: Plan) -> list[Table]:
    """Measure BATCH files with some columns deselected."""
    return [_to_files("batch", "users", plan), _to_files("batch-braze", "braze", plan)]


def _to_files(name: str, kind: str, plan: Plan) -> Table:
    part = _PARTS[kind][plan.quick]
    folder = plan.folder / name
    with serving(part) as url:
        variants = []
        for tap in (OURS, PLAIN, RIGHT):
            output = folder / f"output-of-{tap.replace(' ', '-')}"
            settings: dict[str, Any] = {
                "batch_config": {
                    "encoding": {"format": "jsonl", "compression": "gzip"},
                    "storage": {"root": output.as_uri()},
                },
                **({"right_batches": True} if tap == RIGHT else {}),
            }
            variants.append(variant(tap, part, url, folder, settings=settings, without=_WITHOUT[kind], output=output))
        title = f"{TITLES[kind]} to BATCH files, three columns deselected"
        table = compare(name, title, variants, rounds=plan.rounds, plain_bytes=part.plain_bytes)
    table.notes.append("The SDK's batcher applies neither selection nor stream maps; put right, it does as ours.")
    return table


def _startup(plan: Plan) -> list[Table]:
    tables = []
    for argument in ("--version", "--discover"):
        variants = command_lines(argument, plan.folder / argument)
        title = f"start-up: {argument}"
        tables.append(compare(argument, title, variants, rounds=max(5, plan.rounds), counted=False, trees=False))
    return tables


def _sizes(plan: Plan) -> list[Table]:
    """Measure this tap alone at 1, 10 and 100 times a base size; larger sizes are timed less often."""
    tables = []
    for kind in KINDS:
        for scale in SCALES:
            part = replace(_BASES[kind][plan.quick], repeats=scale)
            folder = plan.folder / "sizes" / f"{kind}-{scale}"
            rounds = max(1, min(plan.rounds, 3) if scale < SCALES[-1] else 1)
            say(f"sizes: {kind}, {scale} times")
            with serving(part) as url:
                title = f"{TITLES[kind]}, {scale} x"
                taps = [variant(OURS, part, url, folder)]
                table = compare(f"{kind}-{scale}", title, taps, rounds=rounds, plain_bytes=part.plain_bytes)
            table.scale = scale
            tables.append(table)
    return tables


def _pages(plan: Plan) -> list[Table]:
    """Measure this tap alone with the same users in several page sizes."""
    tables = []
    for kind in PAGED:
        for page in PAGES:
            part = Part(kind, 1_000, page // 20, 1) if plan.quick else Part(kind, max(PAGES), page, 10)
            with serving(part) as url:
                taps = [variant(OURS, part, url, plan.folder / "pages" / f"{kind}-{page}")]
                title = f"{TITLES[kind]}, {page:,} a page"
                rounds = min(plan.rounds, 3)
                tables.append(compare(f"{kind}-pages-{page}", title, taps, rounds=rounds, plain_bytes=part.plain_bytes))
    return tables


def _large(plan: Plan) -> list[Table]:
    """Compare both taps at the usual size and at ten times that, with the same data; the larger size is timed once."""
    sizes = (("usual", "the usual size", plan.rounds), ("large", "ten times the usual size", 1))
    tables = []
    for kind in KINDS:
        for (name, title, rounds), scale in zip(sizes, SCALES[1:], strict=True):
            part = replace(_BASES[kind][plan.quick], repeats=scale)
            with serving(part) as url:
                taps = [variant(tap, part, url, plan.folder / name / kind) for tap in (OURS, PLAIN)]
                table = compare(
                    f"{kind}-{name}",
                    f"{TITLES[kind]}, {title}",
                    taps,
                    rounds=rounds,
                    plain_bytes=part.plain_bytes,
                    counted=False,
                )
                if rounds == 1:  # the plain tap takes minutes: this tap is timed before and after it
                    table.rows[0].runs.append(undisturbed(taps[0]))
            tables.append(table)
    return tables


def _pipelines(plan: Plan) -> list[Table]:
    from tests.benchmarks.pipelines import pipelines, whole  # noqa: PLC0415 -- needs packages that others do not

    rounds = 1 if plan.quick else min(2, plan.rounds)
    tables = [pipelines(Part("users", 500 if plan.quick else 50_000, 500), rounds=rounds)]
    if not plan.quick:
        large = replace(_BASES["users"][0], repeats=100)
        tables += [whole(_PARTS["users"][0], plan.folder, rounds=rounds)]
        tables += [whole(part, plan.folder, rounds=1) for part in (_PARTS["apsis"][0], large)]
    return tables


def _loaders(plan: Plan) -> list[Table]:
    from tests.benchmarks.loaders import loaders  # noqa: PLC0415 -- needs a package that the other benchmarks do not

    folder = plan.folder / "loaders"
    tables = [loaders(_PARTS[kind][plan.quick], folder, rounds=plan.rounds) for kind in ("users", "apsis")]
    series = [replace(_BASES["users"][plan.quick], repeats=scale) for scale in SCALES]
    return tables + [loaders(part, folder, rounds=1, alone=True) for part in series]


def _series(plan: Plan) -> list[Table]:
    from tests.benchmarks.series import series  # noqa: PLC0415 -- starts a sandbox, which is slow to import

    return [series(plan.folder / "series", campaigns=20 if plan.quick else 750)]


BENCHMARKS: Final[dict[str, Callable[[Plan], list[Table]]]] = {
    "users": lambda plan: _stream("users", plan),
    "csv": lambda plan: _stream("csv", plan),
    "apsis": lambda plan: _stream("apsis", plan),
    "braze": lambda plan: _stream("braze", plan),
    "events": _events,
    "children": _children,
    "maps": _maps,
    "batch": _batch,
    "startup": _startup,
    "sizes": _sizes,
    "pages": _pages,
    "large": _large,
    "pipelines": _pipelines,
    "loaders": _loaders,
    "series": _series,
}
_ON_REQUEST: Final = frozenset({"sizes", "pages", "large", "pipelines", "loaders", "series"})
DEFAULT: Final = tuple(name for name in BENCHMARKS if name not in _ON_REQUEST)
