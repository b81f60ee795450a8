"""An export job: what was asked for, where to look for it, and how it stands."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from tap_cdp_export.windows import Window, parse_time, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_VERSION: Final = 1
"""Of a job in STATE; a reader that does not know it asks for the export anew."""


class ExportStatus(enum.Enum):
    """How a job stands; a vendor's table maps its answers to these, and any other answer is an error."""

    PENDING = enum.auto()
    READY = enum.auto()
    FAILED = enum.auto()
    """The vendor gave up on it: only a new request helps."""
    GONE = enum.auto()
    """Expired or unknown to the vendor: only a new request helps."""


@dataclass(frozen=True)
class ExportRequest:
    """What an export is asked for with.

    Attributes:
        subject: what it exports, in a few words for a message.
        parameters: everything that decides its content, the window aside.
        origin: whom it is asked of, and what else tells one export from another beside the parameters: the host, the
            account, the lookback.
        window: the window, as the records will show it; None for a snapshot.
        lookback: how far it reaches back behind the window's start.
        streams: which streams it fills, where a later run may go on in the middle of its files.
    """

    subject: str
    parameters: Mapping[str, Any]
    window: Window | None = None
    streams: tuple[str, ...] = ()
    lookback: timedelta = timedelta(0)
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """A short text that changes when the parameters, the streams or the origin do.

        The window is left out: its end moves with the clock, and a job keeps its own (docs/reliability.md, section 5).
        """
        return _short_hash(msgspec.json.encode((self.parameters, self.streams, self.origin), order="sorted"))

    @property
    def first_digest(self) -> str:
        """The same as jobs without a version have it: without the origin."""
        return _short_hash(msgspec.json.encode((self.parameters, self.streams), order="sorted"))


@dataclass(frozen=True)
class ExportJob:
    """One export that a vendor has accepted.

    Attributes:
        reference: what finds it again; goes into STATE, so it holds no secret.
        digest: of the request's parameters.
        asked_at: when the vendor accepted it.
        expires_at: when the vendor forgets it.
        window: of the request.
        completed_files: a hash over the names of the files whose every record is written; empty if there is none.
        secret: what finds it too, but is a secret: lives and dies with the process.
        version: of the form in STATE that it came from; 0 is the first one, which did not say.
    """

    reference: Mapping[str, str]
    digest: str
    asked_at: datetime
    expires_at: datetime
    window: Window | None = None
    completed_files: str = ""
    secret: str | None = field(default=None, repr=False)
    version: int = _VERSION

    def matches(self, request: ExportRequest) -> bool:
        """Tell whether it may be taken up for a request: asked for in the same way, and not forgotten yet.

        Args:
            request: the request.

        Returns:
            Whether its files answer the request.
        """
        digest = request.digest if self.version else request.first_digest
        return self.digest == digest and self.expires_at > datetime.now(UTC)

    def with_file_done(self, file: str) -> ExportJob:
        """Give the job as it stands when one more file is written.

        Args:
            file: the file's name.

        Returns:
            The job, to be put into STATE.
        """
        return replace(self, completed_files=_short_hash(f"{self.completed_files} {file}".encode()))

    def remaining_files(self, files: Sequence[str]) -> Sequence[str]:
        """Leave out the files that are written already.

        Args:
            files: names of all files, in the order in which they are written.

        Returns:
            Those behind the written ones; all of them if a file has come in between since.
        """
        job = replace(self, completed_files="")
        for number, file in enumerate(files, start=1):
            job = job.with_file_done(file)
            if job.completed_files == self.completed_files:
                return files[number:]
        return files

    def to_state(self) -> dict[str, Any]:
        """Give the form that STATE keeps.

        Returns:
            JSON without a secret.
        """
        state: dict[str, Any] = {} if not self.version else {"version": self.version}
        state |= {
            "handle": dict(self.reference),
            "digest": self.digest,
            "asked_at": time_text(self.asked_at),
            "expires_at": time_text(self.expires_at),
        }
        if self.completed_files:
            state["emitted"] = self.completed_files
        if self.window:
            state |= {"window_start": time_text(self.window.start), "window_end": time_text(self.window.end)}
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Read what `to_state` gave.

        Args:
            state: from STATE.

        Returns:
            The job, without its secret.

        Raises:
            ValueError: If it has another shape, or is of a version to come.
        """
        try:
            version = state.get("version", 0)
            if version not in range(_VERSION + 1):
                raise ValueError("an export job of another version")
            window = None
            if "window_start" in state:
                window = Window(parse_time(state["window_start"]), parse_time(state["window_end"]))
            return cls(
                reference={str(key): str(value) for key, value in state["handle"].items()},
                digest=str(state["digest"]),
                asked_at=parse_time(state["asked_at"]),
                expires_at=parse_time(state["expires_at"]),
                window=window,
                completed_files=str(state.get("emitted", "")),
                version=int(version),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not an export job") from error


def _short_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
