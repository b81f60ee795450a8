"""What the SDK says on every run is not in the log, unless its level is DEBUG."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import singer_sdk
from singer_sdk.metrics import Metric, Point, get_metrics_logger

from tap_cdp_export.cli.log import LEFT_OUT, leave_out_lines_of_the_sdk
from tap_cdp_export.errors import SettingsError
from tests.helpers.configurations import config
from tests.helpers.in_process import sync

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGIN = "tap-of-a-test"


@pytest.fixture(autouse=True)
def root_handlers(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Give the root logger no handler but the test's, and take its filters back."""
    monkeypatch.setattr(logging.root, "handlers", [caplog.handler])
    yield
    caplog.handler.filters.clear()


@pytest.mark.parametrize(("level", "number"), [(logging.INFO, 1), (logging.WARNING, 1), (logging.DEBUG, 3)])
def test_lines_of_the_sdk_are_shown_at_the_level_debug_only(
    caplog: pytest.LogCaptureFixture, level: int, number: int
) -> None:
    logging.getLogger(PLUGIN).setLevel(level)
    leave_out_lines_of_the_sdk(PLUGIN)
    with caplog.at_level(logging.INFO):
        get_metrics_logger().info("METRIC: %s", Point("counter", Metric.RECORD_COUNT, 5))
        logging.getLogger("another").info("Skipping deselected stream '%s'.", "users")
        logging.getLogger("another").warning("Skipping the stream users.")
    assert len(caplog.messages) == number


def test_every_line_that_is_left_out_is_one_of_the_sdk() -> None:
    (folder,) = singer_sdk.__path__
    source = "".join(path.read_text(encoding="utf-8") for path in Path(folder).rglob("*.py"))
    assert [line for line in LEFT_OUT if line not in source] == []


def test_wrong_settings_are_said_by_the_last_line_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run = sync(config("apsis", attributes=[], tags=[]))
    assert run.exit_code == SettingsError.exit_code
    assert caplog.messages == []
