"""Load two runs of the tap into a target, and compare every column of every table with what the tap emitted."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tests.helpers.environments import environment
from tests.helpers.running import Run, Warehouse, run_tap
from tests.targets.loaded import FIRST_END, KEYS, SECOND_END, Loaded, from_json
from tests.targets.shop import settings_of, shop
from tests.targets.streams import columns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.targets.stores import Services, Store
    from tests.targets.targets import Target

CHECKS: Final = ("runs", "rows", "keys", "types", "nulls", "times", "nesting", "values", "state")
NESTED: Final = frozenset({"object", "array"})
_CHECK_OF: Final = {"time": "times", "object": "nesting", "array": "nesting"}


@dataclass
class Proof:
    """What was found.

    Attributes:
        problems: for each check that failed, what differs.
        gone: what became of a row that the vendor no longer has, without and with `hard_delete`.
    """

    problems: dict[str, list[str]] = field(default_factory=dict)
    gone: tuple[str, ...] = ()

    def note(self, check: str, problem: str) -> None:
        """Take down a problem."""
        self.problems.setdefault(check, []).append(problem)


class Emissions:
    """The tap's output of two runs, two days apart, for each kind of settings."""

    def __init__(self, folder: Path) -> None:
        """Keep files of BATCH messages in a folder."""
        self._folder = folder
        self._runs: dict[str, list[Run]] = {}

    @cached_property
    def truth(self) -> tuple[Warehouse, Warehouse]:
        """The rows after the first run and after both."""
        first, both = Warehouse(), Warehouse()
        for number, run in enumerate(self.runs({})):
            both.load(run)
            if number == 0:
                first.load(run)
        return first, both

    def runs(self, tap: dict[str, Any]) -> list[Run]:
        """Run the tap twice, the second time with state; BATCH files each time anew, since a target may remove them."""
        name = json.dumps(tap)
        if name not in self._runs or "batch_config" in tap:
            self._runs[name] = list(self._twice(tap))
        return self._runs[name]

    def _twice(self, tap: dict[str, Any]) -> Iterator[Run]:
        settings = json.loads(json.dumps(tap))
        if "batch_config" in settings:
            settings["batch_config"]["storage"] = {"root": f"file://{tempfile.mkdtemp(dir=self._folder)}"}
        state = None
        for end in (FIRST_END, SECOND_END):
            with shop(end) as sandbox:
                run = run_tap({**settings_of(sandbox, end), **settings}, state=state)
            assert run.exit_code == 0, run.log
            state = run.states[-1]
            yield run


