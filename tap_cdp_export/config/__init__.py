"""Settings: the list, their validation, sandbox mode."""
