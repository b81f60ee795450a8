"""Checks the invariants I1 to I10 of every history (docs/reliability.md, section 8)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from tests.faults.history import ExpectedRows
from tests.faults.scene import SECRETS, states_in
from tests.faults.strict_lines import parsed, problems

if TYPE_CHECKING:
    from tests.faults.history import History
    from tests.faults.scene import Run, Scene
    from tests.faults.targets import Row, Tables

ERROR_CANARY: Final = "canary-of-an-error-body"
URL_CANARY: Final = "canary-of-a-download-url"
_MAX_MEMORY: Final = 150
_MAX_SECONDS: Final = 25
_WINDOW_COLUMNS: Final = frozenset({"window_start", "window_end", "engagement_score", "engagement_percent_change"})
_PERSONAL_COLUMNS: Final = (
    "name",
    "email",
    "email_address",
    "display_name",
    "external_id",
    "braze_id",
    "profile_key",
    "phone",
)
_MIN_LENGTH: Final = 6  # shorter values and numbers occur in any log
_SCHEMES: Final = {"personalization": "Basic", "apsis": "Bearer", "braze": "Bearer"}
_EXIT_CODES: Final = frozenset({0, 1, 10, 11, 12, 13, 14, 15, 16, 130, 143, -9})


def findings(history: History, *, clock_moved: bool = False, memory: int = _MAX_MEMORY) -> list[str]:
    """Check a history.

    Args:
        history: The history, after its last run.
        clock_moved: Whether to ignore the columns that depend on the window of the run.
        memory: Maximum memory of a run, in MiB.

    Returns:
        Findings.
    """
    expected = ExpectedRows.of(history.scene)
    errors = [*check_runs(history, memory=memory), *history.false_successes]
    errors += _row_differences(history.tables, expected, ignored=_WINDOW_COLUMNS if clock_moved else frozenset())
    errors += _states_ahead(history, expected)
    errors += _bookmarks(history)
    if history.runs[-1].code:
        last = history.runs[-1]
        errors.append(f"I3 no clean run in the end: {last.code}: {last.log.strip().rpartition(chr(10))[2][-200:]}")
    return errors


def check_runs(history: History, *, memory: int = _MAX_MEMORY) -> list[str]:
    """Check the behaviour of each run, but not the rows.

    Args:
        history: The history, after its last run.
        memory: Maximum memory of a run, in MiB.

    Returns:
        Findings.
    """
    return [
        f"run {number}: {problem}"
        for number, run in enumerate(history.runs, start=1)
        for problem in _check_run(run, history, memory)
    ]


def _check_run(run: Run, history: History, memory: int) -> list[str]:
    errors = problems(run.out, may_be_torn=run.code == -9 or history.partial_reads[history.runs.index(run)])
    if run.hung:
        errors.append("I9 did not end")
    if run.code not in _EXIT_CODES:
        errors.append(f"I3 exit code {run.code}")
    if "Traceback" in run.log:
        errors.append(f"I3 a traceback: {run.log.strip()[-300:]}")
    if run.code > 0 and " CRITICAL " not in run.log.strip().rpartition("\n")[2]:
        errors.append("I3 the last line does not say why it failed")
    errors += leaks(run, history.scene)
    errors += misdirected_requests(run, history.scene)
    if not (history.foreign_state and run is history.runs[0]):
        errors += _repeated_exports(run)
    if run.files_left:
        errors.append(f"I8 files left: {run.files_left}")
    if run.memory > memory:
        errors.append(f"I9 {run.memory} MiB")
    if run.seconds > _MAX_SECONDS:
        errors.append(f"I9 {run.seconds:.0f} s")
    return errors


def _row_differences(tables: Tables, expected: Tables, *, ignored: frozenset[str]) -> list[str]:
    errors = []
    for stream, rows in expected.items():
        actual_rows = tables.get(stream, {})
        if missing_keys := rows.keys() - actual_rows.keys():
            errors.append(f"I1 {stream}: {len(missing_keys)} rows lost")
        if unexpected := actual_rows.keys() - rows.keys():
            errors.append(f"I1 {stream}: {len(unexpected)} unexpected rows")
        common_keys = rows.keys() & actual_rows.keys()
        if changed := sum(_without(rows[key], ignored) != _without(actual_rows[key], ignored) for key in common_keys):
            errors.append(f"I1 {stream}: {changed} rows with outdated content")
    return errors


def _without(row: Row, columns: frozenset[str]) -> Row:
    return {name: value for name, value in row.items() if name not in columns} if columns else row


def _states_ahead(history: History, expected: Tables) -> list[str]:
    """Find STATE lines whose bookmark covers more than the records before them; the replays check this in full."""
    errors = []
    for number, run in enumerate(history.runs, start=1):
        keys = {stream: set(rows) for stream, rows in history.keys_before[number - 1].items()}
        primary: dict[str, list[str]] = {}
        for line in run.lines:
            try:
                message = parsed(line)
            except (ValueError, TypeError):
                break
            if message["type"] == "SCHEMA":
                primary[message["stream"]] = message["key_properties"]
            elif message["type"] == "RECORD":
                key = tuple(message["record"][name] for name in primary[message["stream"]])
                keys.setdefault(message["stream"], set()).add(key)
            elif message["type"] == "STATE":
                errors += [f"run {number}: {text}" for text in _missing_rows(message["value"], keys, expected)]
    return errors


def _missing_rows(state: Row, keys: dict[str, set[Any]], expected: Tables) -> list[str]:
    errors = []
    for stream, entry in state.get("bookmarks", {}).items():
        bookmark = entry.get("replication_key_value")
        if bookmark and stream in expected:
            expected_keys = {key for key, row in expected[stream].items() if _is_covered(row, entry, bookmark)}
            if missing := expected_keys - keys.get(stream, set()):
                errors.append(f"I2 STATE of {stream} is ahead of {len(missing)} rows")
    return errors


def _is_covered(row: Row, entry: Row, bookmark: str) -> bool:
    """Return whether a bookmark says that a row was written: by the row's window, or else by its replication key."""
    position: str = row["window_end"] if "window_end" in row else row[entry["replication_key"]]
    return position <= bookmark


