"""The command `tap-cdp-export-check`: reach each configured vendor, and bring back which guesses hold."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from tap_cdp_export.check.observer import Observer
from tap_cdp_export.check.report import VendorResult, report, table
from tap_cdp_export.cli.command import TapCommand
from tap_cdp_export.cli.malloc import write_no_core_file
from tap_cdp_export.errors import CdpExportError, LocalFailure
from tap_cdp_export.tap import TapCDPExport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_sdk.plugin_base import _ConfigInput

    from tap_cdp_export.vendors.vendor import Vendor

_DEADLINE_SECONDS = 60.0


class FirstContact:
    """The check of one tap's vendors.

    Attributes:
        tap_class: the tap whose vendors and settings are checked.
    """

    tap_class: ClassVar[type[TapCDPExport]] = TapCDPExport

    def run(self, config: dict[str, Any], *, parse_env: bool, may_export: bool, report_file: Path | None) -> None:
        """Ask each configured vendor, print the table, and write the report.

        Args:
            config: settings of the tap.
            parse_env: whether settings are read from environment variables too.
            may_export: whether one export a vendor is allowed.
            report_file: where the report goes; None for no report.

        Raises:
            CdpExportError: The first reason why a vendor could not be asked to the end, after all vendors.
        """
        tap = self.tap_class(config=config, parse_env_config=parse_env, setup_mapper=False)
        vendors = [vendor for vendor in tap.vendors if vendor.name in tap.config]
        self._announce(vendors, may_export=may_export)
        errors: list[CdpExportError] = []
        results = [self._ask(tap, vendor, errors, may_export=may_export) for vendor in vendors]
        for line in table(results):
            click.echo(line)
        if report_file:
            _write(report_file, report(results))
        if errors:
            errors[0].others = tuple(name for error in errors[1:] for name in error.streams)
            raise errors[0]

    def _announce(self, vendors: Sequence[Vendor], *, may_export: bool) -> None:
        for vendor in vendors:
            click.echo(f"{vendor.name} will be asked for:")
            for line in vendor.check.requests:
                click.echo(f"  {line}")
            for line in vendor.check.export_requests if may_export else ():
                click.echo(f"  with --export: {line}")
            if vendor.check.export_requests and not may_export:
                click.echo("  no export; --export allows one")
        sys.stdout.flush()

    def _ask(
        self, tap: TapCDPExport, vendor: Vendor, errors: list[CdpExportError], *, may_export: bool
    ) -> VendorResult:
        """Ask one vendor; an error of it is kept and does not stop the others."""
        observer = Observer(vendor.check.unknowns, vendor.check.names, may_export=may_export)
        settings = tap.config[vendor.name]
        deadline = min(float(tap.config["request_deadline_seconds"]), _DEADLINE_SECONDS)
        try:
            client = vendor.connect(settings, deadline_seconds=deadline)
            vendor.check.ask(client, settings, observer)
        except CdpExportError as error:
            error.streams = (vendor.name,)
            if errors:  # the first one is the last line of the log
                tap.logger.error("%s: %s (exit %d)", vendor.name, error, error.exit_code)  # noqa: TRY400 -- no traceback
            errors.append(error)
            is_reached = observer.has_answer or error.status is not None
            return VendorResult(vendor.name, vendor.check, observer, is_reached, type(error).__name__, error.exit_code)
        return VendorResult(vendor.name, vendor.check, observer, observer.has_answer)


def _write(path: Path, content: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise LocalFailure(f"The report cannot be written: {error.strerror}.") from None


@click.command(
    name="tap-cdp-export-check",
    help="Ask each configured vendor for a little, without an export unless --export is given, and say which "
    "permissions its key has, and which unknown facts the answers confirm or refute.",
)
@click.option(
    "--config",
    multiple=True,
    callback=TapCDPExport.cb_config,
    help="Settings file; ENV also reads the environment. May be given several times.",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this JSON file: statuses, names, types and times, but no value of the account.",
)
@click.option("--export", "may_export", is_flag=True, help="Allow one small export of each vendor.")
@click.version_option(package_name="tap-cdp-export")
def _command(config: _ConfigInput | None, report_file: Path | None, *, may_export: bool) -> None:
    FirstContact().run(
        config.config if config else {},
        parse_env=bool(config and config.parse_env),
        may_export=may_export,
        report_file=report_file,
    )


command = TapCommand.of(_command, logger=TapCDPExport.logger)
"""The command with the exit codes of the tap."""


def main() -> None:
    """Run the command; its log is on stderr, the table on stdout."""
    write_no_core_file()
    logging.basicConfig(format="%(levelname)-8s | %(message)s", level=logging.WARNING)
    logging.getLogger("tap_cdp_export").setLevel(logging.INFO)  # one line for each request shows progress
    command()


if __name__ == "__main__":
    main()
