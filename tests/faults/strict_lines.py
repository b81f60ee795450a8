"""A reader of Singer lines that forgives nothing."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

_LONGEST_LINE: Final = 50 * 2**20


def parsed(line: bytes, *, unique: bool = True) -> dict[str, Any]:
    """Parse one line strictly.

    Args:
        line: without its newline.
        unique: whether to refuse an object that has a key twice.

    Returns:
        The message.

    Raises:
        ValueError: If it is no JSON object, is too long, or holds what strict readers refuse.
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
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def problems(out: bytes, *, may_be_torn: bool) -> list[str]:
    """Check a run's whole output.

    Args:
        out: its stdout.
        may_be_torn: whether the reader or SIGKILL cut it.

    Returns:
        What is wrong with it.
    """
    found = []
    *lines, rest = out.split(b"\n")
    if rest and not may_be_torn:
        found.append("I4 the last line is torn")
    known: set[str] = set()
    for number, line in enumerate(lines, start=1):
        try:
            message = parsed(line)
        except (ValueError, TypeError, RecursionError) as error:
            found.append(f"I4 line {number} is not strict: {type(error).__name__}")
            continue
        if message["type"] == "SCHEMA":
            known.add(message["stream"])
        elif message["type"] in {"RECORD", "ACTIVATE_VERSION"} and message["stream"] not in known:
            found.append(f"I4 line {number}: {message['type']} before SCHEMA")
    return found