def _bookmarks(history: History) -> list[str]:
    """Find bookmarks that go back, within a run or relative to the STATE it started from."""
    errors = []
    for number, run in enumerate(history.runs, start=1):
        last_bookmarks: dict[str, str] = {}
        for state in [run.start or {}, *states_if_valid(run)]:
            for stream, entry in state.get("bookmarks", {}).items():
                bookmark = entry.get("replication_key_value") or ""
                if bookmark < last_bookmarks.get(stream, ""):
                    errors.append(f"run {number}: I10 the bookmark of {stream} goes back")
                last_bookmarks[stream] = max(bookmark, last_bookmarks.get(stream, ""))
    return errors


def states_if_valid(run: Run) -> list[Row]:
    """Return the states of a run; none if a line is invalid, which another check reports."""
    try:
        return states_in(run.out)
    except ValueError:
        return []


def _repeated_exports(run: Run) -> list[str]:
    """Find a second request for an export that the given STATE contains, unless that export has failed."""
    entry = (run.start or {}).get("bookmarks", {}).get("apsis_events", {}).get("export")
    if not entry:
        return []
    window_end = entry["window_end"].replace(".000Z", "Z")
    repeated_requests = [
        request for request in run.requests
        if request.method == "POST" and request.path.endswith("/exports") and request.body["end_at"] == window_end
    ]  # fmt: skip
    has_failed = any(request.method == "GET" and request.status in {410, 503} for request in run.requests)
    return ["I7 a second POST for an export in STATE"] if repeated_requests and not has_failed else []


def leaks(run: Run, scene: Scene) -> list[str]:
    """Find secrets and personal data in the log, the states and the file names."""
    log_and_names = run.log + "".join(run.files_left)
    states = b"".join(line for line in run.out.splitlines() if b'"type":"STATE"' in line[:20]).decode(errors="replace")
    errors = [f"I5 {name} in the log" for name, form in _canaries(scene) if form in log_and_names]
    errors += [f"I5 {name} in STATE" for name, form in _canaries(scene) if form in states]
    personal_values = _personal_values(ExpectedRows.of(scene))
    errors += [f"I5 a customer's {column} in the log" for column, value in personal_values if value in log_and_names]
    errors += [f"I5 a customer's {column} in STATE" for column, value in personal_values if value in states]
    return errors


def _personal_values(expected: Tables) -> set[tuple[str, str]]:
    return {
        (name, value)
        for rows in expected.values()
        for row in rows.values()
        for name, value in row.items()
        if name in _PERSONAL_COLUMNS and isinstance(value, str) and len(value) >= _MIN_LENGTH and not value.isdecimal()
    }


def _canaries(scene: Scene) -> list[tuple[str, str]]:
    plain = {name: value for secrets in SECRETS.values() for name, value in secrets.items()}
    basic = "{api_key_id}:{api_key_secret}".format(**plain)
    plain |= {
        "an error body": ERROR_CANARY,
        "a URL": URL_CANARY,
        "the basic pair": basic,
        "a download URL": scene.sandbox.storage_url,
    }
    for entry in scene.sandbox.request_log.entries(vendor="braze", method="GET"):
        if entry.path.endswith(".zip"):
            plain["a download URL's path"] = entry.path
    forms = [("an access token", "eyJ")]  # the prefix of every JWT
    for name, value in plain.items():
        raw = value.encode()
        packed = (base64.b64encode(raw), base64.urlsafe_b64encode(raw))
        known = {value, quote(value, safe=""), quote(value), quote_plus(value), raw.hex(), raw.hex().upper()}
        forms += [(name, form) for form in known | {text.decode().rstrip("=") for text in packed}]
    return forms


def misdirected_requests(run: Run, scene: Scene) -> list[str]:
    """Find credentials that were sent to another API, and parallel exports of a segment."""
    errors = []
    for request in run.requests:
        scheme = request.headers.get("authorization")
        is_download = request.vendor == "braze" and request.path.endswith(".zip")
        expected = None if is_download or request.path == "/oauth/token" else _SCHEMES[request.vendor]
        if scheme != expected and request.vendor in scene.vendors:
            errors.append(f"I6 {scheme} sent to {request.vendor} {request.path.split('/')[1]}")
    for segment, export_count in scene.sandbox.request_log.most_open.items():
        if export_count > 1:
            errors.append(f"I7 {export_count} exports of segment {segment[:4]}… at a time")
    return errors
