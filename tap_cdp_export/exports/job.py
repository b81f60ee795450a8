"""An export job: what was asked for, where to look for it, and how it stands."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import msgspec

from tap_cdp_export.windows import Window, parse_time, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


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
        window: the window, as the records will show it; None for a snapshot.
    """

    subject: str
    parameters: Mapping[str, Any]
    window: Window | None = None

    @property
    def digest(self) -> str:
        """A short text that changes when the parameters do.

        The window is left out: its end moves with the clock, and a job keeps its own (research: reliability, 3.4).
        """
        return hashlib.sha256(msgspec.json.encode(self.parameters, order="sorted")).hexdigest()[:16]


@dataclass(frozen=True)
class ExportJob:
    """One export that a vendor has accepted.

    Attributes:
        handle: what finds it again; goes into STATE, so it holds no secret.
        digest: of the request's parameters.
        asked_at: when the vendor accepted it.
        expires_at: when the vendor forgets it.
        window: of the request.
        secret: what finds it too, but is a secret: lives and dies with the process.
    """

    handle: Mapping[str, str]
    digest: str
    asked_at: datetime
    expires_at: datetime
    window: Window | None = None
    secret: str | None = field(default=None, repr=False)

    def to_state(self) -> dict[str, Any]:
        """Give the form that STATE keeps.

        Returns:
            JSON without a secret.
        """
        state: dict[str, Any] = {
            "handle": dict(self.handle),
            "digest": self.digest,
            "asked_at": time_text(self.asked_at),
            "expires_at": time_text(self.expires_at),
        }
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
            ValueError: If it has another shape.
        """
        try:
            window = None
            if "window_start" in state:
                window = Window(parse_time(state["window_start"]), parse_time(state["window_end"]))
            return cls(
                handle={str(key): str(value) for key, value in state["handle"].items()},
                digest=str(state["digest"]),
                asked_at=parse_time(state["asked_at"]),
                expires_at=parse_time(state["expires_at"]),
                window=window,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not an export job") from error
