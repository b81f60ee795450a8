"""What a vendor declares for the check: its unknown facts, its requests, and the code that compares the two."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_cdp_export.check.facts import Unknown
    from tap_cdp_export.check.observer import Observer


class Ask(Protocol):
    """Asks a vendor, and tells the observer what the answers say."""

    def __call__(self, client: Any, settings: Mapping[str, Any], observer: Observer, /) -> None:  # noqa: ANN401 -- the vendor's
        """Ask; exports only if `observer.may_export`."""


class RecordFact(Protocol):
    """Notes what an answer says about a claim."""

    def __call__(self, name: str, *, holds: bool | None) -> None:
        """Note it; None if the answer does not tell."""


@dataclass(frozen=True)
class VendorCheck:
    """A vendor's part of the check.

    Attributes:
        unknowns: every fact that the vendor's pages mark unknown.
        names: documented names of fields, which may stand in a report; other names are replaced by their form.
        requests: what is asked for, for the announcement; one line each.
        export_requests: what is asked for in addition if one export is allowed.
        ask: sends the requests.
    """

    unknowns: tuple[Unknown, ...] = ()
    names: frozenset[str] = field(default_factory=frozenset)
    requests: tuple[str, ...] = ()
    export_requests: tuple[str, ...] = ()
    ask: Ask = lambda client, settings, observer: None  # noqa: ARG005 -- a vendor that declares nothing
