"""Tests of the loader `tap-cdp-export-duckdb`."""
