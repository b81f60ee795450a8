"""The commands and how they end."""
