"""Extract the vendor's reason from an error response: one line, at most 300 characters, with secrets masked.

Only documented message fields of a JSON object are quoted; an HTML page, a text or another field may contain
customer data. See docs/reliability.md, section 4.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from isal import isal_zlib as zlib

from tap_cdp_export.errors import IncompleteAnswer
from tap_cdp_export.files import strict_json
from tap_cdp_export.files.compression import GZIP_MAGIC, GZIP_WBITS, INFLATE_ERROR
from tap_cdp_export.http.responses import body
from tap_cdp_export.redaction import MASK, REDACTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

_FIELDS: Final = ("title", "detail", "message", "error", "error_description", "errors")
_MAX_BODY_BYTES: Final = 64 * 1024
_READ_SECONDS: Final = 10.0
_MAX_DEPTH: Final = 3  # such as `{"errors": [{"message": "…"}]}`
_MAX_LENGTH: Final = 300

_EMAIL: Final = re.compile(r"[^\s@<>\"'(),;:]{1,64}(?:@|%40)[^\s@<>\"'(),;:]{1,255}")
_QUERY: Final = re.compile(r"(?:(?<=://)([^\s?#\"'<>]{1,500})[?#]|[?#&][^\s\"'<>=?#&]{1,64}=)[^\s\"'<>]*")
_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_.-]{8,}|[A-Za-z0-9+/_=~%-]{24,}")
_WORDS: Final = re.compile(r"/?[A-Za-z]?[a-z]{1,14}(?:[-_/][A-Za-z]?[a-z]{1,14})+/?")
"""Names such as `custom_attributes_to_export` and paths such as `/audience/profiles`: no tokens, at any length."""


def read_reason(response: requests.Response, *, deadline: float) -> str:
    """Read the reason from an error response.

    Args:
        response: an open response; at most 64 KiB of its body are read, for at most 10 seconds.
        deadline: value of `time.monotonic` at which reading ends in any case.

    Returns:
        The sentence that `reason_in` returns, or an empty string.
    """
    text = bytearray()
    try:
        for chunk in body(response, deadline=min(deadline, time.monotonic() + _READ_SECONDS)):
            text += chunk
            if len(text) > _MAX_BODY_BYTES:
                return ""
    except IncompleteAnswer:  # the bytes read until now may contain the reason
        pass
    return reason_of(bytes(text))


def reason_of(text: bytes) -> str:
    """Extract the reason from the body of an error response.

    Args:
        text: the whole body, plain or gzip.

    Returns:
        The sentence that `reason_in` returns; empty if the body is not a JSON object.
    """
    try:
        if text.startswith(GZIP_MAGIC):
            text = zlib.decompressobj(GZIP_WBITS).decompress(text, _MAX_BODY_BYTES)
        return reason_in(strict_json.decode(text))
    except (INFLATE_ERROR, strict_json.InvalidJSON):
        return ""


def reason_in(answer: Any) -> str:  # noqa: ANN401 -- any JSON
    """Extract the reason from decoded JSON.

    Args:
        answer: decoded JSON of an error response.

    Returns:
        A sentence such as ` The vendor says: "Access Denied".`, with a leading space so that it can be appended to a
        message; empty if there is no reason.
    """
    if not isinstance(answer, dict):
        return ""
    reason = "; ".join(dict.fromkeys(filter(None, map(_cleaned, _texts(answer, _MAX_DEPTH)))))
    if len(reason) > _MAX_LENGTH:
        reason = reason[: _MAX_LENGTH - 1] + "…"
    return f' The vendor says: "{reason}".' if reason else ""


def _texts(value: Any, depth: int) -> Iterator[str]:  # noqa: ANN401 -- any JSON
    """Yield the strings in the documented fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth:
        for item in value:
            yield from _texts(item, depth - 1)
    elif isinstance(value, dict) and depth:
        for name in _FIELDS:
            yield from _texts(value.get(name), depth - 1)


def _cleaned(text: str) -> str:
    """Mask secrets, addresses and tokens; replace line breaks, control characters and double quotes."""
    text = REDACTOR.redact(text)
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.replace('"', "'").split()).rstrip(".")
    text = _QUERY.sub(rf"\1?{MASK}", text)
    text = _EMAIL.sub(MASK, text)
    return _TOKEN.sub(lambda match: match[0] if _WORDS.fullmatch(match[0]) else MASK, text)
