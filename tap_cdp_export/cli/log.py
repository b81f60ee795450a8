"""Leave out of the log what the SDK says on every run: the phases and the summary say it better."""

from __future__ import annotations

import logging
from typing import Final

LEFT_OUT: Final = frozenset(
    {
        "METRIC: %s",
        "Beginning sync of '%s' in %s mode",
        "Skipping deselected stream '%s'.",
        "Skipping parse of env var settings...",
        "Parsing env var for settings config...",
        "An unhandled error occurred while syncing '%s'",
    }
)
"""Messages as the SDK passes them to `logging`, without their values."""


def leave_out_lines_of_the_sdk(plugin: str) -> None:
    """Filter the handlers of the root logger, unless the level of the plugin's logger is DEBUG.

    Handlers of other loggers keep everything, such as those that SINGER_SDK_LOG_CONFIG gives `singer_sdk.metrics`.

    Args:
        plugin: name of the plugin's logger.
    """
    if logging.getLogger(plugin).isEnabledFor(logging.DEBUG):
        return
    for handler in logging.root.handlers:
        handler.addFilter(_is_kept)


def _is_kept(record: logging.LogRecord) -> bool:
    return record.msg not in LEFT_OUT
