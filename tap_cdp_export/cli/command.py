"""Translate exceptions into exit codes, and log the reason as the last line."""

from __future__ import annotations

import logging
import socket
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import click
from singer_sdk.exceptions import MappingError
from singer_sdk.helpers._util import dump_json, load_json
from singer_sdk.plugin_base import PluginBase, SingerCommand

from tap_cdp_export.errors import CdpExportError, Interrupted, LocalFailure, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.plugin_base import _ConfigInput

_NO_THREAD: Final = "can't start new thread"  # RuntimeError of CPython


class TapCommand(SingerCommand):
    """The SDK's command with the exit codes of `errors`; the text of unexpected exceptions is not shown."""

    @classmethod
    def of(cls, command: click.Command, *, logger: logging.Logger) -> Self:
        """Create a command with the name, options and callback of another one.

        Args:
            command: the command that the SDK has built.
            logger: logger of the tap.

        Returns:
            The new command.
        """
        return cls(
            name=command.name,
            callback=command.callback,
            params=command.params,
            help=command.help,
            context_settings=command.context_settings,
            logger=logger,
        )

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 -- click's signature
        """Parse the options, run the command and exit.

        Args:
            args: passed to click.
            extra: passed to click.

        Raises:
            SystemExit: Always, with the exit code.
        """
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            code = SettingsError.exit_code
            self.logger.critical("The command line is not as --help says. (exit %d)", code)
        except Interrupted as stop:
            code = stop.exit_code
            self.logger.critical(
                "%s What was written is whole; the next run continues from there. (exit %d)", stop, code
            )
        except Exception as error:  # noqa: BLE001 -- every run ends with an exit code and a last line
            code = self._report(error)
        sys.exit(code if isinstance(code, int) else 0)

    def _report(self, error: Exception) -> int:
        """Log an error as the last line, and return its exit code."""
        failure = _known_failure(error)
        if failure is None:  # the text may contain secrets or customer data, so only the traceback is logged
            for line in ("Traceback:", *"".join(traceback.format_tb(error.__traceback__)).splitlines()):
                self.logger.error("%s", line)
            code = CdpExportError.exit_code
            name = type(error).__name__
            self.logger.critical("Unexpected %s. Please report it with the lines above. (exit %d)", name, code)
            return code
        where = f"{', '.join(failure.streams)}: " if failure.streams else ""
        others = f" Not whole either: {', '.join(failure.others)}." if failure.others else ""
        code = failure.exit_code
        self.logger.critical("%s%s%s%s (exit %d)", where, failure, failure.advice, others, code)
        return code


def _known_failure(error: Exception) -> CdpExportError | None:
    """Return the error to report for an exception; None for one that nothing here expects."""
    failure: CdpExportError | None = None
    match error:
        case CdpExportError():
            failure = error
        case MappingError():
            failure = SettingsError(f"The setting stream_maps is wrong ({type(error).__name__}).")
        case MemoryError():
            failure = LocalFailure("This machine has no more memory for this run. Give it more.")
        case RuntimeError() if str(error) == _NO_THREAD:
            failure = LocalFailure("The system allows no more threads. Raise the limit of processes for this user.")
        case ConnectionError() | TimeoutError() | socket.gaierror():  # not of this machine
            pass
        case OSError(errno=int()):
            failure = LocalFailure(f"The system refused what this run needs: {error.strerror}.")
    return failure


@contextmanager
def checked_log_settings() -> Iterator[None]:
    """End the process with exit code 10 if the log cannot be set up as the environment says.

    Yields:
        Nothing.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 -- a logging configuration can fail in any way
        logging.getLogger(__name__).critical(
            "The log cannot be set up as LOGLEVEL, TAP_CDP_EXPORT_LOGLEVEL or SINGER_SDK_LOG_CONFIG says (%s). "
            "A level is DEBUG, INFO, WARNING or ERROR; the other is a YAML file for logging.config. (exit %d)",
            type(error).__name__,
            SettingsError.exit_code,
        )
        sys.exit(SettingsError.exit_code)


def json_document(text: str) -> Any:  # noqa: ANN401 -- any JSON
    """Parse the content of a file.

    Args:
        text: JSON.

    Returns:
        The document.

    Raises:
        ValueError: If it is no JSON, or could not be written again: half a character cannot.
    """
    document: Any = load_json(text)
    dump_json(document, ensure_ascii=False).encode()
    return document


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Translate errors from reading a file into `SettingsError`, without quoting the file.

    Args:
        what: name of the file in the message, such as "catalog".

    Yields:
        Nothing.

    Raises:
        SettingsError: If the file is missing, unreadable, or not JSON of the expected form.
    """
    try:
        yield
    except CdpExportError:
        raise
    except FileNotFoundError:
        raise SettingsError(f"The {what} file does not exist.") from None
    except OSError as error:
        raise SettingsError(f"The {what} file cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise SettingsError(f"The {what} file is not JSON of the form that Singer expects.") from None


class ReadableSettings(PluginBase):
    """A plugin whose `--config` ends with a message of ours if a file cannot be read."""

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        """Parse the option `--config`.

        Args:
            ctx: context of click.
            param: the option.
            value: paths of settings files, or `ENV`.

        Returns:
            The settings of all files, merged.
        """
        with readable("settings"):
            return super().cb_config(ctx, param, value)
