"""The command: `tap-cdp-export`, or `python -m tap_cdp_export`."""

import gc

gc.disable()  # no module is garbage, yet the collector would look through all of them again and again

from tap_cdp_export.memory import keep_freed_memory  # noqa: E402 -- as below
from tap_cdp_export.tap import TapCDPExport  # noqa: E402 -- what takes the time


def main() -> None:
    """Run the tap."""
    keep_freed_memory()
    gc.freeze()
    gc.enable()
    TapCDPExport.cli()


if __name__ == "__main__":
    main()
