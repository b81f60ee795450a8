"""The vendor's own reason for a refusal, fit for a log: bounded, without secrets, on one line.

Only the fields that are documented for people are quoted, and only those of a JSON object: an HTML page, a text
or another field may hold anything.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from isal import isal_zlib as zlib

from tap_cdp_export.errors import IncompleteAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.compression import INFLATE_ERROR
from tap_cdp_export.http.responses import body
from tap_cdp_export.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

_FIELDS: Final = ("title", "detail", "message", "error", "error_description", "errors")
_LARGEST_BODY: Final = 64 * 1024
_READ_SECONDS: Final = 10.0
_DEEPEST: Final = 3  # such as `{"errors": [{"message": "…"}]}`
_LONGEST: Final = 300
_MASK: Final = "(redacted)"

_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31

_ADDRESS: Final = re.compile(r"[^\s@<>\"'(),;:]{1,64}(?:@|%40)[^\s@<>\"'(),;:]{1,255}")
_QUERY: Final = re.compile(r"(?:(?<=://)([^\s?#\"'<>]{1,500})[?#]|[?#&][^\s\"'<>=?#&]{1,64}=)[^\s\"'<>]*")
_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_.-]{8,}|[A-Za-z0-9+/_=~%-]{24,}")
_WORDS: Final = re.compile(r"/?[A-Za-z]?[a-z]{1,14}(?:[-_/][A-Za-z]?[a-z]{1,14})+/?")
"""Names such as `custom_attributes_to_export` and paths such as `/audience/profiles` are no tokens, however long."""


def read_reason(response: requests.Response, *, deadline: float) -> str:
    """Read the reason from the body of a refusal.

    Args:
        response: an open answer; of its body some bytes are read, for some seconds.
        deadline: `time.monotonic` by which the reading ends in any case.

    Returns:
        As `reason_of`.
    """
    text = bytearray()
    try:
        for chunk in body(response, deadline=min(deadline, time.monotonic() + _READ_SECONDS)):
            text += chunk
            if len(text) > _LARGEST_BODY:
                return ""
    except IncompleteAnswer:  # what has come may be enough, such as at the deadline
        pass
    return reason_of(bytes(text))


def reason_of(text: bytes) -> str:
    """Find the reason in the body of a refusal.

    Args:
        text: the whole body, plain or gzip.

    Returns:
        As `reason_in`; empty if the body is no JSON object.
    """
    try:
        if text.startswith(_GZIP):
            text = zlib.decompressobj(_GZIP_WINDOW).decompress(text, _LARGEST_BODY)
        return reason_in(strict_json.decode(text))
    except (INFLATE_ERROR, strict_json.InvalidJSON):
        return ""


def reason_in(answer: Any) -> str:  # noqa: ANN401 -- any JSON
    """Find the reason in an answer.

    Args:
        answer: decoded JSON.

    Returns:
        A sentence that quotes it, to be put behind what happened: with a space before it, and empty if there is none.
    """
    if not isinstance(answer, dict):
        return ""
    said = "; ".join(dict.fromkeys(filter(None, map(_cleaned, _texts(answer, _DEEPEST)))))
    if len(said) > _LONGEST:
        said = said[: _LONGEST - 1] + "…"
    return f' The vendor says: "{said}".' if said else ""


def _texts(value: Any, depth: int) -> Iterator[str]:  # noqa: ANN401 -- any JSON
    """Find all texts under the documented names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth:
        for item in value:
            yield from _texts(item, depth - 1)
    elif isinstance(value, dict) and depth:
        for name in _FIELDS:
            yield from _texts(value.get(name), depth - 1)


def _cleaned(text: str) -> str:
    """Take out what must not be seen, and what would break the line or the quotation."""
    text = REDACTOR.redact(text)
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.replace('"', "'").split()).rstrip(".")
    text = _QUERY.sub(rf"\1?{_MASK}", text)
    text = _ADDRESS.sub(_MASK, text)
    return _TOKEN.sub(lambda found: found[0] if _WORDS.fullmatch(found[0]) else _MASK, text)
