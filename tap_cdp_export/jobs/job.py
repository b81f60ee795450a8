"""An export job: its request, the reference that finds it again, and its status."""

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
"""Version of a job in STATE; a job with an unknown version is replaced by a new request."""


class ExportStatus(enum.Enum):
    """Status of a job; each vendor maps its responses to these, and any other response is an error."""

    PENDING = enum.auto()
    READY = enum.auto()
    FAILED = enum.auto()
    """The vendor could not create the export; it must be requested again if a second poll says the same."""
    UNAVAILABLE = enum.auto()
    """The vendor cannot tell now; if that lasts for several polls, the export counts as failed."""
    GONE = enum.auto()
    """The job expired or is unknown to the vendor; the export must be requested again."""


@dataclass(frozen=True)
class ExportRequest:
    """The parameters of an export.

    Attributes:
        subject: description for messages.
        parameters: everything that determines the content, except the window.
        window: time window of the records; None for a snapshot.
        streams: streams that the export fills, if a later run may resume in the middle of its files.
        lookback: time before the start of the window that is exported as well.
        origin: what else distinguishes two exports, such as the host, the account and the lookback.
    """

    subject: str
    parameters: Mapping[str, Any]
    window: Window | None = None
    streams: tuple[str, ...] = ()
    lookback: timedelta = timedelta(0)
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """A short hash of the parameters, the streams and the origin.

        The window is not part of it: its end is the current time, and a resumed job keeps its own window
        (docs/reliability.md, section 5).
        """
        return _short_hash(msgspec.json.encode((self.parameters, self.streams, self.origin), order="sorted"))

    @property
    def first_digest(self) -> str:
        """The digest in jobs of version 0: without the origin."""
        return _short_hash(msgspec.json.encode((self.parameters, self.streams), order="sorted"))


@dataclass(frozen=True)
class ExportJob:
    """An export that the vendor has accepted.

    Attributes:
        reference: identifies the job at the vendor; saved in STATE, so it must not contain a secret.
        digest: digest of the request.
        asked_at: when the vendor accepted the request.
        expires_at: when the vendor deletes the job.
        window: window of the request.
        completed_files: hash over the names of the files whose records are all written; empty if there are none.
        secret: a download URL or another reference that is a secret; never saved in STATE.
        version: version of the job in STATE; 0 for jobs that were saved without a version.
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
        """Return whether the job may be resumed for a request: it has the same digest and has not expired."""
        digest = request.digest if self.version else request.first_digest
        return self.digest == digest and self.expires_at > datetime.now(UTC)

    def with_file_done(self, file: str) -> ExportJob:
        """Return a copy with one more completed file, to be saved in STATE.

        Args:
            file: name of the file.
        """
        return replace(self, completed_files=_short_hash(f"{self.completed_files} {file}".encode()))

    def remaining_files(self, files: Sequence[str]) -> Sequence[str]:
        """Return the files that are not completed yet.

        Args:
            files: names of all files, in the order in which they are written.

        Returns:
            The names after the completed ones; all names if a file was added among the completed ones since.
        """
        job = replace(self, completed_files="")
        for number, file in enumerate(files, start=1):
            job = job.with_file_done(file)
            if job.completed_files == self.completed_files:
                return files[number:]
        return files

    def to_state(self) -> dict[str, Any]:
        """Return the job as JSON for STATE, without its secret."""
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
        """Create a job from the JSON that `to_state` returned.

        Args:
            state: the JSON in STATE.

        Returns:
            The job, without its secret.

        Raises:
            ValueError: If the JSON has another form, or an unknown version.
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
