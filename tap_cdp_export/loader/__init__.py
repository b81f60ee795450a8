"""What the quick start needs around target-duckdb: it is no part of the tap and shares nothing with it."""
