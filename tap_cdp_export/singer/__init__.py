"""From column batches to Singer messages and state."""
