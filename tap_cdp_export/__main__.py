"""The command: `tap-cdp-export`, or `python -m tap_cdp_export`."""

import atexit
import gc
import os
import sys

gc.disable()  # no module is garbage, yet the collector would look through all of them again and again

_exit_codes: list[int] = []


@atexit.register  # ahead of our imports, so that it comes behind all that they want done at the end
def _leave_at_once() -> None:
    """Leave without taking the interpreter apart, object by object, while the target waits for the pipe's end."""
    if _exit_codes:
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        except (OSError, ValueError):  # which the usual way out tells of, if it is worth telling
            return
        os._exit(_exit_codes[0])


from tap_cdp_export.cli.malloc import tune_malloc, write_no_core_file  # noqa: E402 -- as below
from tap_cdp_export.tap import TapCDPExport  # noqa: E402 -- what takes the time


def main() -> None:
    """Run the tap as this process's only purpose; a program with others calls `TapCDPExport.cli`."""
    write_no_core_file()
    tune_malloc()
    gc.freeze()
    gc.enable()
    try:
        TapCDPExport.cli()
    except SystemExit as end:
        if isinstance(end.code, int):
            _exit_codes.append(end.code)
        raise


if __name__ == "__main__":
    main()
