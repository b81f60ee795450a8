"""Requests with retries and a deadline, and what comes back."""
