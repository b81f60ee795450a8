"""What Meltano is told of the tap and the loaders: entries of `meltano.yml`, and the files in `plugins/`."""

from __future__ import annotations

import sys
import tomllib
from typing import Any, Final

from ruamel.yaml import YAML

from tap_cdp_export.loader.target import TargetDuckDB
from tap_cdp_export.tap import VENDORS
from tests.helpers.about import ROOT, Setting, about, leaves, settings

FOLDER: Final = ROOT / "plugins"
_PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_HOSTS: Final = ("account_name", "base_url")  # Personalization needs one of the two
_LOADER_VALUES: Final = {"path": "output/cdp.duckdb", "default_target_schema": "$MELTANO_EXTRACT__LOAD_SCHEMA"}
_FIRST: Final = ("name", "namespace", "variant", "label", "description", "repo", "pip_url", "executable")


def yaml() -> YAML:
    """A reader and writer of YAML that leaves long lines whole, as Meltano does."""
    found = YAML()
    found.width = sys.maxsize
    return found


def kind(setting: Setting) -> str:
    """Meltano's kind for a setting; a number is text, since `integer` refuses fractions and `decimal` crashes."""
    if "enum" in setting.schema:
        return "options"
    if setting.schema.get("format") == "date-time":
        return "date_iso8601"
    return "string" if setting.type == "number" else setting.type


def described(setting: Setting, value: str = "") -> dict[str, Any]:
    """The entry of a setting in meltano.yml, in the order in which Meltano writes it."""
    entry: dict[str, Any] = {"name": setting.name, "kind": kind(setting)}
    if value:
        entry["value"] = value
    entry |= {"label": setting.schema["title"], "description": setting.schema["description"]}
    if setting.is_secret:
        entry["sensitive"] = True
    if "enum" in setting.schema:
        entry["options"] = [{"label": value.capitalize(), "value": value} for value in setting.schema["enum"]]
    return entry


def described_extractor() -> dict[str, Any]:
    """What the tap says of itself."""
    return {
        "description": about()["description"],
        "capabilities": sorted(about()["capabilities"]),
        "settings_group_validation": setting_groups(),
        "settings": [described(setting) for setting in settings()],
    }


def setting_groups() -> list[list[str]]:
    """The settings that have to be there together: the sandbox, or those of a vendor."""
    groups = [["sandbox"]]
    for vendor in VENDORS:
        required = [f"{vendor.name}.{name}" for name in about()["settings"]["properties"][vendor.name]["required"]]
        hosts = [[f"{vendor.name}.{host}"] for host in _HOSTS] if vendor.name == "personalization" else [[]]
        groups += [[*host, *required] for host in hosts]
    return groups


def described_loader() -> dict[str, Any]:
    """What our loader says of itself; the other loaders write into the same schema and folder."""
    return {
        "description": str(TargetDuckDB.__doc__),
        "capabilities": sorted(capability.value for capability in TargetDuckDB.capabilities),
        "settings_group_validation": [["path"]],
        "settings": [
            described(setting, _LOADER_VALUES.get(setting.name, ""))
            for setting in leaves(TargetDuckDB.config_jsonschema)
        ],
    }


def definitions(project: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The plugin definitions for other projects.

    Args:
        project: what `meltano.yml` holds.

    Returns:
        The definitions by the names of their files below `plugins/`, in the form of Meltano Hub.
    """
    return {
        f"{kind}/{entry['name']}.yml": _definition(entry)
        for kind in project["plugins"]
        for entry in project["plugins"][kind]
    }


def _definition(entry: dict[str, Any]) -> dict[str, Any]:
    found = {"variant": _PROJECT["name"], **entry, "quality": "unknown", "maintenance_status": "active"}
    if "${MELTANO_PROJECT_ROOT}" in entry["pip_url"]:
        repository = _PROJECT["urls"]["Repository"]
        extra = entry["pip_url"].partition("[")[2].rstrip("]")
        # No spaces around the @: Meltano 4.4 cannot read them.
        found |= {"repo": repository, "pip_url": f"{_PROJECT['name']}[{extra}]@git+{repository}.git"}
        found |= {"maintenance_status": "beta", "keywords": ["meltano_sdk"]}
    return {**{key: found[key] for key in _FIRST if key in found}, **found}
