"""HTTP requests with retries and a deadline, and their responses."""
