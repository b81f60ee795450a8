"""Find the ends of values and members in JSON that may be cut off anywhere."""

from __future__ import annotations

import codecs
import re
from typing import Final

from tap_cdp_export.files import strict_json

_STRING_TAIL: Final = re.compile(rb'(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_TOKEN: Final = re.compile(rb'[\[{]|([\]}])|"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_SPACE: Final = re.compile(r"[ \t\n\r]*")


class BracketScanner:
    r"""Find the end of a member in data that arrives in parts.

    A string may be cut anywhere, even inside an escape. With the parts `{"a":"\` and `"]"}`, the backslash is kept and
    put before the second part: in `\"]"}` the string ends behind the bracket, and the member at the brace.
    """

    def __init__(self) -> None:
        """Start outside of all brackets and strings."""
        self._depth = 0
        self._is_in_string = False
        self._partial_escape = b""

    def member_end(self, part: bytes) -> int:
        """Scan the next part; return the index behind the bracket that closes the member, or 0 if it does not close."""
        offset = len(self._partial_escape)
        data = self._partial_escape + part
        start = 0
        if self._is_in_string:
            start = self._string_end(data, _STRING_TAIL.match(data))
        for token in () if self._is_in_string else _TOKEN.finditer(data, start):
            text = token[0]
            if text.startswith(b'"'):
                self._string_end(data, token)
            elif token[1]:
                self._depth -= 1
                if self._depth <= 0:
                    return token.end() - offset
            else:
                self._depth += 1
        return 0

    def _string_end(self, data: bytes, string: re.Match[bytes] | None) -> int:
        """Return where a string ends, and remember whether it goes on in the next part."""
        end = string.end() if string else 0
        self._is_in_string = not (string and string[string.re.groups])
        self._partial_escape = data[end:] if self._is_in_string else b""
        return end


def decode_prefix(data: bytes) -> str:
    """Decode UTF-8; a character that is cut off at the end is left out."""
    try:
        return codecs.utf_8_decode(data, "strict", False)[0]  # noqa: FBT003 -- the codec's own signature
    except UnicodeDecodeError:
        raise strict_json.InvalidJSON("is not valid UTF-8") from None


def skip_space(text: str, position: int) -> int:
    """Return the index of the first character that is no JSON white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def value_end(text: str, start: int, first: str) -> int:
    """Return the end of a JSON value; 0 if it is cut off or does not begin with `first`."""
    if text[start : start + 1] != first:
        return 0
    return strict_json.end_of_value(text, start)


def skip_separator(text: str, position: int, separator: str) -> int:
    """Return the index behind a separator and the space around it; 0 if the separator is missing."""
    position = skip_space(text, position) if position else len(text)
    return skip_space(text, position + 1) if text[position : position + 1] == separator else 0
