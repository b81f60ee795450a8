"""What every history must satisfy: I1 to I10 of the harness (docs/reliability.md, section 8)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from tests.faults.history import Truth
from tests.faults.scene import SECRETS, states_in
from tests.faults.strict_lines import parsed, problems

if TYPE_CHECKING:
    from tests.faults.history import History
    from tests.faults.scene import Run, Scene
    from tests.faults.targets import Row, Tables

ERROR_CANARY: Final = "canary-of-an-error-body"
URL_CANARY: Final = "canary-of-a-download-url"
_MOST_MEMORY: Final = 150
_MOST_SECONDS: Final = 25
_OF_THE_WINDOW: Final = frozenset({"window_start", "window_end", "engagement_score", "engagement_percent_change"})
_PERSONAL: Final = ("name", "email", "email_address", "display_name", "external_id", "braze_id", "profile_key", "phone")
_SHORTEST: Final = 6  # shorter ones, and numbers, are found in any log
_SCHEMES: Final = {"personalization": "Basic", "apsis": "Bearer", "braze": "Bearer"}
_KNOWN_CODES: Final = frozenset({0, 1, 10, 11, 12, 13, 14, 15, 16, 130, 143, -9})


def findings(history: History, *, clock_moved: bool = False, memory: int = _MOST_MEMORY) -> list[str]:
    """Judge a history.

    Args:
        history: ended.
        clock_moved: the columns that depend on the run's window are not compared.
        memory: MiB that a run may use.

    Returns:
        What is wrong; nothing if all is well.
    """
    expected = Truth.of(history.scene)
    found = [*conduct(history, memory=memory), *history.false_ends]
    found += _losses(history.tables, expected, ignored=_OF_THE_WINDOW if clock_moved else frozenset())
    found += _states_ahead(history, expected)
    found += _bookmarks(history)
    if history.runs[-1].code:
        last = history.runs[-1]
        found.append(f"I3 no clean run in the end: {last.code}: {last.log.strip().rpartition(chr(10))[2][-200:]}")
    return found


def conduct(history: History, *, memory: int = _MOST_MEMORY) -> list[str]:
    """Judge how each run of a history behaved, and nothing of what it brought.

    Args:
        history: ended.
        memory: MiB that a run may use.

    Returns:
        What is wrong.
    """
    return [
        f"run {number}: {problem}"
        for number, run in enumerate(history.runs, start=1)
        for problem in _of_run(run, history, memory)
    ]


def _of_run(run: Run, history: History, memory: int) -> list[str]:
    found = problems(run.out, may_be_torn=run.code == -9 or history.lossy[history.runs.index(run)])
    if run.hung:
        found.append("I9 did not end")
    if run.code not in _KNOWN_CODES:
        found.append(f"I3 exit code {run.code}")
    if "Traceback" in run.log:
        found.append(f"I3 a traceback: {run.log.strip()[-300:]}")
    if run.code > 0 and " CRITICAL " not in run.log.strip().rpartition("\n")[2]:
        found.append("I3 the last line does not say why it failed")
    found += leaks(run, history.scene)
    found += strays(run, history.scene)
    if not (history.foreign_state and run is history.runs[0]):
        found += _second_exports(run)
    if run.left:
        found.append(f"I8 files left: {run.left}")
    if run.memory > memory:
        found.append(f"I9 {run.memory} MiB")
    if run.seconds > _MOST_SECONDS:
        found.append(f"I9 {run.seconds:.0f} s")
    return found


def _losses(tables: Tables, expected: Tables, *, ignored: frozenset[str]) -> list[str]:
    found = []
    for stream, rows in expected.items():
        have = tables.get(stream, {})
        if missing := rows.keys() - have.keys():
            found.append(f"I1 {stream}: {len(missing)} rows lost")
        if strangers := have.keys() - rows.keys():
            found.append(f"I1 {stream}: {len(strangers)} rows that never were")
        both = rows.keys() & have.keys()
        if other := sum(_without(rows[key], ignored) != _without(have[key], ignored) for key in both):
            found.append(f"I1 {stream}: {other} rows with another content than the newest")
    return found


def _without(row: Row, columns: frozenset[str]) -> Row:
    return {name: value for name, value in row.items() if name not in columns} if columns else row


def _states_ahead(history: History, expected: Tables) -> list[str]:
    """Find STATE lines whose bookmark says more than the records before them (the replay says it in full)."""
    found = []
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
                found += [f"run {number}: {ahead}" for ahead in _ahead(message["value"], keys, expected)]
    return found


def _ahead(state: Row, keys: dict[str, set[Any]], expected: Tables) -> list[str]:
    found = []
    for stream, entry in state.get("bookmarks", {}).items():
        bookmark = entry.get("replication_key_value")
        if bookmark and stream in expected:
            due = {key for key, row in expected[stream].items() if row["window_end"] <= bookmark}
            if missing := due - keys.get(stream, set()):
                found.append(f"I2 STATE of {stream} is ahead of {len(missing)} rows")
    return found


def _bookmarks(history: History) -> list[str]:
    """Bookmarks never go back, within a run and beyond the state it was given."""
    found = []
    for number, run in enumerate(history.runs, start=1):
        last: dict[str, str] = {}
        for state in [run.start or {}, *states_in_strictly(run)]:
            for stream, entry in state.get("bookmarks", {}).items():
                bookmark = entry.get("replication_key_value") or ""
                if bookmark < last.get(stream, ""):
                    found.append(f"run {number}: I10 the bookmark of {stream} goes back")
                last[stream] = max(bookmark, last.get(stream, ""))
    return found


def states_in_strictly(run: Run) -> list[Row]:
    """Find a run's states; none where a line is damaged, which another check tells."""
    try:
        return states_in(run.out)
    except ValueError:
        return []


