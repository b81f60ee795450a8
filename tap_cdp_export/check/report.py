"""The report of the check: a JSON object fit to be attached to an issue, and a table for people.

Both are made of fixed texts, numbers, and what `check.shapes` lets through; see docs/first-contact.md.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from tap_cdp_export.check.facts import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_cdp_export.check.observer import Observer
    from tap_cdp_export.check.vendor_check import VendorCheck

FORMAT: Final = 1
_PACKAGE: Final = "tap-cdp-export"
_RIGHTS: Final = {True: "granted", False: "refused", None: "not told"}


@dataclass(frozen=True)
class VendorResult:
    """What the check found at one vendor.

    Attributes:
        name: of the vendor.
        check: what it declares.
        observer: what its answers say.
        is_reached: whether it has answered at all.
        failure: name of the error that ended the requests; empty if there was none.
        exit_code: of that error, else 0.
    """

    name: str
    check: VendorCheck
    observer: Observer
    is_reached: bool
    failure: str = ""
    exit_code: int = 0


def report(results: Iterable[VendorResult]) -> dict[str, Any]:
    """Build the report.

    Args:
        results: one for each vendor that is configured.

    Returns:
        A JSON object without any value, name, address or secret of the account.
    """
    return {
        "format": FORMAT,
        "version": version(_PACKAGE),
        "python": platform.python_version(),
        "vendors": {result.name: _vendor(result) for result in results},
    }


def _vendor(result: VendorResult) -> dict[str, Any]:
    observer = result.observer
    return {
        "reached": result.is_reached,
        "failure": result.failure,
        "exit_code": result.exit_code,
        "exports": observer.exports,
        "rights": {name: _RIGHTS[granted] for name, granted in observer.rights.items()},
        "facts": {
            unknown.id: {
                "claim": unknown.claim,
                "outcome": observer.outcome(unknown.id),
                **({"takes": unknown.takes} if unknown.takes else {}),
            }
            for unknown in result.check.unknowns
        },
        "requests": observer.requests,
    }


def table(results: Iterable[VendorResult]) -> Iterator[str]:
    """Describe the results for people.

    Args:
        results: one for each vendor that is configured.

    Yields:
        Lines.
    """
    for result in results:
        observer = result.observer
        answered = "reached" if result.is_reached else "not reached"
        reason = f", but see the log (exit {result.exit_code})" if result.failure else ""
        yield f"{result.name}: {answered}{reason}; requests: {len(observer.requests)}, exports: {observer.exports}"
        for name, granted in observer.rights.items():
            yield f"  right       {name}: {_RIGHTS[granted]}"
        unknowns = result.check.unknowns
        for outcome in (Outcome.REFUTED, Outcome.CONFIRMED):
            for unknown in unknowns:
                if observer.outcome(unknown.id) is outcome:
                    yield f"  {outcome:<11} {unknown.id}: {unknown.claim}"
        open_ones = [unknown for unknown in unknowns if observer.outcome(unknown.id) is Outcome.OPEN]
        tellable = [unknown for unknown in open_ones if not unknown.takes]
        for unknown in tellable:
            yield f"  {Outcome.OPEN:<11} {unknown.id}: {unknown.claim}"
        if others := len(open_ones) - len(tellable):
            yield f"  {others} more facts no request of this check can tell; the report says what each takes"
