"""Benchmarks of the tap against the tools its users might choose instead; see the README in this folder."""
