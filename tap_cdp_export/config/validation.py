"""Validate settings and fill in defaults.

Messages name settings but never show values, since a secret may be in the wrong setting.
"""

from __future__ import annotations

import copy
import importlib.util
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.singer.batch_files import stays_below_root
from tap_cdp_export.windows import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jsonschema import ValidationError

    Check = Callable[[Mapping[str, Any]], Iterable[str]]


def complete(config: Mapping[str, Any], schema: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """Check settings and fill in the defaults.

    Example: `{"end_date": None, "request_deadline_seconds": "0.5", "vendor": {…}}` becomes
    `{"request_deadline_seconds": 0.5, "sandbox": False, "vendor": {…, "output_format": "zip"}, …}`.

    Args:
        config: settings of the user; null means "not set", except inside free-form objects.
        schema: JSON schema of all settings, including those of the SDK.
        checks: for each vendor, a function that yields problems between its settings.

    Returns:
        A copy with defaults, without such nulls, and with int or float instead of `Decimal` and of numeric strings.

    Raises:
        SettingsError: If there are problems; the message lists all of them, without values.
    """
    settings = checked(config, schema)
    _raise_problems(_contradictions(settings, schema, checks))
    return settings


def checked(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Check settings against their schema alone, and fill in the defaults.

    Args:
        config: settings of the user; null means "not set", except inside free-form objects.
        schema: JSON schema of all settings.

    Returns:
        A copy with defaults, as `complete` returns it.

    Raises:
        SettingsError: If there are problems; the message lists all of them, without values.
    """
    plain: dict[str, Any] = _with_numbers(_plain(dict(config), schema), schema)
    _raise_problems(problem for error in _violations(plain, schema) for problem in _explain(error))
    _add_defaults(plain, schema)
    return plain


def _raise_problems(problems: Iterable[str]) -> None:
    if distinct := dict.fromkeys(problems):
        raise SettingsError("; ".join(distinct))


def _violations(config: dict[str, Any], schema: Mapping[str, Any]) -> list[ValidationError]:
    validator = th.DEFAULT_JSONSCHEMA_VALIDATOR(schema)
    return sorted(validator.iter_errors(config), key=lambda error: [str(step) for step in error.absolute_path])


def _plain(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- any JSON
    """Copy settings without nulls and without `Decimal`.

    Nulls are dropped from objects with a fixed set of keys only: in a free-form object, such as a stream map, null has
    a meaning of its own.
    """
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        has_fixed_keys = schema.get("additionalProperties") is False
        return {
            key: _plain(inner, properties.get(key, {}))
            for key, inner in value.items()
            if not (has_fixed_keys and inner is None)
        }
    if isinstance(value, list | tuple):
        return [_plain(inner, {}) for inner in value]
    if isinstance(value, Decimal):  # the SDK parses fractions as Decimal, which time.sleep does not accept
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _with_numbers(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- any JSON
    """Convert numeric strings, such as "0.5" to 0.5: Meltano passes numbers with a fraction as strings."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {key: _with_numbers(inner, properties.get(key, {})) for key, inner in value.items()}
    if isinstance(value, str) and {"number", "integer"} & set(schema.get("type", ())):
        try:
            number = Decimal(value)
        except InvalidOperation:
            return value
        return _plain(number, {}) if number.is_finite() else value
    return value


def _add_defaults(config: dict[str, Any], schema: Mapping[str, Any]) -> None:
    for name, inner in schema.get("properties", {}).items():
        if name not in config and "default" in inner:
            config[name] = copy.deepcopy(inner["default"])
        elif isinstance(config.get(name), dict):
            _add_defaults(config[name], inner)


def _explain(error: ValidationError) -> Iterator[str]:
    """Describe a schema violation without showing the value."""
    name = ".".join(str(step) for step in error.absolute_path)
    limit: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    match error.validator:
        case "additionalProperties":
            properties = schema.get("properties", {})
            for key in sorted(set(instance) - set(properties)):
                yield f"unknown setting {'.'.join(filter(None, (name, key)))}"
        case "required":
            for key in sorted(set(limit) - set(instance)):
                problem = f"setting {'.'.join(filter(None, (name, key)))} is missing"
                description = schema.get("properties", {}).get(key, {}).get("description", "")
                first_clause, *_ = re.split(r"[.;] |\.$", description)
                yield f"{problem}: {first_clause}" if first_clause else problem
        case "type":
            types = [limit] if isinstance(limit, str) else limit
            yield f"setting {name} must be of type {' or '.join(t for t in types if t != 'null')}"
        case "enum":
            yield f"setting {name} must be one of {', '.join(str(choice) for choice in limit)}"
        case "minimum":
            yield f"setting {name} must be at least {limit}"
        case "maximum":
            yield f"setting {name} must be at most {limit}"
        case "exclusiveMinimum":
            yield f"setting {name} must be more than {limit}"
        case _:
            yield f"setting {name or 'file'} is not as documented ({error.validator})"


def _contradictions(config: dict[str, Any], schema: Mapping[str, Any], checks: Mapping[str, Check]) -> Iterator[str]:
    """Yield problems that the JSON schema cannot express, such as dates in the wrong order."""
    yield from _date_problems(config)
    for vendor, check in checks.items():
        if vendor in config:
            yield from _url_problems(vendor, config[vendor], schema["properties"][vendor])
            yield from check(config[vendor])
    yield from _output_problems(config)
    if "faker_config" in config and not importlib.util.find_spec("faker"):
        yield "setting faker_config needs the tap's extra faker: pip install 'tap-cdp-export[faker]'"
    if not any(vendor in config for vendor in checks):
        yield f"no vendor is configured: give at least one of the objects {', '.join(checks)}, or sandbox: true"


def _url_problems(vendor: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for name, inner in schema["properties"].items():
        if inner.get("format") == "uri" and name in settings and not _is_web_address(settings[name]):
            yield f"setting {vendor}.{name} must be an http or https URL without user name, query and fragment"


def _output_problems(config: dict[str, Any]) -> Iterator[str]:
    if config.get("flattening_enabled") and "flattening_max_depth" not in config:
        yield "setting flattening_max_depth is missing: flattening_enabled needs it"
    for name, minimum in (("flattening_max_depth", 0), ("flattening_max_key_length", 1)):
        if config.get(name, minimum) < minimum:
            yield f"setting {name} must be at least {minimum}"
    prefix = config.get("batch_config", {}).get("storage", {}).get("prefix", "")
    if not stays_below_root(f"{prefix}stream"):
        yield "setting batch_config.storage.prefix must stay below the root, without .. and not absolute"


def _date_problems(config: dict[str, Any]) -> Iterator[str]:
    times = {}
    for name in ("start_date", "end_date"):
        if name in config:
            try:
                times[name] = parse_time(config[name])
            except ValueError:
                yield f"setting {name} must be an ISO 8601 date or time, such as 2026-01-31T00:00:00Z"
    if "start_date" in times and times["start_date"] > datetime.now(UTC):
        yield "setting start_date lies in the future: nothing would be read until then"
    if len(times) == 2 and times["start_date"] >= times["end_date"]:  # noqa: PLR2004 -- both dates are set
        yield "setting end_date must be later than start_date"


def _is_web_address(text: str) -> bool:
    """Return True for an http(s) URL with a host, and without credentials, query, fragment or port 0."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    is_bare = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and is_bare and port != 0
