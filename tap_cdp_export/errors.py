"""Every way a run can fail, and the exit code that says so.

::

    CdpExportError                  1   anything else
    ├── SettingsError              10   settings, catalog or state are wrong
    │   └── RequestRefused         10   the vendor refuses what the settings ask for
    ├── CredentialsRefused         11   the vendor refuses the credentials or their rights
    ├── UnusableAnswer             12   an answer is not whole, or not as documented
    │   └── IncompleteAnswer       12   … its bytes end too early (worth another try)
    ├── VendorUnavailable          13   the vendor cannot be reached or keeps failing
    │   └── ExportsFailed          13   … it gives up on every export asked for (a smaller one may succeed)
    ├── QuotaReached               14   a limit of the vendor stays reached
    ├── DeadlinePassed             15   an export was not ready in time
    ├── LocalFailure               16   this machine: disk full, no permission
    └── TargetGone                  1   nobody reads the output any more

    Interrupted (BaseException)   128 + signal number

A message says what happened and what to do. It never holds a secret, a URL's query, or a customer's data:
whoever raises one writes the text himself, and of an answer's body quotes nothing but what `reasons` gives. What it
names of the vendor's, such as an object in a bucket, cannot break the line.
"""

from __future__ import annotations

import signal

from tap_cdp_export.redaction import printable


class CdpExportError(Exception):
    """A run, or one stream of it, failed for a reason that a user can understand.

    Attributes:
        status: the HTTP status behind it, if any.
        reason: the vendor's own reason as `reasons` gives it, for whoever says it again in other words; may be empty.
        streams: the streams that are not whole because of it.
        others: streams that are not whole for other reasons, said further up in the log.
        advice: what to do, where the message itself cannot know.
    """

    exit_code = 1
    advice = ""

    def __init__(self, message: str, *, status: int | None = None, reason: str = "") -> None:
        """Say what happened and what to do.

        Args:
            message: one or two sentences.
            status: the HTTP status behind it, for a vendor's client that knows better what it means.
            reason: the vendor's own reason, which the message holds already.
        """
        super().__init__(printable(message))
        self.status = status
        self.reason = reason
        self.streams: tuple[str, ...] = ()
        self.others: tuple[str, ...] = ()


class SettingsError(CdpExportError):
    """Settings, catalog or state are wrong; nothing was asked of a vendor yet."""

    exit_code = 10


class RequestRefused(SettingsError):
    """The vendor refuses what the settings ask for, such as an unknown dataset or segment."""


class CredentialsRefused(CdpExportError):
    """The vendor refuses the credentials, or they lack a right."""

    exit_code = 11


class UnusableAnswer(CdpExportError):
    """An answer is not as documented."""

    exit_code = 12
    advice = " Run again; if it stays so, ask the vendor."


class IncompleteAnswer(UnusableAnswer):
    """The bytes of an answer end too early or trickle: another try may give all of them."""


class VendorUnavailable(CdpExportError):
    """The vendor cannot be reached, answers with 5xx, or its exports fail again and again."""

    exit_code = 13


class ExportsFailed(VendorUnavailable):
    """The vendor gave up on every export of one request; a smaller one may succeed."""


class QuotaReached(CdpExportError):
    """A limit of the vendor stays reached: requests, pending exports, a busy segment."""

    exit_code = 14


class DeadlinePassed(CdpExportError):
    """An export was not ready, or not read, within its time."""

    exit_code = 15


class LocalFailure(CdpExportError):
    """This machine is in the way: disk full, no permission."""

    exit_code = 16


class TargetGone(CdpExportError):
    """Nobody reads the output any more."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived; not an `Exception`, so that nothing takes it for a failure."""

    def __init__(self, signal_number: int) -> None:
        """Remember the signal.

        Args:
            signal_number: the signal that arrived.
        """
        super().__init__(f"Stopped by {signal.Signals(signal_number).name}.")
        self.exit_code = 128 + signal_number
