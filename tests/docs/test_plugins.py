"""The plugin definitions in `plugins/` are those of `meltano.yml`, in the form of Meltano Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from tests.helpers.about import ROOT
from tests.helpers.plugin_definitions import FOLDER, definitions, setting_groups, yaml

SCHEMAS: Final = Path(__file__).with_name("meltano_hub")
EXPECTED: Final = definitions(yaml().load(ROOT / "meltano.yml"))
FILES: Final = {str(path.relative_to(FOLDER)): yaml().load(path) for path in sorted(FOLDER.glob("*/*.yml"))}


def validator(kind: str) -> Draft7Validator:
    """The Hub's schema for one kind of plugins; its files refer to each other by path."""
    schemas: dict[str, dict[str, Any]] = {}
    for path in SCHEMAS.glob("*/*.json"):
        schemas[f"https://hub.meltano.com/{path.relative_to(SCHEMAS)}"] = schema = json.loads(path.read_bytes())
        del schema["$id"]
    resources = [(uri, DRAFT7.create_resource(schema)) for uri, schema in schemas.items()]
    start = {"$ref": f"https://hub.meltano.com/plugin_definitions/{kind}.schema.json"}
    return Draft7Validator(start, registry=Registry().with_resources(resources))


def test_there_is_a_definition_of_every_plugin_and_it_is_what_meltano_yml_says() -> None:
    assert FILES == EXPECTED, "python -m tests.write_settings"


@pytest.mark.parametrize("name", FILES)
def test_a_definition_follows_the_hubs_schema(name: str) -> None:
    assert [error.message for error in validator(name.partition("/")[0]).iter_errors(FILES[name])] == []


def test_the_hubs_schema_refuses_what_is_no_definition() -> None:
    (tap,) = [definition for name, definition in FILES.items() if name.startswith("extractors/")]
    for wrong in ({"namespace": 1}, {"capabilities": ["fly"]}, {"settings": [{"kind": "string"}]}, {"colour": "red"}):
        assert not validator("extractors").is_valid({**tap, **wrong}), wrong


@pytest.mark.parametrize(
    ("name", "extra"), [("extractors/tap-cdp-export.yml", "sandbox"), ("loaders/target-duckdb.yml", "duckdb")]
)
def test_our_plugins_are_installed_from_the_repository(name: str, extra: str) -> None:
    definition = FILES[name]
    assert definition["pip_url"] == f"tap-cdp-export[{extra}]@git+{definition['repo']}.git"
    assert all(setting.keys() >= {"name", "kind", "label", "description"} for setting in definition["settings"])


def test_a_group_of_settings_is_the_sandbox_or_what_a_vendor_cannot_do_without() -> None:
    names = {setting["name"] for setting in FILES["extractors/tap-cdp-export.yml"]["settings"]}
    assert {name for group in setting_groups() for name in group} <= names
    assert setting_groups() == [
        ["sandbox"],
        *(
            [f"personalization.{name}" for name in (host, "dataset_ids", "api_key_id", "api_key_secret")]
            for host in ("account_name", "base_url")
        ),
        ["apsis.client_id", "apsis.client_secret"],
        ["braze.base_url", "braze.api_key"],
    ]
