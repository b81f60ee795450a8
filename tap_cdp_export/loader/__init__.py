"""The loader `tap-cdp-export-duckdb`: a Singer target that loads the output of any tap into a DuckDB file.

Records are not parsed in Python. Their lines are collected in one temporary file per stream (`sources`), which DuckDB's
JSON reader then loads in one transaction (`table`). The tap does not import this package.
"""
