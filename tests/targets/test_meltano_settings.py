"""Settings given to Meltano reach the tap unchanged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.about import settings
from tests.helpers.running import vendor
from tests.targets.meltano_project import as_environment
from tests.whole_tap.conftest import small_sandbox

if TYPE_CHECKING:
    from tests.targets.meltano_project import MeltanoProject

pytestmark = pytest.mark.meltano

EXAMPLES: dict[str, Any] = {
    "boolean": True,
    "integer": 3,
    "number": "0.5",
    "array": ["a", {"b": 1.5}],
    "object": {"a": {"b": 1.5}},
}


def test_a_user_who_has_set_nothing_has_no_vendor(project: MeltanoProject) -> None:
    assert project.settings_that_reach_the_tap() == {}


def test_every_setting_can_be_given_as_an_environment_variable(project: MeltanoProject) -> None:
    given: dict[str, Any] = {}
    for setting in settings():
        *folders, name = setting.name.split(".")
        place = given
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = EXAMPLES.get(setting.type, setting.schema.get("enum", ["2026-01-31"])[-1])
    assert project.settings_that_reach_the_tap(**as_environment(given)) == given


def test_one_variable_switches_one_vendor_on_and_no_other(project: MeltanoProject) -> None:
    found = project.settings_that_reach_the_tap(TAP_CDP_EXPORT_BRAZE_API_KEY="k")
    assert found == {"braze": {"api_key": "k"}}


def test_an_empty_instance_stays_an_empty_text(project: MeltanoProject) -> None:
    found = project.settings_that_reach_the_tap(TAP_CDP_EXPORT_PERSONALIZATION_INSTANCE="")
    assert found == {"personalization": {"instance": ""}}


def test_prod_without_credentials_stops_and_names_the_three_vendors(project: MeltanoProject) -> None:
    done = project.meltano("run", "tap-cdp-export", "target-jsonl")
    assert done.returncode == 1
    assert all(vendor in done.stderr for vendor in ("personalization", "apsis", "braze"))
    assert not (project.folder / "output").exists()


def test_the_check_of_the_keys_takes_the_settings_from_meltano(project: MeltanoProject) -> None:
    with small_sandbox() as sandbox:
        given = vendor(sandbox.settings(), "braze")
        environment = as_environment(given)  # for the catalog, which Meltano discovers before any command
        settings_file = json.dumps(project.settings_that_reach_the_tap(**environment))
        done = project.meltano("invoke", "tap-cdp-export:check", text=settings_file, **environment)
    assert done.returncode == 0, done.stderr
    assert "braze: reached" in done.stdout
    assert given["braze"]["api_key"] not in done.stdout + done.stderr