def prove(target: Target, folder: Path, services: Services, emissions: Emissions) -> Proof:
    """Load both runs into an empty place, and check it after each.

    Args:
        target: the target.
        folder: an empty folder of its own.
        services: servers that the place may need.
        emissions: the tap's output.

    Returns:
        What was found.

    Raises:
        NotInstallable: If the target cannot be installed here.
    """
    proof = Proof()
    lines = dict.fromkeys(KEYS, 0)
    with target.store(folder, services) as store:
        loaded = Loaded(target.name, store.query)
        for run, truth in zip(emissions.runs(target.tap), emissions.truth, strict=True):
            done = feed(target, store, folder, run.messages)
            if done.returncode:
                proof.note("runs", f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
                return proof
            if json.loads(done.stdout.splitlines()[-1]) != run.states[-1]:
                proof.note("state", "the last state is another")
            store.refresh()
            for stream in KEYS:
                _check_rows(proof, target, loaded, stream, truth)
                lines[stream] += len(run.records(stream))
                if target.appends and store.lines[stream] != lines[stream]:
                    proof.note("rows", f"{stream}: {store.lines[stream]} lines, not {lines[stream]}")
        for stream in KEYS:
            _check_columns(proof, target, loaded, stream, emissions.truth[1].tables[stream])
    proof.gone = tuple(_gone(target, folder, services, emissions, number) for number in range(len(target.gone)))
    return proof


def feed(
    target: Target, store: Store, folder: Path, messages: list[dict[str, Any]], **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Give messages to a target, as a pipe does."""
    path = folder / "target.json"
    path.write_text(json.dumps({**store.settings, **target.settings, **settings}))
    if target.packages:
        command = [str(environment(*target.packages) / target.command)]
    else:
        command = [sys.executable, "-m", "tap_cdp_export.loader"]
    return subprocess.run(
        [*command, "--config", str(path)],
        input="".join(json.dumps(message) + "\n" for message in messages),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _check_rows(proof: Proof, target: Target, loaded: Loaded, stream: str, truth: Warehouse) -> None:
    rows, expected = loaded.count_rows()[stream], truth.counts[stream]
    if rows != expected:
        proof.note("rows", f"{stream}: {rows} rows, not {expected}")
    if loaded.column(stream, KEYS[stream][0]).keys() != truth.tables[stream].keys():
        proof.note("keys", f"{stream}: other keys")
    if not target.appends and loaded.primary_key(stream) != list(KEYS[stream]):
        proof.note("keys", f"{stream}: no primary key")


def _check_columns(
    proof: Proof, target: Target, loaded: Loaded, stream: str, expected: dict[tuple[Any, ...], dict[str, Any]]
) -> None:
    types = loaded.types(stream)
    kinds = columns(stream)
    nulls = loaded.count_nulls(stream, list(kinds))
    for name, kind in kinds.items():
        if types.get(name) not in target.types[kind]:
            proof.note("types", f"{stream}.{name}: {types.get(name)} for {kind}")
            if name not in types:
                continue
        found = {key: _plain(value, kind) for key, value in loaded.column(stream, name).items()}
        wanted = {key: _plain(row.get(name), kind) for key, row in expected.items() if key in found}
        absent = sum(value is None for value in wanted.values())
        if nulls[name] != absent:
            proof.note("nulls", f"{stream}.{name} ({kind}): {nulls[name]}, not {absent}")
        wrong = [key for key, value in wanted.items() if found[key] != value]
        if wrong:
            example = f"{found[wrong[0]]!r}, not {wanted[wrong[0]]!r}"
            proof.note(_CHECK_OF.get(kind, "values"), f"{stream}.{name}: {len(wrong)} differ, such as {example}")


def _plain(value: Any, kind: str) -> Any:
    """Convert a value of a database or of the tap to a form in which both can be compared."""
    if value is None:
        return None
    if kind == "time":
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    if kind in NESTED:
        decoded = from_json(value)
        return (
            [_plain(item, "number") if isinstance(item, Decimal) else item for item in decoded]
            if isinstance(decoded, list)
            else decoded
        )
    return float(value) if kind == "number" else value


def _gone(target: Target, folder: Path, services: Services, emissions: Emissions, number: int) -> str:
    """Load a table twice with ACTIVATE_VERSION, the second time without one of its rows; say what becomes of that row.

    The first time without `hard_delete`, the second time with it.
    """
    place = folder.with_name(f"{folder.name}-gone-{number}")
    place.mkdir()
    run = emissions.runs(target.tap if "flattening_enabled" in target.tap else {})[0]
    (schema,) = [m for m in run.messages if m["type"] == "SCHEMA" and m["stream"] == "braze_users"]
    records = run.records("braze_users")
    key = tuple(records[-1][name] for name in KEYS["braze_users"])
    with target.store(place, services) as store:
        for version, rows in (
            (1, records),
            (2, [row for row in records if row["braze_id"] != records[-1]["braze_id"]]),
        ):
            messages = [{"type": "RECORD", "stream": "braze_users", "record": row, "version": version} for row in rows]
            activate = {"type": "ACTIVATE_VERSION", "stream": "braze_users", "version": version}
            done = feed(
                target, store, place, [schema, *messages, activate], **({"hard_delete": True} if number else {})
            )
            if done.returncode:
                return f"exit {done.returncode}"
        if target.appends:
            return "stays"
        loaded = Loaded(target.name, store.query)
        if key not in loaded.column("braze_users", "braze_id"):
            return "deleted"
        if "_sdc_deleted_at" in loaded.types("braze_users"):
            return "marked" if loaded.column("braze_users", "_sdc_deleted_at")[key] else "stays"
        return "stays"
