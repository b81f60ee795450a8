"""C0: compares an undisturbed run with the dataset of the sandbox; all other campaigns compare with such runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.records.mapper import camel_case
from tap_cdp_export.sandbox.apsis import export_profiles
from tap_cdp_export.sandbox.braze import export_users
from tap_cdp_export.sandbox.braze.figures import figures_of
from tap_cdp_export.sandbox.braze.identifiers import CANVAS
from tap_cdp_export.sandbox.clock import DAY, HOUR, milliseconds
from tap_cdp_export.sandbox.clock import day as iso_day
from tap_cdp_export.sandbox.personalization import export_users as personalization
from tests.faults.checker import findings
from tests.faults.history import ExpectedRows, History
from tests.faults.scenarios import Scenario, outcome
from tests.faults.scene import KINDS, LATER, NOW, START, TABLES, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.scenarios import Outcome
    from tests.faults.targets import Row, Tables
    from tests.helpers.fork_server import ForkServer

NAME: Final = "C0 expected rows"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z")


def _differences(expected: Tables, scene: Scene, now: str) -> list[str]:
    at, population = milliseconds(now), scene.sandbox.population
    counts = population.counts(start=START, end=now, at=now)
    errors = [
        f"{stream}: {len(expected[stream])} rows in place of {counts[stream]}"
        for stream in sorted(expected.keys() & counts.keys())
        if len(expected[stream]) != counts[stream]
    ]
    window = personalization.Statistics(milliseconds(START), at)
    if "accounts" in expected:
        for account in population.personalization_accounts(personalization.SHOP_BUSINESS, at, window=window):
            row = expected["accounts"].get((personalization.SHOP_BUSINESS, account["name"]), {})
            errors += _field_differences("accounts", row, account, camel_case)
    if "users" in expected:
        for dataset in personalization.DATASETS:
            for user in population.personalization_users(dataset, at, window=window):
                row = expected["users"].get((dataset, user["name"]), {})
                errors += _field_differences("users", row, user, camel_case)
    errors += _braze_differences(expected, scene, at)
    if "apsis_profiles" in expected:
        errors += _apsis_differences(expected, scene, now)
    return errors


def _braze_differences(expected: Tables, scene: Scene, at: int) -> list[str]:
    errors = []
    if "braze_users" in expected:
        for segment in export_users.DEFAULT_SEGMENTS:
            for user in scene.sandbox.population.braze_users(segment.identifier, at):
                row = expected["braze_users"].get((segment.identifier, user["braze_id"]), {})
                errors += _field_differences("braze_users", row, user, str)
    if "braze_user_apps" in expected:
        errors += _entry_differences(expected, scene, at)
    if "braze_campaign_stats" in expected:
        errors += _series_differences(expected, scene, at)
    return errors


def _entry_differences(expected: Tables, scene: Scene, at: int) -> list[str]:
    """Compare the tables of users' lists with the lists."""
    keys: dict[str, set[tuple[Any, ...]]] = {"braze_user_apps": set(), "braze_user_canvas_steps": set()}
    for segment in export_users.DEFAULT_SEGMENTS:
        for user in scene.sandbox.population.braze_users(segment.identifier, at):
            owner = (segment.identifier, user["braze_id"])
            keys["braze_user_apps"] |= {(*owner, app["name"], 1) for app in user.get("apps", [])}
            keys["braze_user_canvas_steps"] |= {
                (*owner, canvas["api_canvas_id"], step["api_canvas_step_id"], 1)
                for canvas in user.get("canvases_received", [])
                for step in canvas["steps_received"]
            }
    return [
        f"{stream}: the rows are not the entries of the dataset"
        for stream in keys
        if keys[stream] != {*expected[stream]}
    ]


