"""A strict parser of Singer messages."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

_LONGEST_LINE: Final = 50 * 2**20


def parsed(line: bytes, *, unique: bool = True) -> dict[str, Any]:
    """Parse one line strictly.

    Args:
        line: Line without its newline.
        unique: Whether to refuse duplicate keys.

    Raises:
        ValueError: If the line is too long or not strict JSON.
        TypeError: If the line is not an object.
    """
    if len(line) > _LONGEST_LINE:
        raise ValueError("line too long")
    message = json.loads(line.decode(), parse_constant=_refuse, object_pairs_hook=_unique if unique else None)
    line.decode().encode()
    if not isinstance(message, dict):
        raise TypeError("no object")
    return message


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN or Infinity")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key twice")
    return members


def problems(out: bytes, *, may_be_torn: bool) -> list[str]:
    """Check the whole output of a run.

    Args:
        out: Contents of stdout.
        may_be_torn: Whether the reader or SIGKILL may have cut the last line.

    Returns:
        Findings.
    """
    findings = []
    *lines, last_line = out.split(b"\n")
    if last_line and not may_be_torn:
        findings.append("I4 the last line is torn")
    streams: set[str] = set()
    for number, line in enumerate(lines, start=1):
        try:
            message = parsed(line)
        except (ValueError, TypeError, RecursionError) as error:
            findings.append(f"I4 line {number} is not strict: {type(error).__name__}")
            continue
        if message["type"] == "SCHEMA":
            streams.add(message["stream"])
        elif message["type"] in {"RECORD", "ACTIVATE_VERSION"} and message["stream"] not in streams:
            findings.append(f"I4 line {number}: {message['type']} before SCHEMA")
    return findings
