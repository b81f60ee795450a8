"""What else reads paged JSON: each in an environment of its own."""
