"""Settings: their schema, their validation, and the setting `sandbox`."""
