"""`apsis_profiles` and `apsis_events`: one export a window feeds both."""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from functools import cache, cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from tap_cdp_export.errors import CdpExportError, ExportsFailed, SettingsError
from tap_cdp_export.files.json_chunks import read_verified_chunks
from tap_cdp_export.files.json_container import NoMembers
from tap_cdp_export.jobs.job import ExportRequest
from tap_cdp_export.jobs.runner import REPLACEMENTS, ExportRunner, PollPolicy
from tap_cdp_export.singer.decoding import write_chunks
from tap_cdp_export.singer.parts import Part
from tap_cdp_export.singer.source import ExportSource
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.vendors.apsis.account import ApsisAccount
from tap_cdp_export.vendors.apsis.attribute_columns import AttributeColumns
from tap_cdp_export.vendors.apsis.client import ApsisExporter, TooLarge, request_bounds
from tap_cdp_export.vendors.apsis.export_file import PROFILES as FILE
from tap_cdp_export.vendors.apsis.export_file import KnownIds, named_identifiers
from tap_cdp_export.vendors.apsis.file_decoder import ExportFileDecoder
from tap_cdp_export.vendors.apsis.items import KINDS, Items, check_number, digest, grown, read_items, untouched
from tap_cdp_export.vendors.apsis.schemas import EVENTS, PROFILES
from tap_cdp_export.windows import Window, half_of, split, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.jobs.job import ExportJob
    from tap_cdp_export.vendors.apsis.api import ApsisApi

_LONGEST_UNCUT: Final = timedelta(hours=1)  # halving stops here: it is not the time that makes such an export large
_MOST_FAILURES: Final = 12  # failed exports in a row for one window and its halves


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
    is_full_snapshot = False
    primary_keys: ClassVar[tuple[str, ...]] = ("profile_key", "section_id", "event_key")
    replication_key = "window_end"


