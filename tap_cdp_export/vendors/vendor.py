"""What a vendor declares.

Settings, their validation, secrets, `--about`, `meltano.yml`, the docs and the tests iterate over these declarations,
so a new vendor is one package that ends in `VENDOR = Vendor(...)`, and one line in `tap.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol

from singer_sdk import typing as th

from tap_cdp_export.check.vendor_check import VendorCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

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
        settings: the object's properties, without `tables`, which every vendor has.
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
    def streams(self) -> dict[str, type[ExportStream]]:
        """All streams of the vendor by name, also those that the settings must ask for."""
        return {_name(stream): stream for _, streams in self.sources for stream in streams}

    @property
    def property(self) -> th.Property[Any]:
        """The vendor's object as a property of the tap's settings."""
        settings = th.ObjectType(*self.settings.wrapped.values(), self._tables(), additional_properties=False)
        return th.Property(self.name, settings, title=self.title, description=self.description)

    def _tables(self) -> th.Property[Any]:
        on_request = [name for name, stream in self.streams.items() if stream.is_on_request]
        return th.Property(
            "tables",
            th.ArrayType(th.StringType),
            default=[],
            title="Tables",
            description="Streams to offer besides those that are always offered, by name or with the wildcards * and "
            f"?: {', '.join(on_request) or 'none yet'}.",
        )

    def offers(self, stream: type[ExportStream], settings: Mapping[str, Any]) -> bool:
        """Return whether the catalog holds a stream.

        Args:
            stream: one of this vendor's.
            settings: the vendor's object.

        Returns:
            False for a stream on request that `tables` does not name.
        """
        return not stream.is_on_request or any(fnmatchcase(_name(stream), pattern) for pattern in settings["tables"])

    def setting_problems(self, settings: Mapping[str, Any]) -> Iterator[str]:
        """Find what the schema cannot express.

        Args:
            settings: the vendor's object, with its defaults.

        Yields:
            One text a problem, without any value.
        """
        yield from self.check_settings(settings)
        for number, pattern in enumerate(settings["tables"]):
            if not any(fnmatchcase(name, pattern) for name in self.streams):
                yield f"setting {self.name}.tables.{number} matches none of the streams {', '.join(self.streams)}"


def _name(stream: type[ExportStream]) -> str:
    return str(stream.name)  # type: ignore[misc]  # declared in the class of every stream of ours
