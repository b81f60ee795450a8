"""The command: `tap-cdp-export-duckdb`, or `python -m tap_cdp_export.loader`."""

from __future__ import annotations

import sys

from tap_cdp_export.cli import signals_at_start
from tap_cdp_export.cli.log import leave_out_lines_of_the_sdk
from tap_cdp_export.cli.malloc import write_no_core_file
from tap_cdp_export.errors import SettingsError
from tap_cdp_export.signals import STOP


def main() -> None:
    """Run the command, or say that the extra is missing."""
    signals_at_start.install()
    STOP.limit = signals_at_start.limit
    write_no_core_file()
    try:
        from tap_cdp_export.loader.target import TargetDuckDB  # noqa: PLC0415 -- needs the extra
    except ModuleNotFoundError as error:
        if error.name != "duckdb":
            raise
        sys.stderr.write("The loader needs the package duckdb: install the tap with its extra duckdb.\n")
        sys.exit(SettingsError.exit_code)
    command = TargetDuckDB.cli
    leave_out_lines_of_the_sdk(TargetDuckDB.name)
    command()


if __name__ == "__main__":
    main()