class ApsisSource(ExportSource[ApsisAccount]):
    """Requests one export a window, and fills both streams from it."""

    @property
    def api(self) -> ApsisApi:
        """The account's API."""
        return self.client.api

    def schema(self, stream: type[ExportStream]) -> dict[str, Any]:
        """Give a stream's JSON schema; that of the profiles has the columns that the settings add.

        Args:
            stream: one of this source's.

        Returns:
            The schema.
        """
        if stream is not ApsisProfiles:
            return stream.columns
        return {**PROFILES, "properties": {**PROFILES["properties"], **self.attribute_columns.properties}}

    @cached_property
    def attribute_columns(self) -> AttributeColumns:
        """The optional columns, from the definitions as they are now; none if those cannot be read."""
        if self.settings["attribute_columns"]:
            try:
                return AttributeColumns.read(
                    self.client.definitions,
                    attributes=self.items("attributes").identifiers,
                    tags=self.items("tags").identifiers,
                )
            except CdpExportError as error:
                self.discovery_error = error
        return AttributeColumns()

    @cached_property
    def items(self) -> Callable[[str], Items]:
        """What the exports ask for, of a kind; patterns are resolved once a run."""
        return cache(lambda kind: read_items(self.client.definitions, kind, self.settings))

    @property
    def selection(self) -> dict[str, Any]:
        """What tells this selection from a smaller one, fit for STATE."""
        segment_filter = self.settings.get("segment_filter")
        digests: dict[str, Any] = {kind: self.items(kind).digests for kind in KINDS}
        return {**digests, "segment_filter": digest(segment_filter) if segment_filter else None}

    def validate(self) -> None:
        """Check STATE, whether there is anything to export, and whether the first window has a start."""
        super().validate()
        if not self.selected:
            return
        if not (self.settings["attributes"] or self.settings["tags"]):
            raise SettingsError(
                "Setting apsis.attributes or apsis.tags must name at least one: the vendor returns no profile, and so "
                f"no event, without any. Or deselect {' and '.join(self.selected)}: other streams need none."
            )
        for kind in KINDS:
            check_number(kind, untouched(self.settings[kind]))
        events = self.selected.get("apsis_events")
        if events and self.settings["events"]:
            self.start_of(events)

    def parts(self, length: timedelta | None) -> Iterator[Part]:
        """Divide the work on the events by time; profiles come with the last window.

        Args:
            length: of the windows; None for one part, which goes on from its bookmark.

        Yields:
            A part for each window, named by its start, so that the last one can grow.
        """
        events = self.selected.get("apsis_events")
        if length is None or events is None or not self.settings["events"]:
            yield Part("exports", tuple(self.selected))
            return
        span = Window(self.start_of(events), self.end())
        for window in split(span, length):
            streams = tuple(self.selected) if window.end == span.end else (events.name,)
            yield Part(f"from-{window.start:%Y%m%dT%H%M%SZ}", streams, window=window)

    def run(self) -> None:
        """Work through the windows from the bookmark to now, closing each before the next.

        The first window after a bookmark reaches back behind it, for events that could not be exported before; so does
        the first one that is asked for after an export of an earlier run. Where that is too large, what is behind the
        bookmark becomes a window of its own. What is still too large is halved in time and asked for again, and what
        follows it is cut as short. Attributes carry no time: only the last window's profiles are emitted, and without
        events no halving would help.
        """
        streams = self.selected
        profiles, events = streams.get("apsis_profiles"), streams.get("apsis_events")
        if events and not self.settings["events"]:
            events.log("Setting apsis.events is empty, so there are no events to ask for.")
            events = None
        if not (profiles or events):
            return
        self._begin(profiles, events)
        end = self.end(self.api.check_access())
        has_read = self._read(profiles, events, end)
        if events and not has_read:
            events.log("Nothing to ask for: the bookmark has reached end_date.")
            bookmark = profiles.bookmark() if profiles else end
            if bookmark is None or bookmark < end:  # as where the stream was selected later
                self._read(profiles, None, end)

    def _read(self, profiles: ExportStream | None, events: ExportStream | None, end: datetime) -> bool:
        """Read all windows up to `end`; return whether there were any."""
        state_owner = cast("ExportStream", events or profiles)
        exporter = ApsisExporter(self.api, self.settings)
        runner = ExportRunner(exporter, PollPolicy.from_settings(self.settings), state_owner.save_job)
        parameters = self._parameters(with_events=events is not None)
        origin = {**self.api.account, "lookback_minutes": self.settings["lookback_minutes"]}
        job = state_owner.job()
        windows, lookback = self._plan(events, job, end)
        window = next(windows, None)
        has_windows = window is not None
        while window:
            is_last = events is None or window.end >= end
            profiles_now = profiles if is_last else None
            can_cut = events is not None and (window.end - window.start > _LONGEST_UNCUT or bool(lookback))
            request = ExportRequest("APSIS One", parameters, window, lookback=lookback, origin=origin)
            taken_up = job if job and job.window == window else None
            replacements = min(1 if can_cut else REPLACEMENTS, _MOST_FAILURES - 1 - runner.failures)
            try:
                with runner.export(request, taken_up, replacements=replacements) as files:
                    for file in files:
                        self._write(file, window, profiles_now, events)
            except (ExportsFailed, TooLarge, NoMembers) as error:
                state_owner.save_job(None)
                if not can_cut or runner.failures >= _MOST_FAILURES:
                    raise _with_attempts(error, request, runner.failures) from None
                windows, job = _cut(window, windows, lookback), None
                window, lookback = next(windows, None), timedelta(0)
                state_owner.log("%s The window is cut, it may be too large.", error, level=logging.WARNING)
                continue
            before = events.bookmark() if events else None
            self._commit(window, profiles_now, events)
            state_owner.write_state()
            if events and taken_up:
                lookback = self._lookback_behind(taken_up, lookback, is_new=events.bookmark() != before)
            else:
                lookback = timedelta(0)
            window = next(windows, None)
        return has_windows

    def _begin(self, profiles: ExportStream | None, events: ExportStream | None) -> None:
        """Resolve what is asked for; say what a bookmark does not hold, whose windows were asked for without it."""
        self.attribute_columns.attribute_ids |= self.items("attributes").identifiers
        self.attribute_columns.tag_ids |= self.items("tags").identifiers
        if profiles:
            self.attribute_columns.follow(profiles.effective_schema["properties"])
        before = events.remembered("selection") if events and events.bookmark() else None
        if events and before and (new := grown(before, self.selection)):
            events.log(
                "The selection has grown since the bookmark of %s: %s. Events that come with what is new are read "
                "from the bookmark on; for their history, run once without its state (meltano run --full-refresh).",
                events.name,
                ", ".join(new),
                level=logging.WARNING,
            )

    def _commit(self, window: Window, profiles: ExportStream | None, events: ExportStream | None) -> None:
        """Close a window of the streams that it has filled."""
        for stream in (profiles, events):
            if stream:
                stream.commit_window(window)
        if events:
            events.remember("selection", self.selection)

    def check_access(self) -> None:
        """Ask for a token, and make sure that optional columns can be told."""
        self.api.check_access()
        if self.discovery_error:
            raise self.discovery_error

    def _parameters(self, *, with_events: bool) -> dict[str, Any]:
        settings = self.settings
        kinds = KINDS if with_events else ("attributes", "tags")
        parameters: dict[str, Any] = {kind: self.items(kind).requested for kind in kinds if settings[kind]}
        if "segment_filter" in settings:
            parameters["segment_filter"] = settings["segment_filter"]
        return {**parameters, **settings["extra_body"]}

    def _plan(
        self, events: ExportStream | None, job: ExportJob | None, end: datetime
    ) -> tuple[Iterator[Window], timedelta]:
        """Cut the time from the bookmark to now; a job of an earlier run keeps the window it was asked for with.

        Without events one window is enough: attributes carry no time.

        Returns:
            The windows in order, and the lookback of the first one.
        """
        length = timedelta(days=self.settings["window_days"])
        pending = job.window if job else None
        if not events:
            return iter([pending or Window(end - length, end)]), timedelta(0)
        start = self.start_of(events)
        lookback = self._lookback(start) if events.bookmark() == start else timedelta(0)
        windows: Iterator[Window] = split(Window(start, end), length)
        if pending and start - lookback <= pending.start < pending.end <= start:  # a lookback that was cut off
            rest = split(Window(pending.end, start), length)
            return chain([pending], rest, windows), pending.start - (start - lookback)
        if pending and pending.start == start and pending.end <= end:
            return chain([pending], split(Window(pending.end, end), length)), lookback
        return windows, lookback

    def _lookback(self, start: datetime) -> timedelta:
        """Return how far a window reaches back behind its start: never before `start_date`."""
        lookback = timedelta(seconds=math.ceil(self.settings["lookback_minutes"] * 60))
        earliest = self.start_date()
        return min(lookback, start - earliest) if earliest else lookback

    def _lookback_behind(self, job: ExportJob, lookback: timedelta, *, is_new: bool) -> timedelta:
        """Return how far the window behind a resumed export reaches back, for events that came after its request.

        Args:
            job: the export's.
            lookback: of its request.
            is_new: whether it moved the bookmark; one that did not was cut off from a lookback, and is requested again
                only as far as its events were young.
        """
        window = cast("Window", job.window)
        longest = self._lookback(window.end)
        covered = window.end - window.start + lookback
        young = covered if is_new else max(window.end - (job.asked_at - longest), timedelta(0))
        return min(longest, covered, young)

    def _write(self, file: Spool, window: Window, profiles: ExportStream | None, events: ExportStream | None) -> None:
        """Write the records of a file."""
        columns = self.attribute_columns
        decoder = ExportFileDecoder(
            {"window_start": time_text(window.start), "window_end": time_text(window.end)},
            columns,
            KnownIds(
                named_identifiers(self.settings["attributes"]) | columns.attribute_ids,
                named_identifiers(self.settings["tags"]) | columns.tag_ids,
            ),
            with_profiles=bool(profiles),
            with_events=bool(events),
        )
        streams = [stream for stream in (profiles, events) if stream]
        with self.writing("APSIS One", file, streams=streams):
            write_chunks(decoder.decode, read_verified_chunks(file, FILE), *streams)


def _with_attempts(
    error: ExportsFailed | TooLarge | NoMembers, request: ExportRequest, failures: int
) -> ExportsFailed | TooLarge | NoMembers:
    """Say in the last error of a window what was tried."""
    start, end = request_bounds(request)
    which = f"The last of {failures} exports that failed in a row" if failures > 1 else "The export"
    return type(error)(
        f"{error} {which} was asked for from {start} to {end}.", status=error.status, reason=error.reason
    )


def _cut(window: Window, others: Iterator[Window], lookback: timedelta) -> Iterator[Window]:
    """Cut a window's lookback off, or a window without one and those behind it into pieces of half its length."""
    if lookback:
        return chain([Window(window.start - lookback, window.start), window], others)
    length = half_of(window)
    return chain.from_iterable(split(each, length) for each in chain([window], others))
