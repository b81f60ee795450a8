"""The command `tap-cdp-export-duckdb`: settings and command line, as every target of the SDK has them."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities

from tap_cdp_export.cli.command import ReadableSettings, TapCommand
from tap_cdp_export.config.validation import checked
from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.loader.database import opened
from tap_cdp_export.loader.lines import read_lines
from tap_cdp_export.loader.loader import Loader
from tap_cdp_export.loader.table import METADATA
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput


class TargetDuckDB(ReadableSettings, Target):
    """Loads the output of any Singer tap into a DuckDB file, with DuckDB's own JSON reader."""

    name = "tap-cdp-export-duckdb"
    package_name = "tap-cdp-export"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "path",
            th.StringType,
            required=True,
            title="Path",
            description="Database file. It is created if it does not exist, and so is its folder.",
        ),
        th.Property(
            "default_target_schema",
            th.StringType,
            default="main",
            title="Schema",
            description="Schema of the tables. A table has the name of its stream.",
        ),
        th.Property(
            "add_metadata_columns",
            th.BooleanType,
            default=False,
            title="Metadata columns",
            description=f"Add the columns {', '.join(METADATA)}.",
        ),
        th.Property(
            "hard_delete",
            th.BooleanType,
            default=False,
            title="Hard delete",
            description="Delete the rows that ACTIVATE_VERSION or a value of _sdc_deleted_at declares deleted, "
            "instead of marking them in _sdc_deleted_at.",
        ),
        th.Property(
            "batch_size_rows",
            th.IntegerType(minimum=1),
            default=100_000,
            title="Rows a batch",
            description="Records that are loaded in one transaction, at most.",
        ),
        th.Property(
            "remove_batch_files",
            th.BooleanType,
            default=True,
            title="Remove BATCH files",
            description="Delete the files of BATCH messages after their records are committed.",
        ),
        additional_properties=False,
    ).to_dict()
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.BATCH,
        PluginCapabilities.STRUCTURED_LOGGING,
        PluginCapabilities.ACTIVATE_VERSION,
        TargetCapabilities.HARD_DELETE,
        TargetCapabilities.SOFT_DELETE,
    ]

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:  # noqa: ARG002 -- invalid settings always raise
        """Validate the settings; messages show no values."""
        self._config = checked(self._config, self.config_jsonschema)
        return []

    def _setup_signal_handlers(self) -> None:
        STOP.install()

    def load(self, descriptor: int) -> None:
        """Load all messages.

        Args:
            descriptor: of the file or pipe that holds them.

        Raises:
            CdpExportError: If they cannot be loaded.
        """
        if not sys.stdout:
            raise LocalFailure("There is nothing to write states to: stdout is closed.")
        with (
            opened(self.config["path"]) as database,
            open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as output,
        ):
            Loader(database, self.config, output, self.logger).load(read_lines(descriptor))

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add no settings: those that the SDK adds have no effect here.

        Args:
            config_jsonschema: schema of the settings.
        """

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[str] | None = None,
    ) -> None:
        """Load all messages, or print `--about`.

        Args:
            about: print a description of the target and exit.
            about_format: format of the description.
            config: the settings.
            file_input: file with the messages; by default stdin.

        Raises:
            LocalFailure: If there is no stdin.
        """
        super(Target, cls).invoke(about=about, about_format=about_format)
        target = cls(
            config=config.config if config else {},
            parse_env_config=bool(config and config.parse_env),
            setup_mapper=False,
        )
        source = file_input or sys.stdin
        if not source:
            raise LocalFailure("There is nothing to read: stdin is closed.")
        target.load(source.fileno())

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Build the command.

        Returns:
            The command of the SDK, with the exit codes of `tap_cdp_export.errors`.
        """
        return TapCommand.of(super().get_singer_command(), logger=cls.logger)
