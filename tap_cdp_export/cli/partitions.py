"""The command `tap-cdp-export-partitions`: list the pieces of work that can run on their own, one JSON line each."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

import click

from tap_cdp_export.cli.command import TapCommand, json_document, readable
from tap_cdp_export.cli.malloc import write_no_core_file
from tap_cdp_export.errors import SettingsError
from tap_cdp_export.singer.catalog import read_catalog
from tap_cdp_export.tap import TapCDPExport
from tap_cdp_export.windows import time_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from singer_sdk.plugin_base import _ConfigInput
    from singer_sdk.singerlib import Catalog

    from tap_cdp_export.singer.parts import Part
    from tap_cdp_export.singer.source import ExportSource

_PREFIX: Final = "TAP_CDP_EXPORT_"  # of the environment variables in which Meltano takes settings
_UNITS: Final = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes"}
_LENGTH: Final = re.compile(r"([1-9]\d{0,5})([wdhm])")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_ID: Final = 100  # Meltano names folders after it, with a prefix of the caller's


@dataclass
class Partition:
    """A piece of work that can run on its own.

    Attributes:
        id: the same in every listing; fit for a Meltano state ID and for names of files.
        vendor: key of the vendor's settings.
        streams: what it fills; other streams must not be selected.
        settings: to merge deeply into the settings.
    """

    id: str
    vendor: str
    streams: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Write it as one line of JSON.

        Returns:
            The fields, and `env`: streams and settings as environment variables of Meltano.
        """
        variables = {f"{_PREFIX}_SELECT_FILTER": json.dumps(self.streams), **dict(_variables(_PREFIX, self.settings))}
        return json.dumps({**asdict(self), "env": variables})


class Partitions:
    """The partitions of one tap.

    Attributes:
        tap_class: the tap whose vendors divide their work.
    """

    tap_class: ClassVar[type[TapCDPExport]] = TapCDPExport

    def find(
        self, config: Mapping[str, Any], length: timedelta | None, catalog: Catalog | None = None, *, parse_env: bool
    ) -> list[Partition]:
        """Divide the work of a run.

        Args:
            config: settings of the tap, `start_date` and `end_date` as the partitions shall have them.
            length: of the windows, where work can be divided by time; None for no such division.
            catalog: selects streams; None for all.
            parse_env: whether settings are read from environment variables too.

        Returns:
            The partitions, in the order of a single run.
        """
        now = {"end_date": time_text(datetime.now(UTC))} if length else {}  # the same for all, whenever they run
        tap = self.tap_class(config={**now, **config}, catalog=catalog, parse_env_config=parse_env, setup_mapper=False)
        selected = {name for name, stream in tap.streams.items() if stream.selected}
        sources = [source for source in tap.sources if selected & source.selected.keys()]
        for source in sources:
            source.validate()
        dates = {name: tap.config[name] for name in ("start_date", "end_date") if name in tap.config}
        if length and sources:
            dates["end_date"] = time_text(sources[0].end())
        partitions: dict[tuple[str, str], Partition] = {}
        for source in sources:
            for part in source.parts(length):
                _add(partitions, source, part, dates)
        if tap.config["emit_activate_version_messages"]:
            _keep_rows_of_others(partitions.values())
        return list(partitions.values())


def _add(
    partitions: dict[tuple[str, str], Partition], source: ExportSource[Any], part: Part, dates: Mapping[str, str]
) -> None:
    """Add a part to the partition of its name."""
    vendor = source.vendor
    key = (vendor, part.name)
    if key not in partitions:
        partitions[key] = Partition(_state_id(f"{vendor}.{part.name}"), vendor)
    partition = partitions[key]
    partition.streams += part.streams
    partition.settings |= dates
    if part.window:
        partition.settings["start_date"] = time_text(part.window.start)
        partition.settings["end_date"] = time_text(part.window.end)
    if part.settings:
        partition.settings[vendor] = {**partition.settings.get(vendor, {}), **part.settings}


def _keep_rows_of_others(partitions: Collection[Partition]) -> None:
    """Turn ACTIVATE_VERSION off where it would drop the rows of another partition from a table."""
    counts = Counter(stream for partition in partitions for stream in partition.streams)
    for partition in partitions:
        if any(counts[stream] > 1 for stream in partition.streams):
            partition.settings["emit_activate_version_messages"] = False


def _state_id(name: str) -> str:
    """Make a name fit for a state ID; a digest tells apart what would become the same."""
    safe = _UNSAFE.sub("_", name)
    if safe == name and len(name) <= _LONGEST_ID:
        return name
    return f"{safe[:_LONGEST_ID]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _variables(prefix: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give settings as Meltano takes them: a variable for each, and JSON for what is no text."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _variables(f"{prefix}{name.upper()}_", value)
        else:
            yield f"{prefix}{name.upper()}", value if isinstance(value, str) else json.dumps(value)


def _length(_context: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    """Parse `7d`, `12h` and the like."""
    if text is None:
        return None
    match = _LENGTH.fullmatch(text)
    if not match:
        raise SettingsError("Option --every must be a whole number of weeks, days, hours or minutes: 1w, 7d, 12h, 30m.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command(
    name="tap-cdp-export-partitions",
    help="Print one JSON line for each piece of work that can run on its own: id, vendor, streams, settings, env. "
    "Together they read what a single run reads.",
)
@click.option(
    "--config",
    multiple=True,
    callback=TapCDPExport.cb_config,
    help="Settings file; ENV also reads the environment. May be given several times.",
)
@click.option("--catalog", type=click.File(), help="Catalog file; streams that it does not select are left out.")
@click.option("--start", help="Start of the first window, in place of the setting start_date.")
@click.option("--end", help="End of the last window, in place of the setting end_date.")
@click.option(
    "--every",
    callback=_length,
    metavar="LENGTH",
    help="Divide what can be read by time into windows of this length, such as 7d or 12h.",
)
@click.version_option(package_name="tap-cdp-export")
def _command(
    config: _ConfigInput | None, catalog: IO[str] | None, start: str | None, end: str | None, every: timedelta | None
) -> None:
    settings = dict(config.config) if config else {}
    settings |= {name: time for name, time in (("start_date", start), ("end_date", end)) if time}
    with readable("catalog"):
        selection = read_catalog(json_document(catalog.read())) if catalog else None
    for partition in Partitions().find(settings, every, selection, parse_env=bool(config and config.parse_env)):
        click.echo(partition.line())


command = TapCommand.of(_command, logger=TapCDPExport.logger)
"""The command with the exit codes of the tap."""


def main() -> None:
    """Run the command; its log is on stderr, the partitions on stdout."""
    write_no_core_file()
    logging.basicConfig(format="%(levelname)-8s | %(message)s", level=logging.WARNING)
    command()


if __name__ == "__main__":
    main()
