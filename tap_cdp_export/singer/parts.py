"""The parts of a source's work that can run apart from each other, each in a process and with a state of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_cdp_export.windows import Window


@dataclass(frozen=True)
class Part:
    """A part of the work; all parts together read what a single run reads.

    Parts of a vendor that have the same name are one piece of work, which fills the streams of all of them.

    Attributes:
        name: tells it from the vendor's other parts, also in later runs: its state is found by it.
        streams: names of the streams that it fills.
        settings: what it changes in the vendor's settings.
        window: the time that it reads, where the work is divided by time.
    """

    name: str
    streams: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    window: Window | None = None
