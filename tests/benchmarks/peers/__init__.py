"""Other tools that read paged JSON, each in its own environment."""
