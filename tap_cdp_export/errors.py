"""Exceptions of a run and their exit codes.

::

    CdpExportError                  1   anything else
    ├── SettingsError              10   settings, catalog or state are invalid
    │   └── RequestRefused         10   the vendor rejects what the settings ask for
    ├── CredentialsRefused         11   the vendor rejects the credentials, or they lack a permission
    ├── UnusableAnswer             12   a response is incomplete or not as documented
    │   └── IncompleteAnswer       12   … its body ends too early (retried)
    ├── VendorUnavailable          13   the vendor cannot be reached or keeps failing
    │   └── ExportsFailed          13   … every attempt at an export fails (a smaller one may succeed)
    ├── QuotaReached               14   a limit of the vendor is exceeded
    ├── DeadlinePassed             15   an export was not ready in time
    └── LocalFailure               16   an error of this machine: disk full, no permission, no more threads
        └── TargetGone             16   … the target has closed the pipe

    Interrupted (BaseException)   128 + signal number

A message says what happened and what to do. It contains no secret, no URL query and no customer data: it is written
where the error is raised, and quotes only those parts of a response body that `http.reasons` returns. Control
characters in names from a vendor, such as object keys of a bucket, are escaped.
"""

from __future__ import annotations

import signal
from typing import Self

from tap_cdp_export.redaction import printable


class CdpExportError(Exception):
    """Base class: a run or a stream failed, for a reason that the message explains to users.

    Attributes:
        status: HTTP status of the response, if there is one.
        reason: the reason quoted from the response, so that a caller can raise an error with another message; may be
            empty.
        streams: names of the streams that are incomplete because of this error.
        others: names of the streams that are incomplete because of other errors, which are logged earlier.
        advice: what to do; appended to the message of every error of the class.
    """

    exit_code = 1
    advice = ""

    def __init__(self, message: str, *, status: int | None = None, reason: str = "") -> None:
        """Create an error.

        Args:
            message: one or two sentences: what happened and what to do.
            status: HTTP status of the response, if there is one.
            reason: the reason quoted from the response, which the message contains too.
        """
        super().__init__(printable(message))
        self.status = status
        self.reason = reason
        self.streams: tuple[str, ...] = ()
        self.others: tuple[str, ...] = ()

    def about(self, vendor: str, what: str) -> Self:
        """Name the request in the message, for errors of modules that know neither vendor nor request.

        Args:
            vendor: name of the vendor.
            what: what was asked for.

        Returns:
            The same error with `vendor, what: ` in front of its message; itself if the message names the vendor.
        """
        message = str(self)
        if vendor in message:
            return self
        return type(self)(f"{vendor}, {what}: {message}", status=self.status, reason=self.reason)


class SettingsError(CdpExportError):
    """Settings, catalog or state are invalid."""

    exit_code = 10


class RequestRefused(SettingsError):
    """The vendor rejects what the settings ask for, such as an unknown dataset or segment."""


class CredentialsRefused(CdpExportError):
    """The vendor rejects the credentials, or they lack a permission."""

    exit_code = 11


class UnusableAnswer(CdpExportError):
    """A response is incomplete or not as documented."""

    exit_code = 12
    advice = " Run again; if it stays so, ask the vendor."


class IncompleteAnswer(UnusableAnswer):
    """The body of a response ends too early or arrives too slowly; a retry may succeed."""


class VendorUnavailable(CdpExportError):
    """The vendor cannot be reached, answers with 5xx, or its exports fail repeatedly."""

    exit_code = 13


class ExportsFailed(VendorUnavailable):
    """Every attempt at one export failed at the vendor; a smaller export may succeed."""


class QuotaReached(CdpExportError):
    """A limit of the vendor is exceeded: requests, pending exports, a busy segment."""

    exit_code = 14


class DeadlinePassed(CdpExportError):
    """An export was not ready, or not read, before its deadline."""

    exit_code = 15


class LocalFailure(CdpExportError):
    """An error of the local machine: disk full, no permission, no more threads or memory."""

    exit_code = 16


class TargetGone(LocalFailure):
    """The target has closed the pipe that the tap writes to."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived; not an `Exception`, so that `except Exception` does not catch it."""

    def __init__(self, signal_number: int) -> None:
        """Create the exception for a signal.

        Args:
            signal_number: number of the signal.
        """
        super().__init__(f"Stopped by {signal.Signals(signal_number).name}.")
        self.exit_code = 128 + signal_number
