"""From the settings as given to settings that hold: checked one by one and together, defaults filled in.

No message ever shows a value: the wrong one may be a secret in the wrong place.
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

    Args:
        config: the settings as given; null is the same as absent, but for what free-form objects hold.
        schema: the JSON schema of all settings, with the SDK's own added.
        checks: by the name of a vendor's object, what finds contradictions between its settings.

    Returns:
        A copy with defaults, without such nulls, and with plain numbers in place of the SDK's `Decimal`.

    Raises:
        SettingsError: If anything is wrong; one line for each problem, no values.
    """
    plain: dict[str, Any] = _with_numbers(_plain(dict(config), schema), schema)
    problems = [problem for error in _violations(plain, schema) for problem in _explain(error)]
    if not problems:
        _add_defaults(plain, schema)
        problems = list(_contradictions(plain, schema, checks))
    if problems:
        raise SettingsError("; ".join(dict.fromkeys(problems)))
    return plain


def _violations(config: dict[str, Any], schema: Mapping[str, Any]) -> list[ValidationError]:
    validator = th.DEFAULT_JSONSCHEMA_VALIDATOR(schema)
    return sorted(validator.iter_errors(config), key=lambda error: [str(step) for step in error.absolute_path])


def _plain(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- any JSON
    """Leave out nulls where all keys are ours; in any other object, such as a stream map, null means something."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        is_ours = schema.get("additionalProperties") is False
        return {
            key: _plain(inner, properties.get(key, {}))
            for key, inner in value.items()
            if not (is_ours and inner is None)
        }
    if isinstance(value, list | tuple):
        return [_plain(inner, {}) for inner in value]
    if isinstance(value, Decimal):  # the SDK reads fractions so; time.sleep refuses them
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _with_numbers(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- any JSON
    """Read numbers that come as text: Meltano has no kind of setting for a number with a fraction."""
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
    """Say what is wrong without the value that is wrong."""
    name = ".".join(str(step) for step in error.absolute_path)
    limit: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    match error.validator:
        case "additionalProperties":
            known = schema.get("properties", {})
            for key in sorted(set(instance) - set(known)):
                yield f"unknown setting {'.'.join(filter(None, (name, key)))}"
        case "required":
            for key in sorted(set(limit) - set(instance)):
                problem = f"setting {'.'.join(filter(None, (name, key)))} is missing"
                description = schema.get("properties", {}).get(key, {}).get("description", "")
                wanted, *_ = re.split(r"[.;] |\.$", description)
                yield f"{problem}: {wanted}" if wanted else problem
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
    for name, least in (("flattening_max_depth", 0), ("flattening_max_key_length", 1)):
        if config.get(name, least) < least:
            yield f"setting {name} must be at least {least}"
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
    if len(times) == 2 and times["start_date"] >= times["end_date"]:  # noqa: PLR2004 -- both of the two
        yield "setting end_date must be later than start_date"


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain and port != 0
