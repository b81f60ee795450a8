"""The command: `tap-cdp-export`, or `python -m tap_cdp_export`."""

import atexit
import gc
import os
import sys

from tap_cdp_export.cli import signals_at_start

signals_at_start.install()
gc.disable()  # imports create no garbage, but would trigger many collections

_exit_codes: list[int] = []


@atexit.register  # handlers run in reverse order: registered before the imports, this one runs last
def _skip_teardown() -> None:
    """Exit with `os._exit()`: the target waits for the end of the pipe, and interpreter teardown takes time."""
    if _exit_codes:
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        except (OSError, ValueError):  # the regular exit flushes again, and reports the error
            return
        os._exit(_exit_codes[0])


from tap_cdp_export.cli.malloc import tune_malloc, write_no_core_file  # noqa: E402 -- as the next line
from tap_cdp_export.signals import STOP  # noqa: E402 -- as the next line
from tap_cdp_export.tap import TapCDPExport  # noqa: E402 -- after gc.disable() and atexit.register()


def main() -> None:
    """Run the tap and change settings of the process; to run it inside another program, call `TapCDPExport.cli`."""
    STOP.limit = signals_at_start.limit
    write_no_core_file()
    tune_malloc()
    gc.freeze()
    gc.enable()
    try:
        TapCDPExport.cli()
    except SystemExit as exit_request:
        if isinstance(exit_request.code, int):
            _exit_codes.append(exit_request.code)
        raise


if __name__ == "__main__":
    main()
