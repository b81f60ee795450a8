"""`meltano.yml` says what the tap says of itself, no more and no less, and works without Meltano Hub."""

from __future__ import annotations

import importlib.resources
import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tap_cdp_export.loader.target import TargetDuckDB
from tests.helpers.about import ROOT, streams
from tests.helpers.plugin_definitions import described_extractor, described_loader
from tests.targets.meltano_project import MeltanoProject

if TYPE_CHECKING:
    from pathlib import Path

PROJECT: dict[str, Any] = YAML(typ="safe").load(ROOT / "meltano.yml")
EXTRACTOR: dict[str, Any] = PROJECT["plugins"]["extractors"][0]
LOADERS: dict[str, dict[str, Any]] = {loader["name"]: loader for loader in PROJECT["plugins"]["loaders"]}


def test_the_file_follows_meltanos_schema() -> None:
    schema = json.loads((importlib.resources.files("meltano") / "schemas" / "meltano.schema.json").read_text())
    assert [error.message for error in Draft202012Validator(schema).iter_errors(PROJECT)] == []


def test_the_tap_is_described_as_it_describes_itself() -> None:
    assert {key: EXTRACTOR[key] for key in described_extractor()} == described_extractor(), (
        "python -m tests.write_settings"
    )


def test_every_stream_that_the_settings_offer_is_selected() -> None:
    assert EXTRACTOR["select"] == ["*.*"]
    assert all(entry["metadata"][-1]["metadata"]["selected-by-default"] for entry in streams().values())


def test_no_plugin_needs_the_hub() -> None:
    plugins = [plugin for kind in PROJECT["plugins"].values() for plugin in kind]
    assert [plugin["name"] for plugin in plugins if not plugin.get("namespace") or not plugin.get("pip_url")] == []


def test_our_loader_is_described_as_it_describes_itself() -> None:
    entry = LOADERS["target-duckdb"]
    assert {key: entry[key] for key in described_loader()} == described_loader(), "python -m tests.write_settings"
    assert entry["pip_url"].endswith("[duckdb]")
    assert entry["executable"] == TargetDuckDB.name


def test_only_the_dev_environment_loads_invented_people() -> None:
    assert PROJECT["default_environment"] == "dev"
    environments = {environment["name"]: environment.get("config", {}) for environment in PROJECT["environments"]}
    assert environments["dev"]["plugins"]["extractors"] == [{"name": "tap-cdp-export", "config": {"sandbox": True}}]
    assert "extractors" not in environments["prod"]["plugins"]


def test_prod_writes_no_file_that_dev_has_filled_with_invented_people() -> None:
    (prod,) = [entry["config"] for entry in PROJECT["environments"] if entry["name"] == "prod"]
    changed = {loader["name"]: set(loader["config"]) for loader in prod["plugins"]["loaders"]}
    assert changed == {"target-duckdb": {"path"}, "target-jsonl": {"destination_path"}}


def test_nothing_is_told_to_anybody() -> None:
    assert PROJECT["send_anonymous_usage_stats"] is False
    assert PROJECT["cli"]["disable_version_check"] is True


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("start_date", "2026-02-01", "start_date: '2026-02-01'"),
        ("apsis.window_days", "0.5", "window_days: '0.5'"),
    ],
)
def test_setting_a_value_changes_no_other_line(name: str, value: str, line: str, tmp_path: Path) -> None:
    project = MeltanoProject(tmp_path)
    before = (tmp_path / "meltano.yml").read_text().splitlines()
    assert project.meltano("config", "set", "tap-cdp-export", name, value).returncode == 0
    after = (tmp_path / "meltano.yml").read_text().splitlines()
    added = len(after) - len(before)
    assert line in [text.strip() for text in after]
    start = next(index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1])
    assert after[:start] + after[start + added :] == before
