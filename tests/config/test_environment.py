"""Settings in environment variables: a wrong one is named, and its value is not shown."""

from __future__ import annotations

import pytest

from tap_cdp_export.config.environment import settings_in_environment
from tap_cdp_export.errors import SettingsError
from tests.helpers.configurations import SETTINGS


def test_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_BRAZE", '{"segment_ids": ["a"]}')
    monkeypatch.setenv("X_SANDBOX", "true")
    assert settings_in_environment(SETTINGS, "X_") == {"braze": {"segment_ids": ["a"]}, "sandbox": True}


@pytest.mark.parametrize("value", ["canary", "", "{'a': 1}", '{"a": canary', "[" * 50_000 + "]" * 50_000])
def test_a_variable_that_is_no_json_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("X_BRAZE", value)
    with pytest.raises(SettingsError) as failure:
        settings_in_environment(SETTINGS, "X_")
    assert "X_BRAZE" in str(failure.value)
    assert "object" in str(failure.value)
    assert "canary" not in str(failure.value)
