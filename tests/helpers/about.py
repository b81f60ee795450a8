"""Output of `--about` and `--discover`, with which the documentation is compared."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.helpers.running import run_forked

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class Setting(NamedTuple):
    """A setting with a value, such as `braze.api_key`, or an object with free keys."""

    name: str
    schema: dict[str, Any]
    required: bool

    @property
    def type(self) -> str:
        """The type that is not null."""
        types = self.schema["type"]
        (type_name,) = [name for name in ([types] if isinstance(types, str) else types) if name != "null"]
        return str(type_name)

    @property
    def is_secret(self) -> bool:
        """Whether the value is masked in logs."""
        return bool(self.schema.get("secret"))


@cache
def about() -> dict[str, Any]:
    """The output of `tap-cdp-export --about --format=json`."""
    return _output("--about", "--format=json")


def settings() -> list[Setting]:
    """All settings, in their order."""
    return list(leaves(about()["settings"]))


@cache
def streams() -> dict[str, dict[str, Any]]:
    """The catalog entries of all streams, by name."""
    catalog = _output("--discover", "--config", str(ROOT / "tests" / "sandbox_config.json"))
    return {entry["tap_stream_id"]: entry for entry in catalog["streams"]}


def _output(*options: str) -> dict[str, Any]:
    process = run_forked("tap_cdp_export", [*options])
    process.check_returncode()
    document: dict[str, Any] = json.loads(process.stdout)
    return document


def leaves(schema: dict[str, Any], prefix: str = "") -> Iterator[Setting]:
    """Yield the settings of a schema; those of nested objects with a fixed set of keys one by one."""
    for name, inner in schema["properties"].items():
        if inner.get("additionalProperties") is False:
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield Setting(f"{prefix}{name}", inner, name in schema.get("required", ()))
