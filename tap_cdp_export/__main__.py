"""Run the tap as `python -m tap_cdp_export`."""

from tap_cdp_export.tap import TapCDPExport

TapCDPExport.cli()