def _series_differences(expected: Tables, scene: Scene, at: int) -> list[str]:
    """Compare the statistics of campaigns with the mails of the dataset, and the days with the calendar."""
    offset = int(scene.options.braze.company_offset_hours * HOUR)
    figures = figures_of(scene.sandbox.population, at, offset)
    errors = []
    for (campaign, day), row in expected["braze_campaign_stats"].items():
        if row["unique_recipients"] != figures.mail(campaign, "sent", milliseconds(day) // DAY):
            errors.append("braze_campaign_stats: a day has not the recipients of the dataset")
    first, last = milliseconds(START) // DAY, (at + offset) // DAY
    for campaign, (sent_first, sent_last) in figures.spans.items():
        sent_days = range(max(first, sent_first // DAY), min(last, (sent_last + offset) // DAY) + 1)
        missing = [day for day in sent_days if (campaign, iso_day(day * DAY)) not in expected["braze_campaign_stats"]]
        if missing and campaign != CANVAS:
            errors.append("braze_campaign_stats: a day is missing")
    return errors


def _field_differences(stream: str, row: Row, sent_object: Row, to_vendor_name: Callable[[str], str]) -> list[str]:
    """Find fields of the vendor's object that are neither in their columns nor in `extra`."""
    columns = {to_vendor_name(name): value for name, value in row.items()}
    extra = row.get("extra") or {}
    return [
        f"{stream}: {field} is not as in the dataset"
        for field, value in sent_object.items()
        if value is not None and value != extra.get(field) and not _is_same(columns.get(field), value)
    ]


def _is_same(column: Any, value: Any) -> bool:
    """Return True if a column has the sent value, or the same time in another format."""
    if column == value:
        return True
    if not isinstance(column, str) or not _TIME.fullmatch(column):
        return False
    return milliseconds(column) == (milliseconds(value.removesuffix(" UTC")) if isinstance(value, str) else value)


def _apsis_differences(expected: Tables, scene: Scene, now: str) -> list[str]:
    request = export_profiles.everything(milliseconds(START), milliseconds(now))
    sent_events: dict[tuple[str, str], set[bytes]] = {}
    errors = []
    for key, profile in scene.sandbox.population.apsis_profiles(milliseconds(now), request):
        for section, part in profile["sections"].items():
            row = expected["apsis_profiles"].get((key, section), {})
            row_ids = {*(row.get("attributes") or {}), *(row.get("tags") or [])}
            sent_values = {
                name: entry["value"] for name, entry in part["attributes"].items() if entry["value"] is not None
            }
            row_values = {name: value for name, value in (row.get("attributes") or {}).items() if value is not None}
            if row_ids != set(part["attributes"]) or row_values != sent_values:
                errors.append("apsis_profiles: attributes or tags are not as in the dataset")
            sent_events[key, section] = {
                _event(event["typeId"], event.get("correlationId"), source or None, event["createdAt"], event["data"])
                for event in part.get("events") or []
                for source in [event["sourceEventTime"]]
            }
    row_events: dict[tuple[str, str], set[bytes]] = {place: set() for place in sent_events}
    for (key, section, _), row in expected["apsis_events"].items():
        source, created = row["source_event_time"], milliseconds(row["created_at"])
        source = source and milliseconds(source)
        event = _event(row["type_id"], row["correlation_id"], source, created, row["data"])
        row_events.setdefault((key, section), set()).add(event)
    if row_events != sent_events:
        errors.append("apsis_events: not those of the dataset")
    return errors


def _event(*parts: Any) -> bytes:
    return msgspec.json.encode(parts, order="sorted")


def _compare(fork_server: ForkServer, kind: str, now: str) -> Outcome:
    with Scene(fork_server, kind) as scene:
        scene.at(now)
        history = History(scene)
        history.run()
        errors = [*findings(history), *_differences(history.tables, scene, now)]
        errors += _differences(ExpectedRows.of(scene), scene, now)
        return outcome(history, [f"{kind} at {now}: {text}" for text in dict.fromkeys(errors)])


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield every vendor at both times, in the quick set too, as all other campaigns depend on them."""
    del full
    for kind in (*KINDS, TABLES):
        for now in (NOW, LATER):
            yield Scenario(NAME, f"{kind} at {now}", lambda fork_server, k=kind, n=now: _compare(fork_server, k, n))  # type: ignore[misc]
