"""C1, continued: vendor modes, redirects to third parties, late events, and exports that are not ready."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.sandbox.apsis import export_profiles
from tap_cdp_export.sandbox.braze.export_users import DEFAULT_SEGMENTS
from tap_cdp_export.sandbox.clock import milliseconds, rfc3339
from tap_cdp_export.sandbox.options import Fault
from tests.faults.checker import ERROR_CANARY, URL_CANARY, findings
from tests.faults.history import History, kill_at_marker
from tests.faults.scenarios import Scenario, outcome
from tests.faults.scene import BUCKET, NOW, START, Scene, states_in
from tests.faults.single_faults import HURRY, NAME, short_deadlines
from tests.helpers.loopback import LoopbackServer, cut, with_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.scenarios import Outcome
    from tests.helpers.fork_server import ForkServer

_REORDERED: Final = "keys in the other order"  # which also changes the order of tags
_MODES: Final[dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[int, ...], int | None]]] = {
    # name: vendor, options, settings, exit codes, APSIS exports
    "one export fails": ("apsis", {"failing_exports": 1}, {}, (0,), 4),
    "three exports fail": ("apsis", {"failing_exports": 3}, {}, (0,), None),
    "all exports fail": ("apsis", {"failing_exports": 99}, {}, (13,), None),
    "an error in place of profiles": ("apsis", {"error_bodies": 99}, {}, (12,), None),
    "one export for all windows": ("apsis", {"same_export": True}, {}, (12,), None),
    "polls say 202": ("apsis", {"poll_mode": "v2", "url_field": "file_download_url_v2"}, {}, (0,), 3),
    "a Location header": ("apsis", {"url_field": "", "request_status": 202}, {}, (0,), 3),
    "a relative URL": ("apsis", {"relative_url": True}, {}, (0,), 3),
    "another URL field": ("apsis", {"url_field": "somewhere_else"}, {}, (0,), 3),
    "the token dies between polls": ("apsis", {"expire_token_after_polls": 2}, {}, (0,), 3),
    "the token dies with 403": ("apsis", {"expire_token_after_polls": 2, "expired_status": 403}, {}, (0,), 3),
    "a pending limit of one": ("apsis", {"pending_limit": 1}, {}, (0,), 3),
    "never ready": ("apsis", {"polls_before_ready": 10**6}, {}, (15,), 1),
    "the URL is dead at once": ("apsis", {"url_hours": 0}, {}, (13,), 2),
    _REORDERED: ("apsis", {"reversed_keys": True, "pretty": True}, {}, (0,), 3),
    "page is ignored": ("personalization", {"ignores_page": True}, {}, (12,), None),
    "page is ignored, times move": ("personalization", {"ignores_page": True, "moving_times": True}, {}, (12,), None),
    "one record a page, each twice": ("personalization", {"repeat_every": 1}, {"page_size": 1}, (0,), None),
    "short pages": ("personalization", {"short_pages": True}, {}, (0,), None),
    "a cap on pages": ("personalization", {"page_cap": 10}, {}, (0,), None),
    "no API access": ("personalization", {"can_access_api": False}, {}, (11,), None),
    "no length": ("personalization", {"content_length": False}, {}, (0,), None),
    "not paged": ("personalization", {}, {"page_size": 0}, (0,), None),
    "never ready, Braze": ("braze", {"outcome": "never"}, {}, (15,), None),
    "fails, Braze": ("braze", {"outcome": "fails"}, {}, (15,), None),
    "the URL dies at once, Braze": ("braze", {"url_hours": 0}, {}, (13,), None),
    "a URL expires, Braze": ("braze", {"expired_exports": 1, "expired_form": "gcs"}, {}, (0,), None),
    "redirects, Braze": ("braze", {"redirects": 5, "redirect_form": "relative"}, {}, (0,), None),
    "a loop of redirects, Braze": ("braze", {"redirect_form": "loop"}, {}, (12,), None),
    "no URL": ("braze", {"url": "null"}, {}, (12,), None),
    "a right is missing": ("braze", {"permissions": []}, {}, (11,), None),
    "a hundred exports run elsewhere": ("braze", {"other_exports": 100}, {}, (14,), None),
    "a broken line": ("braze", {"broken_lines": 1}, {}, (12,), None),
    "blank lines": ("braze", {"blank_lines": True}, {}, (0,), None),
    "gzip": ("braze", {}, {"output_format": "gzip"}, (0,), None),
}  # fmt: skip


def _mode(fork_server: ForkServer, name: str) -> Outcome:
    vendor, options, settings, codes, exports = _MODES[name]
    scene_options = {vendor: options} if name == _REORDERED else {}
    with Scene(fork_server, vendor, options=scene_options, settings=short_deadlines(vendor, **settings)) as scene:
        default_options = {key: getattr(getattr(scene.options, vendor), key) for key in options}
        scene.options.update({vendor: options})
        history = History(scene)
        run = history.run(patches=[HURRY])
        scene.options.update({vendor: default_options})
        problems = []
        if run.code not in codes:
            problems.append(f"I3 exit code {run.code} in place of {codes}: {run.log.strip().rpartition(chr(10))[2]}")
        export_count = sum(
            entry.method == "POST" and entry.path.endswith("/exports") and entry.job is not None
            for entry in run.requests
        )
        if exports is not None and export_count != exports:
            problems.append(f"I7 {export_count} exports requested in place of {exports}")
        history.run_until_clean(patches=[HURRY])
        problems += findings(history, clock_moved="exports fail" in name)  # the windows are halved
        return outcome(history, [f"{name}: {text}" for text in problems])


_THIRD_PARTIES: Final = {
    "users lead elsewhere": ("personalization", "/users.json", "GET", 307),
    "the token leads elsewhere": ("apsis", "/oauth/token", "POST", 307),
    "exports lead elsewhere": ("apsis", "/profiles/exports$", "POST", 302),
    "polls lead elsewhere": ("apsis", "/profiles/exports/", "GET", 302),
    "Braze leads elsewhere": ("braze", "/users/export/segment", "POST", 308),
    "the archive leads elsewhere": ("braze", r"\.zip$", "GET", 302),
    "a poll URL of another host": ("apsis", "/profiles/exports$", "POST", 201),
}


def _redirect(fork_server: ForkServer, name: str) -> Outcome:
    """A redirect to a third party, which must not receive a single byte."""
    vendor, path, method, status = _THIRD_PARTIES[name]
    with (
        LoopbackServer(cut(with_length(b"[]"))) as third_party,
        Scene(fork_server, vendor, settings=short_deadlines(vendor)) as scene,
    ):
        location = f"{third_party.url}/elsewhere"
        body = json.dumps({"file_download_url": location}) if status == 201 else ERROR_CANARY
        scene.options.faults = [
            Fault(path=path, method=method, times=0, status=status, body=body, headers={"Location": location})
        ]
        history = History(scene)
        run = history.run(patches=[HURRY])
        scene.options.faults = []
        problems = []
        if run.code != 12:
            problems.append(f"I3 exit code {run.code} in place of 12")
        is_archive = name == "the archive leads elsewhere"  # followed, since it needs no credentials
        if third_party.requests:
            request_bytes = b" ".join(third_party.requests).lower()
            credentials = (
                "with credentials"
                if b"authorization" in request_bytes or b"secret" in request_bytes
                else "without credentials"
            )
            if not is_archive or credentials == "with credentials":
                problems.append(f"I6 a third party got {len(third_party.requests)} requests {credentials}")
        history.run_until_clean(patches=[HURRY])
        return outcome(history, [f"{name}: {text}" for text in problems + findings(history)])


def _storage_down(fork_server: ForkServer) -> Outcome:
    """The storage host is down; the download URL is a secret that libraries put into their errors."""
    url = f"http://127.0.0.1:9/{URL_CANARY}.zip"
    answer = json.dumps({"message": "success", "object_prefix": "p", "url": url})
    with Scene(fork_server, "braze", settings=short_deadlines("braze")) as scene:
        scene.options.faults = [Fault(path="/users/export", times=0, status=201, body=answer)]
        history = History(scene)
        run = history.run(patches=[HURRY])
        scene.options.faults = []
        problems = [] if run.code == 13 else [f"I3 exit code {run.code} in place of 13"]
        history.run_until_clean(patches=[HURRY])
        return outcome(history, [f"storage down: {text}" for text in problems + findings(history)])


def _cut_gzip(fork_server: ForkServer, size: int) -> Outcome:
    """A truncated gzip archive without a connection error, which HTTP libraries accept."""
    with Scene(fork_server, "braze", settings=short_deadlines("braze", output_format="gzip")) as scene:
        scene.options.faults = [Fault(path=r"\.zip$", kind="cut", clean=True, skip=1, times=0, after_bytes=size)]
        history = History(scene)
        run = history.run(patches=[HURRY])
        scene.options.faults = []
        problems = [] if run.code == 12 else [f"I3 exit code {run.code} in place of 12"]
        if b'"type":"RECORD"' in run.out:
            problems.append("I1 records of an incomplete export")
        history.run_until_clean(patches=[HURRY])
        return outcome(history, [f"gzip cut at {size}: {text}" for text in problems + findings(history)])


def _killed_while_pending(fork_server: ForkServer) -> Outcome:
    """A run that is killed while an export is pending causes no second POST."""
    reader = kill_at_marker(b'"export":{')
    with Scene(fork_server, "apsis") as scene:
        scene.options.apsis.polls_before_ready = 10**6
        history = History(scene)
        history.run(reader=reader)
        history.run(reader=reader)  # killed at once, as STATE already contains the export
        scene.options.apsis.polls_before_ready = 1
        history.run_until_clean()
        windows = [
            (entry.body["start_at"], entry.body["end_at"])
            for entry in scene.sandbox.request_log.entries(vendor="apsis", method="POST", path="/audience")
        ]
        problems = [] if len(windows) == len(set(windows)) == 3 else [f"I7 windows requested: {windows}"]
        return outcome(history, [f"killed while pending: {text}" for text in problems + findings(history)])


def _pending_exports(fork_server: ForkServer, *, times: int) -> Outcome:
    """429 for pending exports: waited for in growing pauses, which are never those of the usual retries.

    Args:
        fork_server: Server of the child processes.
        times: Number of requests that are answered with 429; 0 is all, up to the deadline.
    """
    name = f"{f'{times} times' if times else 'always'} 429 for pending exports"
    settings = short_deadlines("apsis", poll_initial_seconds=4, poll_max_seconds=16)
    with Scene(fork_server, "apsis", settings=settings) as scene:
        scene.options.faults = [
            Fault(path="/profiles/exports$", method="POST", times=times, status=429, body=ERROR_CANARY)
        ]
        history = History(scene)
        run = history.run(patches=[HURRY])
        scene.options.faults = []
        refused = [entry for entry in run.requests if entry.method == "POST" and entry.status == 429]
        expected_code, (least, most) = (0, (times, times)) if times else (14, (10, 40))
        problems = []
        if run.code != expected_code:
            problems.append(f"I3 exit code {run.code} in place of {expected_code}")
        if not least <= len(refused) <= most:
            problems.append(f"I7 {len(refused)} requests were refused in place of {least} to {most}")
        if not times and "until export_timeout_seconds" not in run.log.strip().rpartition("\n")[2]:
            problems.append("I3 the last line does not name the deadline")
        history.run_until_clean(patches=[HURRY])
        return outcome(history, [f"{name}: {text}" for text in problems + findings(history)])


def _late_bucket_files(fork_server: ForkServer) -> Outcome:
    """Files that come to the bucket after the quiet time are told of and read by the next run."""
    settings = {"braze": {"segment_ids": [DEFAULT_SEGMENTS[0].identifier]}}
    with Scene(fork_server, BUCKET, settings=settings) as scene:
        scene.options.update({"braze": {"bucket_late_seconds": 3 * scene.settings["braze"]["bucket_quiet_seconds"]}})
        history = History(scene)
        first = scene.run()
        problems = [] if first.code == 0 else [f"I3 exit code {first.code} in place of 0"]
        scene.options.update({"braze": {"bucket_late_seconds": 0}})
        (state,) = states_in(first.out)[-1:]
        (finished,) = state["bookmarks"]["braze_users"]["finished_exports"].values()
        files = f"segment-export/*/*/{finished['object_prefix']}/*"
        deadline = time.monotonic() + 20
        while len(list((scene.folder / "bucket").glob(files))) == finished["files"] and time.monotonic() < deadline:
            time.sleep(0.01)
        history.state_store.save(state)
        second = history.run_until_clean()
        if "came to the bucket after" not in second.log:
            problems.append("I1 the next run does not tell of the late files")
        third = history.run()
        if third.code or "came to the bucket after" in third.log:
            problems.append("I1 the files are told of twice")
        return outcome(history, [f"late files in the bucket: {text}" for text in problems + findings(history)])


_LATENESS_SECONDS: Final = {"105 minutes": 6_300, "20 hours": 72_000}


def _late_events(fork_server: ForkServer, lateness: str, *, too_large: bool) -> Outcome:
    """Events that become visible late are read by a later run, also if the export of the lookback is too large."""
    seconds_late = _LATENESS_SECONDS[lateness]
    options = {"apsis": {"late_seconds": seconds_late, "least_late_seconds": seconds_late}}
    with Scene(fork_server, "apsis", options=options) as scene:
        window = export_profiles.everything(milliseconds(START), milliseconds(NOW))
        profiles = (profile for _, profile in scene.sandbox.population.apsis_profiles(milliseconds(NOW), window))
        sections = (section for profile in profiles for section in profile["sections"].values())
        created_at = max(event["createdAt"] for section in sections for event in section.get("events") or ())
        bookmark = created_at // 1000 + seconds_late - 300
        lookback_start, before, after = (
            rfc3339(1000 * (bookmark + seconds)).replace(".000Z", "Z") for seconds in (-86_400, 0, 90_000)
        )
        scene.at(before)
        history = History(scene)
        first = history.run()
        scene.at(after)
        if too_large:
            scene.options.update({"apsis": {"refuse_days_over": 1.1, "refuse_by": "400", "polls_before_ready": 10**6}})
            reader = kill_at_marker(b'"export":{')
            history.run(reader=reader)
            history.run(reader=reader)
            scene.options.update({"apsis": {"polls_before_ready": 1}})
        history.run_until_clean()
        windows = [
            (entry.body["start_at"], entry.body["end_at"])
            for entry in scene.sandbox.request_log.log[len(first.requests) :]
            if entry.method == "POST" and entry.path.endswith("/exports")
        ]
        expected_windows = [
            (lookback_start, after),
            *([(lookback_start, before), (before, after)] if too_large else []),
        ]
        problems = (
            [] if windows == expected_windows else [f"I7 windows requested: {windows} in place of {expected_windows}"]
        )
        return outcome(
            history, [f"late by {lateness}: {text}" for text in problems + findings(history, clock_moved=True)]
        )


def scenarios(*, full: bool) -> Iterator[Scenario]:
    """Yield all scenarios; in the quick set, every third."""
    yield Scenario(NAME, "killed while pending", _killed_while_pending)
    yield Scenario(NAME, "Braze's storage is down", _storage_down)
    yield Scenario(NAME, "late files in the bucket", _late_bucket_files)
    for times in (0, 8) if full else (8,):
        yield Scenario(
            NAME,
            f"{f'{times} times' if times else 'always'} 429 for pending exports",
            lambda fork_server, n=times: _pending_exports(fork_server, times=n),  # type: ignore[misc]
        )
    for lateness in _LATENESS_SECONDS:
        for is_cut in (False, True):
            yield Scenario(
                NAME,
                f"events late by {lateness}{', too large' * is_cut}",
                lambda fork_server, n=lateness, c=is_cut: _late_events(fork_server, n, too_large=c),  # type: ignore[misc]
            )
    for size in (10, 1000, 4000) if full else (4000,):
        yield Scenario(NAME, f"gzip cut at {size}", lambda fork_server, s=size: _cut_gzip(fork_server, s))  # type: ignore[misc]
    for number, name in enumerate(_MODES):
        if full or number % 3 == 0 or name == "page is ignored":
            yield Scenario(NAME, name, lambda fork_server, n=name: _mode(fork_server, n))  # type: ignore[misc]
    for number, name in enumerate(_THIRD_PARTIES):
        if full or number % 3 == 0:
            yield Scenario(NAME, name, lambda fork_server, n=name: _redirect(fork_server, n))  # type: ignore[misc]
