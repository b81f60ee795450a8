"""A request that APSIS One refuses."""

from __future__ import annotations


class Refused(Exception):
    """A request that is refused with an error response."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        """Refuse with this status and detail."""
        super().__init__(detail)
        self.status = status
        self.headers = headers
