"""Tests that load real targets through Meltano and query the loaded rows."""
