"""Braze in the sandbox."""
