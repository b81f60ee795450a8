"""The tap: settings, discovery, and the order of a run."""

from __future__ import annotations

import logging
import sys
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

from singer_sdk import Tap
from singer_sdk.cli import plugin_cli
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import _plugin_log_level
from singer_sdk.singerlib import Catalog

from tap_cdp_export.cli.command import ReadableSettings, TapCommand, checked_log_settings, json_document, readable
from tap_cdp_export.cli.log import leave_out_lines_of_the_sdk
from tap_cdp_export.config.environment import settings_in_environment
from tap_cdp_export.config.settings import settings_schema
from tap_cdp_export.config.validation import complete
from tap_cdp_export.errors import CdpExportError, Interrupted, SettingsError, TargetGone
from tap_cdp_export.redaction import REDACTOR, secret_values
from tap_cdp_export.signals import STOP
from tap_cdp_export.singer.batch_files import check_storage, stays_below_root
from tap_cdp_export.singer.catalog import read_catalog
from tap_cdp_export.singer.progress import Progress
from tap_cdp_export.singer.state import readable_bookmarks, state_in
from tap_cdp_export.singer.stream_maps import StreamMaps
from tap_cdp_export.singer.writer import LineWriter
from tap_cdp_export.vendors import apsis, braze, personalization

if TYPE_CHECKING:
    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput

    from tap_cdp_export.singer.source import ExportSource
    from tap_cdp_export.singer.stream import ExportStream
    from tap_cdp_export.vendors.vendor import Vendor

logger = logging.getLogger(__name__)

_TEST_DEADLINE_SECONDS: Final = 15
VENDORS: Final[tuple[Vendor, ...]] = (personalization.VENDOR, apsis.VENDOR, braze.VENDOR)


