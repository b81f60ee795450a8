"""One pass over a vendor's exports, which fills one or more streams."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tap_cdp_export.errors import CdpExportError, LocalFailure, SettingsError
from tap_cdp_export.files.activity import ACTIVITY
from tap_cdp_export.singer.parts import Part
from tap_cdp_export.windows import duration_text, parse_time, whole_second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tap_cdp_export.files.spool import Spool
    from tap_cdp_export.singer.stream import ExportStream

logger = logging.getLogger(__name__)

Client = TypeVar("Client")


class ExportSource(ABC, Generic[Client]):
    """Reads one kind of export of a vendor, for all the streams that are filled from it.

    Attributes:
        streams: the streams that it fills; the tap adds them.
        client: what the vendor's sources of a run share (its API, its token).
        config: all settings.
        vendor: key of the vendor's settings.
        settings: the vendor's settings.
        errors: the run's errors so far; a source that fails adds its error, and the other sources still run.
        discovery_error: why the columns of a stream could not be found out; ends a discovery, and fails a sync.
    """

    discovery_error: CdpExportError | None = None

    def __init__(self, client: Client, config: Mapping[str, Any], vendor: str, errors: list[CdpExportError]) -> None:
        """Take the settings; nothing is sent yet.

        Args:
            client: what the vendor's sources of a run share.
            config: all settings, with their defaults.
            vendor: key of the vendor's settings.
            errors: where the source adds its error if it fails.
        """
        self.streams: list[ExportStream] = []
        self.client = client
        self.config = config
        self.vendor = vendor
        self.settings: Mapping[str, Any] = config[vendor]
        self.errors = errors
        self._started = False

    @property
    def selected(self) -> dict[str, ExportStream]:
        """The selected streams by name."""
        return {stream.name: stream for stream in self.streams if stream.selected}

    def schema(self, stream: type[ExportStream]) -> dict[str, Any]:
        """Give a stream's JSON schema; a subclass may ask the vendor for columns that the settings add.

        Args:
            stream: one of this source's.

        Returns:
            The schema.
        """
        return stream.columns

    def sync(self) -> None:
        """Fill all selected streams, when the first of them has its turn.

        An error ends this source only and is kept for the end of the run: the other sources still run.

        Raises:
            LocalFailure: If this machine fails or the target has closed the pipe, which would fail every source.
        """
        if self._started:
            return
        self._started = True
        with self.recording_failures():
            if self.discovery_error:
                raise self.discovery_error
            with ExitStack() as frames:
                for stream in self.selected.values():
                    frames.enter_context(stream.emitting())
                self.run()

    @contextmanager
    def recording_failures(self) -> Iterator[None]:
        """Note a failure of what happens inside, and log it; the reason of the first one ends the log.

        Yields:
            Nothing.

        Raises:
            LocalFailure: If this machine fails or the target has closed the pipe, which would fail every source.
        """
        try:
            yield
        except CdpExportError as error:
            error.streams = tuple(self.selected)
            if isinstance(error, LocalFailure):
                raise
            if self.errors:
                logger.error("%s failed: %s", ", ".join(self.selected), error)  # noqa: TRY400 -- the text is made for users
            elif self._started:
                logger.error("%s failed; the last line says why.", ", ".join(self.selected))  # noqa: TRY400 -- as above
            self.errors.append(error)

    @contextmanager
    def writing(
        self,
        subject: str,
        file: Spool | None = None,
        detail: Callable[[], str] = str,
        *,
        streams: Sequence[ExportStream],
    ) -> Iterator[None]:
        """Let progress be reported while records are read and written, and log how many there were.

        Args:
            subject: what is read, such as an export or a dataset, for the log.
            file: the file that is read from its beginning to its end, if it is one.
            detail: returns how far it is, such as "12 pages"; called in another thread.
            streams: the streams that are filled.

        Yields:
            Nothing.
        """
        before, began = sum(stream.tally.records for stream in streams), time.monotonic()
        with ACTIVITY.during("reading", file, detail):
            yield
        records, seconds = sum(stream.tally.records for stream in streams) - before, time.monotonic() - began
        logger.info(
            "%s: %s%s records in %s%s.",
            subject,
            f"{known}, " if (known := detail()) else "",
            f"{records:,}",
            duration_text(seconds),
            f", {records / max(seconds, 0.001):,.0f} a second" if records else "",
        )

    def validate(self) -> None:
        """Check what the settings and STATE hold for the selected streams, before anything is asked of any vendor.

        Raises:
            SettingsError: If they are wrong.
        """
        for stream in self.selected.values():
            stream.check()

    def parts(self, length: timedelta | None) -> Iterable[Part]:  # noqa: ARG002 -- for sources that read by windows
        """Divide the work on the selected streams, of which there is at least one.

        Args:
            length: of the windows, where the work can be divided by time; None for no such division.

        Returns:
            Parts in the order of a single run; here the work is not divided.
        """
        return (Part("tables", tuple(self.selected)),)

    @abstractmethod
    def run(self) -> None:
        """Read everything that is new, emit it, and close window after window."""

    @abstractmethod
    def check_access(self) -> None:
        """Check the credentials with a request that starts no export."""

    def start_of(self, stream: ExportStream) -> datetime:
        """Return where a stream's first window starts.

        Args:
            stream: a stream of this source.

        Returns:
            Its bookmark, or `start_date` where that is later or there is no bookmark.

        Raises:
            SettingsError: If there is neither.
        """
        times = [time for time in (stream.bookmark(), self.start_date()) if time]
        if not times:
            raise SettingsError(f"Setting start_date is missing: {stream.name} needs it on its first run.")
        return max(times)

    def start_date(self) -> datetime | None:
        """Read `start_date`.

        Returns:
            The time in whole seconds, or None.
        """
        text = self.config.get("start_date")
        return whole_second(parse_time(text)) if text else None

    def end(self, clock_lead: timedelta = timedelta(0)) -> datetime:
        """Return where the last window ends: at `end_date`, but never in the future, where data is still to come.

        Args:
            clock_lead: how far this machine's clock is ahead of the vendor's.

        Returns:
            The time in whole seconds.
        """
        now = datetime.now(UTC) - clock_lead
        text = self.config.get("end_date")
        return whole_second(min(parse_time(text), now) if text else now)

    def request_deadline(self) -> float:
        """Read `request_deadline_seconds`.

        Returns:
            Seconds.
        """
        return float(self.config["request_deadline_seconds"])
