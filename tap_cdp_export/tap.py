"""The tap: settings in, streams out."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from singer_sdk import Tap
from singer_sdk.helpers._util import load_json
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.singerlib import Catalog

from tap_cdp_export.cli.command import TapCommand, readable
from tap_cdp_export.config.settings import SETTINGS
from tap_cdp_export.config.validation import complete
from tap_cdp_export.errors import CdpExportError, Interrupted, SettingsError, TargetGone
from tap_cdp_export.redaction import REDACTOR, secret_values
from tap_cdp_export.signals import STOP
from tap_cdp_export.singer.batch_files import check_storage, stays_below_root
from tap_cdp_export.singer.stream import ExportStream
from tap_cdp_export.singer.stream_maps import StreamMaps
from tap_cdp_export.singer.writer import LineWriter
from tap_cdp_export.vendors.apsis.definition_streams import DEFINITION_STREAMS
from tap_cdp_export.vendors.apsis.streams import ApsisEvents, ApsisProfiles, ApsisSource
from tap_cdp_export.vendors.braze.streams import (
    BrazeSegments,
    BrazeSegmentsSource,
    BrazeUserCampaigns,
    BrazeUserCanvases,
    BrazeUserCustomEvents,
    BrazeUserDevices,
    BrazeUserPurchases,
    BrazeUsers,
    BrazeUsersSource,
)
from tap_cdp_export.vendors.personalization.streams import Accounts, PersonalizationSource, Users

if TYPE_CHECKING:
    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput

    from tap_cdp_export.singer.source import ExportSource

_FEEDS: tuple[tuple[str, type[ExportSource], tuple[type[ExportStream], ...]], ...] = (
    ("personalization", PersonalizationSource, (Users,)),
    ("personalization", PersonalizationSource, (Accounts,)),
    ("apsis", ApsisSource, (ApsisEvents, ApsisProfiles, *DEFINITION_STREAMS)),
    (
        "braze",
        BrazeUsersSource,
        (
            BrazeUsers,
            BrazeUserCustomEvents,
            BrazeUserPurchases,
            BrazeUserCampaigns,
            BrazeUserCanvases,
            BrazeUserDevices,
        ),
    ),
    ("braze", BrazeSegmentsSource, (BrazeSegments,)),
)


def state_in(given: object) -> dict[str, Any]:
    """Find the state in what was given for it.

    Args:
        given: a state, a whole STATE line, or what Meltano prints, one inside the other if need be.

    Returns:
        The state.

    Raises:
        SettingsError: If it is none of them.
    """
    state = given
    while isinstance(state, dict) and state and "bookmarks" not in state:
        if state.get("type") == "STATE" and "value" in state:
            state = state["value"]
        elif "singer_state" in state:
            state = state["singer_state"]
        else:
            break
    bookmarks = state.get("bookmarks", None if state else {}) if isinstance(state, dict) else None
    if not isinstance(bookmarks, dict) or not all(isinstance(entry, dict) for entry in bookmarks.values()):
        raise SettingsError(
            "The state is no object with an object bookmarks in it. Give the last STATE line, or its value."
        )
    return cast("dict[str, Any]", state)


class TapCDPExport(Tap):
    """Exports of Salesforce Marketing Cloud Personalization, APSIS One and Braze."""

    name = "tap-cdp-export"
    config_jsonschema: ClassVar[dict[str, Any]] = SETTINGS
    dynamic_catalog = True  # so that --discover checks the settings too
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

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 -- the SDK's own keyword arguments
        """Take the SDK's options."""
        self.errors: list[CdpExportError] = []
        super().__init__(**options)

    def discover_streams(self) -> list[ExportStream]:
        """Make the streams of every vendor that is on.

        Returns:
            The streams; those of one feed share it.
        """
        streams: list[ExportStream] = []
        for vendor, source_class, stream_classes in _FEEDS:
            if vendor in self.config:
                source = source_class(self.config, vendor, self.errors)
                streams += [stream_class(self, source) for stream_class in stream_classes]
        return streams

    def run_discovery(self) -> str:
        """Print the catalog.

        Returns:
            Its text.

        Raises:
            CdpExportError: If a feed cannot tell which columns its streams have.
        """
        for stream in self.streams.values():
            if isinstance(stream, ExportStream) and stream.source.discovery_error:
                raise stream.source.discovery_error
        return super().run_discovery()

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:  # noqa: ARG002 -- wrong settings always stop
        """Check the settings without ever showing a value, and keep their secrets out of the log from here on."""
        REDACTOR.add_secrets(secret_values(self._config, self.config_jsonschema))
        REDACTOR.install()
        self.append_builtin_config(self.config_jsonschema)
        config = dict(self._config)
        if config.get("sandbox") is True:
            from tap_cdp_export.config.sandbox import with_sandbox  # noqa: PLC0415 -- a server is imported only to run one

            config = with_sandbox(config)
        self._config = complete(config, self.config_jsonschema)
        return []

    def load_state(self, state: dict[str, Any]) -> None:
        """Take a state, if it has the shape of one.

        Args:
            state: as the run was given it.
        """
        super().load_state(state_in(state))

    def run(self) -> None:
        """Sync all selected streams, and say at the end what is not whole.

        Raises:
            CdpExportError: The first failure, when the other vendors' streams have had their turn.
        """
        self._judge()
        writer = self.message_writer
        try:
            self.sync_all()
        except Interrupted:
            self.state_writer.write_state(self.state)
            raise
        finally:
            if isinstance(writer, LineWriter) and not isinstance(sys.exception(), TargetGone):
                writer.flush()
        self._raise_failures()

    def _judge(self) -> None:
        """Judge settings, catalog and state of every selected stream before the first request.

        Raises:
            SettingsError: The first thing that is wrong; the log names the others.
        """
        if "batch_config" in self.config:
            check_storage(self.config["batch_config"]["storage"]["root"])
        sources = {stream.source: None for stream in self.streams.values() if isinstance(stream, ExportStream)}
        for source in sources:
            with source.noting_failures():
                source.judge()
        self._raise_failures()
        if unknown := self.state.get("bookmarks", {}).keys() - self.streams.keys():
            self.logger.info("STATE holds %d streams that are not offered now; they stay as they are.", len(unknown))

    def _raise_failures(self) -> None:
        if self.errors:
            first, *others = self.errors
            first.others = tuple(stream for error in others for stream in error.streams)
            raise first

    def setup_mapper(self) -> None:
        """Make the stream maps of all streams.

        Raises:
            SettingsError: If one is wrong, or its files would not stay where BATCH files belong.
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
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        """Read the settings files.

        Args:
            ctx: click's.
            param: click's.
            value: their paths, or ENV.

        Returns:
            What they hold together.
        """
        with readable("settings"):
            return super().cb_config(ctx, param, value)

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
            about: print what this tap is, and no more.
            about_format: how.
            config: settings.
            state: STATE of an earlier run.
            catalog: which streams and columns.
        """
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        with readable("state"):
            given_state = load_json(state.read()) if state else {}
            given_state = state_in(given_state)  # the SDK takes what it does not know for "no state": a full resync
        with readable("catalog"):
            given_catalog = Catalog.from_dict(load_json(catalog.read())) if catalog else None
            if any(entry.schema.properties is None for entry in (given_catalog or {}).values()):
                raise ValueError("a stream without properties")
        tap = cls(
            config=config.config if config else {},
            state=given_state,
            catalog=given_catalog,
            parse_env_config=bool(config and config.parse_env),
        )
        tap.run()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Make the command, with this tap's exit codes.

        Returns:
            The command.
        """
        command = super().get_singer_command()
        return TapCommand.of(command, logger=cls.logger)
