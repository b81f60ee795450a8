"""Facts that the vendor pages mark unknown, and what an account's answers say about them."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Outcome(enum.StrEnum):
    """What the answers of an account say about an unknown fact."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    OPEN = "open"


@dataclass(frozen=True)
class Unknown:
    """A fact that the vendor's page marks unknown.

    Attributes:
        id: the identifier that stands behind the mark on the page, such as `vendor.list-end`.
        claim: a sentence that answers confirm or refute; a question where `takes` is set.
        takes: what it would take to tell, where no request of the check can; empty where one can.
    """

    id: str
    claim: str
    takes: str = ""
