"""`apsis_profiles` and `apsis_events`: one export a window feeds both."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from tap_cdp_export.apsis.client import ApsisExporter
from tap_cdp_export.apsis.export_file import (
    PROFILES as FILE,
)
from tap_cdp_export.apsis.export_file import (
    decode_profiles,
    event_records,
    named_identifiers,
    profile_records,
)
from tap_cdp_export.apsis.schemas import EVENTS, PROFILES
from tap_cdp_export.exports.job import ExportRequest
from tap_cdp_export.exports.json_members import runs
from tap_cdp_export.exports.readers import contents
from tap_cdp_export.exports.runner import ExportRunner, Patience
from tap_cdp_export.streams import ExportStream, Feed
from tap_cdp_export.windows import Window, split, time_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_cdp_export.exports.job import ExportJob
    from tap_cdp_export.exports.spool import Spool


class ApsisProfiles(ExportStream):
    """Profiles, one record for each section."""

    name = "apsis_profiles"
    columns: ClassVar[dict[str, Any]] = PROFILES
    primary_keys: ClassVar[tuple[str, ...]] = ("profile_key", "section_id")
    replication_key = "window_end"


class ApsisEvents(ExportStream):
    """Events of the profiles."""

    name = "apsis_events"
    columns: ClassVar[dict[str, Any]] = EVENTS
    holds_everything = False
    primary_keys: ClassVar[tuple[str, ...]] = ("profile_key", "section_id", "event_key")
    replication_key = "window_end"


class ApsisFeed(Feed):
    """Asks for one export a window, and fills both streams from it."""

    def run(self) -> None:
        """Work through the windows from the bookmark to now, closing each before the next."""
        streams = self.selected
        profiles, events = streams.get("apsis_profiles"), streams.get("apsis_events")
        if events and not self.settings["events"]:
            events.log("Setting apsis.events is empty, so there are no events to ask for.")
            events = None
        leader = events or profiles
        if leader is None:
            return
        exporter = self._exporter()
        end = self.end(exporter.check_access())
        runner = ExportRunner(exporter, Patience.from_settings(self.settings), leader.record_job)
        parameters = self._parameters(with_events=events is not None)
        job = leader.job()
        windows = list(self._windows(events, job, end))
        for window in windows:
            request = ExportRequest("APSIS One", parameters, window)
            is_last = window is windows[-1]
            with runner.export(request, job if job and job.window == window else None) as files:
                for file in files:
                    self._emit(file, window, profiles if is_last else None, events)
            for stream in (profiles if is_last else None, events):
                if stream:
                    stream.close_window(window)
            leader.write_state()

    def check_access(self) -> None:
        """Ask for a token."""
        self._exporter().check_access()

    def _exporter(self) -> ApsisExporter:
        return ApsisExporter(self.settings, earliest=self.start_date(), deadline_seconds=self.request_deadline())

    def _parameters(self, *, with_events: bool) -> dict[str, Any]:
        settings = self.settings
        parameters = {name: settings[name] for name in ("attributes", "tags") if settings[name]}
        if with_events:
            parameters["events"] = settings["events"]
        if "segment_filter" in settings:
            parameters["segment_filter"] = settings["segment_filter"]
        return {**parameters, **settings["extra_body"]}

    def _windows(self, events: ExportStream | None, job: ExportJob | None, end: datetime) -> Iterator[Window]:
        """Cut the time from the bookmark to now; a job of an earlier run keeps the window it was asked for with.

        Without events one window is enough: attributes carry no time.
        """
        length = timedelta(days=self.settings["window_days"])
        if not events:
            yield job.window if job and job.window else Window(end - length, end)
            return
        start = self.start_of(events)
        if job and job.window and job.window.start == start and job.window.end <= end:
            yield job.window
            start = job.window.end
        yield from split(Window(start, end), length)

    def _emit(self, file: Spool, window: Window, profiles: ExportStream | None, events: ExportStream | None) -> None:
        own = {"window_start": time_text(window.start), "window_end": time_text(window.end)}
        attribute_ids = named_identifiers(self.settings["attributes"])
        for run in runs(contents(file), FILE, decode_profiles):
            for key, profile in run.items():
                if profiles:
                    for record in profile_records(key, profile, own, attribute_ids):
                        profiles.emit(record)
                if events:
                    for record in event_records(key, profile, own):
                        events.emit(record)
