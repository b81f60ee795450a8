"""Validate settings and fill in defaults.

Messages name settings but never show values, since a secret may be in the wrong setting.
"""

from __future__ import annotations

import copy
import importlib.util
import math
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from singer_sdk import typing as th

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.singer.batch_files import stays_below_root
from tap_cdp_export.windows import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from urllib.parse import SplitResult

    from jsonschema import ValidationError

    Check = Callable[[Mapping[str, Any]], Iterable[str]]

_MAX_NUMBER: Final = 10**12
_IDENTIFIER: Final = re.compile(r"(^|[._])(ids?|name|key|secret)(\.[0-9]+)?$")
_MAY_BE_EMPTY: Final = {"instance"}
_BOUNDS: Final = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}


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
    plain: dict[str, Any] = _as_meant(_plain(dict(config), schema), schema)
    problems = [problem for error in _violations(plain, schema) for problem in _explain(error)]
    _raise_problems([*problems, *_odd_values(plain, schema)])
    _add_defaults(plain, schema)
    return plain


def _raise_problems(problems: Iterable[str]) -> None:
    if distinct := dict.fromkeys(problems):
        raise SettingsError("; ".join(distinct))


def _violations(config: dict[str, Any], schema: Mapping[str, Any]) -> list[ValidationError]:
    validator = th.DEFAULT_JSONSCHEMA_VALIDATOR(_well_formed(schema))
    return sorted(validator.iter_errors(config), key=lambda error: [str(step) for step in error.absolute_path])


def _well_formed(schema: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Copy a schema without what is no schema: the SDK's of `stream_maps` has the text "null" among its `anyOf`."""
    if isinstance(schema, dict):
        return {
            key: [_well_formed(item) for item in inner if isinstance(item, dict)]
            if key == "anyOf"
            else _well_formed(inner)
            for key, inner in schema.items()
        }
    return schema


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
        is_whole = abs(value) <= _MAX_NUMBER and value == value.to_integral_value()
        return int(value) if is_whole else float(value)
    return value


def _as_meant(value: Any, schema: Mapping[str, Any], name: str = "") -> Any:  # noqa: ANN401 -- any JSON
    """Convert strings to what they mean; values inside free-form objects stay as they are.

    - Numeric strings, such as "0.5", become numbers: Meltano passes numbers with a fraction as strings.
    - White space around secrets, identifiers, URLs and other texts that must not be empty is removed: a pasted key
      often ends with a newline.
    - A host without a scheme gets https.
    - A list of strings holds each once: what is named twice is not asked for twice.
    """
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {key: _as_meant(inner, properties.get(key, {}), key) for key, inner in value.items()}
    if isinstance(value, list):
        items = [_as_meant(item, schema.get("items", {}), name) for item in value]
        are_strings = all(isinstance(item, str) for item in items)
        return list(dict.fromkeys(items)) if are_strings and schema.get("items") else items
    types = schema.get("type", ())
    if not isinstance(value, str) or not types:
        return value
    if {"number", "integer"} & set(types):
        try:
            number = Decimal(value)
        except InvalidOperation:
            return value
        return _plain(number, {}) if number.is_finite() else value
    is_url = schema.get("format") == "uri"
    if is_url or _IDENTIFIER.search(name) or name in _MAY_BE_EMPTY or _may_be_long(schema):
        value = value.strip()
    return f"https://{value}" if is_url and value and ":/" not in value and not value.startswith("/") else value


def _may_be_long(schema: Mapping[str, Any]) -> bool:
    """Return whether a text must not be empty, and is no single character such as a tab."""
    return "minLength" in schema and "maxLength" not in schema


def _odd_values(value: Any, schema: Mapping[str, Any], name: str = "") -> Iterator[str]:  # noqa: ANN401 -- any JSON
    """Find empty secrets and identifiers, numbers that no request or pause can have, and halves of characters."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for key, inner in value.items():
            if not _is_text(key):
                yield f"a name in setting {name or 'file'} is not valid Unicode"
            yield from _odd_values(inner, properties.get(key, {}), ".".join(filter(None, (name, key))))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _odd_values(item, schema.get("items", {}), f"{name}.{number}")
    elif isinstance(value, str):
        if not value and _IDENTIFIER.search(name) and "string" in schema.get("type", ()):
            yield f"setting {name} is empty"
        if not _is_text(value):
            yield f"setting {name} is not valid Unicode"
    elif _is_too_large(value, schema):
        yield f"setting {name} is too large a number"


def _is_too_large(value: Any, schema: Mapping[str, Any]) -> bool:  # noqa: ANN401 -- any JSON
    """Return whether a number is infinite, or beyond what a setting of the tap can mean."""
    is_typed = bool({"number", "integer"} & set(schema.get("type", ())))
    is_infinite = isinstance(value, float) and not math.isfinite(value)
    return is_infinite or (is_typed and isinstance(value, int | float) and abs(value) > _MAX_NUMBER)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
        case "minLength":
            yield f"setting {name} is empty"
        case "minimum" | "maximum" | "exclusiveMinimum" as bound:
            yield f"setting {name} must be {_BOUNDS[bound]} {limit}"
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
        yield "setting faker_config needs the tap's extra faker: install the tap again with it"
    if not any(vendor in config for vendor in checks):
        yield f"no vendor is configured: give at least one of the objects {', '.join(checks)}, or sandbox: true"


def _url_problems(vendor: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for name, inner in schema["properties"].items():
        if inner.get("format") == "uri" and name in settings and (fault := _fault_of(settings[name])):
            expected = "an http or https URL without user name, query and fragment"
            yield f"setting {vendor}.{name} must be {expected}: {fault}"


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


def _fault_of(url: str) -> str:
    """Return which part of a URL cannot be used; nothing if all of it can."""
    wrong_host = "its host is not spelled as a host name"
    try:
        parts = urlsplit(url)
    except ValueError:
        return wrong_host
    faults = {
        "it does not begin with https:// or http://": parts.scheme not in {"http", "https"},
        "it has no host": not parts.hostname,
        "its port is not a number from 1 to 65535": not _has_valid_port(parts),
        "it has a user name or password": parts.username or parts.password,
        "it has a query": parts.query,
        "it has a fragment": parts.fragment,
    }
    for fault, is_there in faults.items():
        if is_there:
            return fault
    try:
        requests.Request("GET", url).prepare()
        (parts.hostname or "").encode("idna")
    except ValueError:  # of each of these libraries
        return wrong_host
    return ""


def _has_valid_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False