def _second_exports(run: Run) -> list[str]:
    """An export that the given state holds is taken up, not asked for again, unless it failed meanwhile."""
    entry = (run.start or {}).get("bookmarks", {}).get("apsis_events", {}).get("export")
    if not entry:
        return []
    window_end = entry["window_end"].replace(".000Z", "Z")
    again = [
        request for request in run.requests
        if request.method == "POST" and request.path.endswith("/exports") and request.body["end_at"] == window_end
    ]  # fmt: skip
    excused = any(request.method == "GET" and request.status in {410, 503} for request in run.requests)
    return ["I7 a second POST for an export that STATE holds"] if again and not excused else []


def leaks(run: Run, scene: Scene) -> list[str]:
    """Look for secrets and personal data in the log, the states and the file names."""
    quiet = run.log + "".join(run.left)
    states = b"".join(line for line in run.out.splitlines() if b'"type":"STATE"' in line[:20]).decode(errors="replace")
    found = [f"I5 {name} in the log" for name, form in _canaries(scene) if form in quiet]
    found += [f"I5 {name} in STATE" for name, form in _canaries(scene) if form in states]
    personal = _personal(Truth.of(scene))
    found += [f"I5 a customer's {column} in the log" for column, value in personal if value in quiet]
    found += [f"I5 a customer's {column} in STATE" for column, value in personal if value in states]
    return found


def _personal(expected: Tables) -> set[tuple[str, str]]:
    return {
        (name, value)
        for rows in expected.values()
        for row in rows.values()
        for name, value in row.items()
        if name in _PERSONAL and isinstance(value, str) and len(value) >= _SHORTEST and not value.isdecimal()
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
    forms = [("an access token", "eyJ")]  # each of them begins so
    for name, value in plain.items():
        raw = value.encode()
        packed = (base64.b64encode(raw), base64.urlsafe_b64encode(raw))
        known = {value, quote(value, safe=""), quote(value), quote_plus(value), raw.hex(), raw.hex().upper()}
        forms += [(name, form) for form in known | {text.decode().rstrip("=") for text in packed}]
    return forms


def strays(run: Run, scene: Scene) -> list[str]:
    """Credentials go to their own API, and to nobody else."""
    found = []
    for request in run.requests:
        scheme = request.headers.get("authorization")
        is_download = request.vendor == "braze" and request.path.endswith(".zip")
        expected = None if is_download or request.path == "/oauth/token" else _SCHEMES[request.vendor]
        if scheme != expected and request.vendor in scene.vendors:
            found.append(f"I6 {scheme} sent to {request.vendor} {request.path.split('/')[1]}")
    for segment, most in scene.sandbox.request_log.most_open.items():
        if most > 1:
            found.append(f"I7 {most} exports of segment {segment[:4]}… at a time")
    return found
