"""C0: what an undisturbed run gives is what the sandbox's world holds; all other campaigns compare with such runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.records.mapper import camel_case
from tap_cdp_export.sandbox.apsis import export_profiles
from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.clock import milliseconds
from tap_cdp_export.sandbox.personalization import export_users as personalization
from tests.faults.checker import findings
from tests.faults.history import History, Truth
from tests.faults.scenarios import Scenario, outcome
from tests.faults.scene import KINDS, LATER, NOW, START, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.fork_server import ForkServer
    from tests.faults.scenarios import Outcome
    from tests.faults.targets import Row, Tables

NAME: Final = "C0 truth"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z")


def _differences(expected: Tables, scene: Scene, now: str) -> list[str]:
    at, population = milliseconds(now), scene.sandbox.population
    counts = population.counts(start=START, end=now, at=now)
    found = [
        f"{stream}: {len(expected[stream])} rows in place of {counts[stream]}"
        for stream in sorted(expected.keys() & counts.keys())
        if len(expected[stream]) != counts[stream]
    ]
    window = personalization.Statistics(milliseconds(START), at)
    if "accounts" in expected:
        for account in population.personalization_accounts(personalization.SHOP_BUSINESS, at, window=window):
            row = expected["accounts"].get((personalization.SHOP_BUSINESS, account["name"]), {})
            found += _unequal("accounts", row, account, camel_case)
    if "users" in expected:
        for dataset in personalization.DATASETS:
            for user in population.personalization_users(dataset, at, window=window):
                row = expected["users"].get((dataset, user["name"]), {})
                found += _unequal("users", row, user, camel_case)
    if "braze_users" in expected:
        for segment in export_users.DEFAULT_SEGMENTS:
            for user in population.braze_users(segment.identifier, at):
                row = expected["braze_users"].get((segment.identifier, user["braze_id"]), {})
                found += _unequal("braze_users", row, user, str)
    if "apsis_profiles" in expected:
        found += _apsis_differences(expected, scene, now)
    return found


def _unequal(stream: str, row: Row, sent: Row, spell: Callable[[str], str]) -> list[str]:
    """Find fields of the vendor's object that are neither in their column nor in `extra`."""
    columns = {spell(name): value for name, value in row.items()}
    extra = row.get("extra") or {}
    return [
        f"{stream}: {field} is not as in the world"
        for field, value in sent.items()
        if value is not None and value != extra.get(field) and not _is_same(columns.get(field), value)
    ]


def _is_same(kept: Any, sent: Any) -> bool:
    """Compare a column with what was sent: as it is, or as the same moment spelled anew."""
    if kept == sent:
        return True
    if not isinstance(kept, str) or not _TIME.fullmatch(kept):
        return False
    return milliseconds(kept) == (milliseconds(sent.removesuffix(" UTC")) if isinstance(sent, str) else sent)


def _apsis_differences(expected: Tables, scene: Scene, now: str) -> list[str]:
    request = export_profiles.everything(milliseconds(START), milliseconds(now))
    sent: dict[tuple[str, str], set[bytes]] = {}
    found = []
    for key, profile in scene.sandbox.population.apsis_profiles(milliseconds(now), request):
        for section, part in profile["sections"].items():
            row = expected["apsis_profiles"].get((key, section), {})
            held = {*(row.get("attributes") or {}), *(row.get("tags") or [])}
            values = {name: entry["value"] for name, entry in part["attributes"].items() if entry["value"] is not None}
            kept = {name: value for name, value in (row.get("attributes") or {}).items() if value is not None}
            if held != set(part["attributes"]) or kept != values:
                found.append("apsis_profiles: attributes or tags are not as in the world")
            sent[key, section] = {
                _event(event["typeId"], event.get("correlationId"), source or None, event["createdAt"], event["data"])
                for event in part.get("events") or []
                for source in [event["sourceEventTime"]]
            }
    have: dict[tuple[str, str], set[bytes]] = {place: set() for place in sent}
    for (key, section, _), row in expected["apsis_events"].items():
        source, created = row["source_event_time"], milliseconds(row["created_at"])
        source = source and milliseconds(source)
        event = _event(row["type_id"], row["correlation_id"], source, created, row["data"])
        have.setdefault((key, section), set()).add(event)
    if have != sent:
        found.append("apsis_events: not those of the world")
    return found


def _event(*parts: Any) -> bytes:
    return msgspec.json.encode(parts, order="sorted")


def _compared(fork_server: ForkServer, kind: str, now: str) -> Outcome:
    with Scene(fork_server, kind) as scene:
        scene.at(now)
        history = History(scene)
        history.run()
        found = [*findings(history), *_differences(history.tables, scene, now)]
        found += _differences(Truth.of(scene), scene, now)
        return outcome(history, [f"{kind} at {now}: {text}" for text in dict.fromkeys(found)])


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Every vendor, and at both times; the quick set has them all too, since everything else leans on them."""
    del full
    for kind in KINDS:
        for now in (NOW, LATER):
            yield Scenario(NAME, f"{kind} at {now}", lambda fork_server, k=kind, n=now: _compared(fork_server, k, n))  # type: ignore[misc]
