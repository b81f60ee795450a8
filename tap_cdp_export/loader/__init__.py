"""Helpers of the quick start for target-duckdb; the tap does not import them, and they import nothing of the tap."""
