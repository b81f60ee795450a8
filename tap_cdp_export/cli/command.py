"""Translate exceptions into exit codes, and log the reason as the last line."""

from __future__ import annotations

import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import click
from singer_sdk.exceptions import MappingError
from singer_sdk.plugin_base import SingerCommand

from tap_cdp_export.errors import CdpExportError, Interrupted, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger


class TapCommand(SingerCommand):
    """The SDK's command with the exit codes of `errors`; the text of unexpected exceptions is not shown."""

    @classmethod
    def of(cls, command: click.Command, *, logger: Logger) -> Self:
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
                "%s What was written is whole; the next run takes up from there. (exit %d)", stop, code
            )
        except CdpExportError as error:
            where = f"{', '.join(error.streams)}: " if error.streams else ""
            others = f" Not whole either: {', '.join(error.others)}." if error.others else ""
            code = error.exit_code
            self.logger.critical("%s%s%s%s (exit %d)", where, error, error.advice, others, code)
        except MappingError as error:
            code = SettingsError.exit_code
            self.logger.critical("The setting stream_maps is wrong (%s). (exit %d)", type(error).__name__, code)
        except Exception as error:  # noqa: BLE001 -- its text may contain secrets or customer data, so only the traceback is logged
            for line in ("Traceback:", *"".join(traceback.format_tb(error.__traceback__)).splitlines()):
                self.logger.error("%s", line)  # noqa: TRY400
            code = CdpExportError.exit_code
            name = type(error).__name__
            self.logger.critical("Unexpected %s. Please report it with the lines above. (exit %d)", name, code)
        sys.exit(code if isinstance(code, int) else 0)


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
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SettingsError(f"The {what} file is not JSON of the form that Singer expects.") from None
