"""What a vendor declares.

Settings, their validation, secrets, `--about`, `meltano.yml`, the docs and the tests iterate over these declarations,
so a new vendor is one package that ends in `VENDOR = Vendor(...)`, and one line in `tap.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from singer_sdk import typing as th

from tap_cdp_export.check.vendor_check import VendorCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_cdp_export.singer.source import ExportSource
    from tap_cdp_export.singer.stream import ExportStream


class Connect(Protocol):
    """Makes the client that all sources of a vendor share in a run."""

    def __call__(self, settings: Mapping[str, Any], *, deadline_seconds: float) -> Any:  # noqa: ANN401 -- the vendor's
        """Make the client; nothing is sent yet."""


@dataclass(frozen=True)
class Vendor:
    """A vendor whose exports the tap reads.

    Attributes:
        name: key of the vendor's object in the settings; the vendor is on when the object is present.
        title: the vendor's name for people.
        description: of the object, for `--about` and the docs.
        settings: the object's properties.
        check_settings: finds what the schema cannot express; one text a problem, without any value.
        connect: makes the client that all sources of a run share, from the vendor's settings and the seconds that a
            request may take with all its retries.
        sources: each source with the streams that it fills from the same requests.
        check: what `tap-cdp-export-check` asks, and the unknown facts that the answers tell of.
    """

    name: str
    title: str
    description: str
    settings: th.ObjectType
    check_settings: Callable[[Mapping[str, Any]], Iterable[str]]
    connect: Connect
    sources: tuple[tuple[type[ExportSource[Any]], tuple[type[ExportStream], ...]], ...]
    check: VendorCheck = field(default_factory=VendorCheck)

    @property
    def property(self) -> th.Property[Any]:
        """The vendor's object as a property of the tap's settings."""
        return th.Property(self.name, self.settings, title=self.title, description=self.description)
