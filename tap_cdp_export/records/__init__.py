"""Columns of records: decoded from JSON, converted, encoded."""