class TapCDPExport(ReadableSettings, Tap):
    """Exports of Salesforce Marketing Cloud Personalization, APSIS One and Braze."""

    name = "tap-cdp-export"
    vendors: ClassVar[tuple[Vendor, ...]] = VENDORS
    config_jsonschema: ClassVar[dict[str, Any]] = settings_schema(vendor.property for vendor in VENDORS)
    dynamic_catalog = True  # --discover then validates the settings too
    message_writer_class = LineWriter
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        TapCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.BATCH,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 -- keyword arguments of the SDK
        """Create a tap.

        Args:
            options: keyword arguments of `singer_sdk.Tap`.
        """
        self.errors: list[CdpExportError] = []
        self.sources: list[ExportSource[Any]] = []
        super().__init__(**options)

    def discover_streams(self) -> list[ExportStream]:
        """Create the sources and streams of every configured vendor.

        Returns:
            The streams; those that read the same export share a source.
        """
        self.sources = []
        streams: list[ExportStream] = []
        deadline = float(self.config["request_deadline_seconds"])
        for vendor in self.vendors:
            if vendor.name in self.config:
                client = vendor.connect(self.config[vendor.name], deadline_seconds=deadline)
                for source_class, stream_classes in vendor.sources:
                    offered = [stream for stream in stream_classes if vendor.offers(stream, self.config[vendor.name])]
                    if not offered:
                        continue
                    source = source_class(client, self.config, vendor.name, self.errors)
                    source.streams += [stream(self, source, source.schema(stream)) for stream in offered]
                    self.sources.append(source)
                    streams += source.streams
        return streams

    def run_discovery(self) -> str:
        """Print the catalog.

        Returns:
            The catalog as JSON text.

        Raises:
            CdpExportError: If the columns of a stream could not be discovered.
        """
        _ = self.streams  # creates the sources, which the command has not done yet
        for source in self.sources:
            if source.discovery_error:
                raise source.discovery_error
        return super().run_discovery()

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:  # noqa: ARG002 -- invalid settings always raise
        """Add the secrets to the redactor, then validate the settings; messages show no values."""
        REDACTOR.add_secrets(secret_values(self._config, self.config_jsonschema))
        REDACTOR.install()
        self.append_builtin_config(self.config_jsonschema)
        config = dict(self._config)
        if config.get("sandbox") is True:
            from tap_cdp_export.config.sandbox import with_sandbox  # noqa: PLC0415 -- the server is slow to import

            config = with_sandbox(config, self.config_jsonschema)
        checks = {vendor.name: vendor.setting_problems for vendor in self.vendors}
        self._config = complete(config, self.config_jsonschema, checks)
        return []

    @property
    def _env_var_config(self) -> dict[str, Any]:
        self.append_builtin_config(self.config_jsonschema)
        return settings_in_environment(self.config_jsonschema, self._env_var_prefix)

    def load_state(self, state: dict[str, Any]) -> None:
        """Load the state of an earlier run.

        Args:
            state: see `state_in`.
        """
        super().load_state(readable_bookmarks(state_in(state)))

    def run(self) -> None:
        """Sync all selected streams; if one fails, continue with the others.

        Raises:
            CdpExportError: The first error, after all streams; it names the streams that are incomplete.
        """
        self._check_sources()
        if self.config["sandbox"]:
            logger.info("Reading from the sandbox in place of the vendors: its data is synthetic.")
        writer = self.message_writer
        with Progress([stream for source in self.sources for stream in source.selected.values()]):
            try:
                self.sync_all()
            except Interrupted:
                self.state_writer.write_state(self.state)
                raise
            finally:
                if isinstance(writer, LineWriter) and not isinstance(sys.exception(), TargetGone):
                    writer.flush()
        self._raise_failures()

    def _check_sources(self) -> None:
        """Check settings, catalog and state of every selected stream before the first request.

        Raises:
            SettingsError: The first problem; all others are logged.
        """
        if "batch_config" in self.config:
            check_storage(self.config["batch_config"]["storage"]["root"])
        self._check_catalog()
        stream_names = self.streams.keys()
        for source in self.sources:
            with source.recording_failures():
                source.validate()
        self._raise_failures()
        if unknown := self.state.get("bookmarks", {}).keys() - stream_names:
            self.logger.info("STATE holds %d streams that are not offered now; they stay as they are.", len(unknown))

    def _check_catalog(self) -> None:
        """Refuse a catalog that selects a stream on request which the settings do not name: its rows would be missing.

        Raises:
            SettingsError: With the names of all such streams.
        """
        entries = self.input_catalog or Catalog()
        for vendor in self.vendors:
            selected = [
                name
                for name in vendor.streams
                if vendor.name in self.config
                and name in entries
                and name not in self.streams
                and entries[name].metadata.resolve_selection()[()]
            ]
            if selected:
                raise SettingsError(
                    f"The catalog selects {', '.join(selected)}, which the settings do not ask for. "
                    f"Name them in {vendor.name}.tables, or discover a new catalog."
                )

    def _raise_failures(self) -> None:
        if self.errors:
            first_error, *later_errors = self.errors
            first_error.others = tuple(stream for error in later_errors for stream in error.streams)
            raise first_error

    def setup_mapper(self) -> None:
        """Create the stream maps of all streams.

        Raises:
            SettingsError: If a stream map is invalid, or its alias would place BATCH files outside their root.
        """
        self.mapper = StreamMaps(self.config, self.logger)
        self.mapper.register_raw_streams_from_catalog(self.catalog)
        if "batch_config" not in self.config:
            return
        prefix = self.config["batch_config"]["storage"].get("prefix", "")
        for stream, stream_maps in self.mapper.stream_maps.items():
            if not all(stays_below_root(f"{prefix}{stream_map.stream_alias}") for stream_map in stream_maps):
                raise SettingsError(
                    f"The BATCH files of {stream} would leave the root of their storage: neither "
                    "batch_config.storage.prefix nor an alias in stream_maps may be a path with .. or an absolute one."
                )

    def _setup_signal_handlers(self) -> None:
        STOP.install()

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Run the option `--test`, with a shorter deadline for requests: its answer is due within a minute.

        Args:
            ctx: context of click.
            param: the option.
            value: `all`, `schema` or `disabled`.
        """
        if value != "disabled" and (settings := ctx.params.get("config")):  # also called without the option
            settings.config["request_deadline_seconds"] = _TEST_DEADLINE_SECONDS
        super().cb_test(ctx, param, value)

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run a sync, or print `--about`.

        Args:
            about: print a description of the tap and exit.
            about_format: format of the description.
            config: the settings.
            state: file with the STATE of an earlier run.
            catalog: file with the catalog, which selects streams and columns.
        """
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        with readable("state"):
            document = json_document(state.read()) if state else {}
        with readable("catalog"):
            catalog_object = read_catalog(json_document(catalog.read())) if catalog else None
        tap = cls(
            config=config.config if config else {},
            state={"singer_state": document},  # the SDK takes what is no object for none; `load_state` refuses it
            catalog=catalog_object,
            parse_env_config=bool(config and config.parse_env),
        )
        tap.run()

    @plugin_cli
    def cli(cls) -> click.Command:  # noqa: N805 -- as in the SDK, the decorator passes the class
        """The command; ends the process with exit code 10 if the settings of the log are wrong.

        Returns:
            A `TapCommand`.
        """
        with checked_log_settings():
            logging.getLogger(cls.name).setLevel(_plugin_log_level(plugin_name=cls.name))
            command = super(TapCDPExport, cls).cli  # noqa: UP008 -- its first argument is the class, so super() finds no self
            leave_out_lines_of_the_sdk(cls.name)
        return command

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Create the command with the exit codes of the tap.

        Returns:
            A `TapCommand`.
        """
        command = super().get_singer_command()
        return TapCommand.of(command, logger=cls.logger)
