"""Describe an answer by the names, types and forms in it, without any of its values.

A name may be a value too: attributes, segments and apps are named by customers. So a name is shown only if the vendor
documents it, or if it consists of technical words such as `file`, `download` and `url`. Any other is replaced by its
form: `{"anna@shop.example": 1}` becomes `{"{email}": "integer"}`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

MOST_PATHS: Final = 200
_MOST_ITEMS: Final = 50  # of a list, or of an object with many keys of one form
_MOST_DEPTH: Final = 12

_FORMS: Final = (
    ("empty", re.compile(r"\s*")),
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("digits", re.compile(r"[0-9]+")),
    ("decimal", re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?")),
    ("date", re.compile(r"\d{4}-\d\d-\d\d")),
    ("date-time", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?")),
    ("hex", re.compile(r"[0-9a-fA-F]{8,}")),
    ("url", re.compile(r"[a-z][a-z0-9+.-]{1,15}://\S*", re.IGNORECASE)),
    ("path", re.compile(r"/\S*")),
    ("email", re.compile(r"[^\s@]+@[^\s@]+")),
)
_KINDS: Final = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_NAME: Final = re.compile(r"[A-Za-z0-9_.$-]{1,64}")

_WORDS: Final = """
    accept access after age algorithm allow amz api at authenticate authorization attribute attributes base bearer
    before body bytes cache cf code common connection content control count created cookie cors credentials csv cursor
    data date default definition definitions delete deprecated description detail details digest disposition
    discriminator documentation download duration encoding end error errors etag event events expires expiry export
    exported exposed external file files filter form format frame gmt gzip handle has header headers href id ids
    identifier in index instance items job json key keys kind language last length limit limits link links list
    location max message metadata method methods min modified more name names next number object of offset options
    origin page pages parameter parameters path percent poll powered prefix previous processing profile profiles
    progress protection query range rate ratelimit raw ready reason record records referrer region remaining report
    request requested reset response result results retry row rows runtime schema section sections security segment
    segments self sequence server served set sha size sort sse start started state status storage strict sts success
    tag tags time timestamp title to token topic topics total trace transfer transport type types ua update updated
    url urls user users v value values vary version versions via warning with www x xss 1 2 3 4
"""
_TECHNICAL: Final = frozenset(_WORDS.split())

_TYPES: Final = """
    application/json application/problem+json application/xml application/zip application/gzip application/x-gzip
    application/x-zip-compressed application/octet-stream binary/octet-stream text/csv text/plain text/html text/xml
"""
_MEDIA_TYPES: Final = frozenset(_TYPES.split())
_ENCODINGS: Final = frozenset({"gzip", "identity", "deflate", "br", "zstd"})
OTHER: Final = "other"


def form(text: str) -> str:
    """Name the form of a text.

    Args:
        text: any text.

    Returns:
        Such as `uuid`, `digits`, `date-time` or `email`; `text` if it has none of these forms.
    """
    return next((name for name, pattern in _FORMS if pattern.fullmatch(text)), "text")


def shown_name(name: str, known: Collection[str]) -> str:
    """Give a name of a field or header as a report may show it.

    Args:
        name: as sent.
        known: the names that are documented.

    Returns:
        The name itself if it is documented or consists of technical words, else its form in braces.
    """
    if name in known:
        return name
    words = _WORD.findall(name) if _NAME.fullmatch(name) else []
    is_technical = bool(words) and all(word.lower() in _TECHNICAL for word in words) and not name.isdigit()
    return name if is_technical else f"{{{form(name)}}}"


def kind(value: Any) -> str:  # noqa: ANN401 -- any JSON
    """Name the type of a JSON value, and the form of a text.

    Args:
        value: decoded JSON.

    Returns:
        Such as `integer`, `null`, `object` or `text (date-time)`.
    """
    if isinstance(value, str):
        name = form(value)
        return name if name == "text" else f"text ({name})"
    name = _KINDS[type(value)]
    return name if value or not isinstance(value, list | dict) else f"{name} (empty)"


def shape(value: Any, known: Collection[str]) -> dict[str, list[str]]:  # noqa: ANN401 -- any JSON
    """Describe decoded JSON by its key paths and their types.

    Example: `{"items": [{"id": "7"}, {"id": 7}]}` gives
    `{"": ["object"], "items": ["array"], "items[]": ["object"], "items[].id": ["integer", "text (digits)"]}`.

    Args:
        value: decoded JSON.
        known: the names that are documented.

    Returns:
        The types seen at each path, at most 200 paths.
    """
    types: dict[str, set[str]] = {}
    for path, name in _walk(value, "", known, _MOST_DEPTH):
        if path in types or len(types) < MOST_PATHS:
            types.setdefault(path, set()).add(name)
    return {path: sorted(names) for path, names in types.items()}


def _walk(value: Any, path: str, known: Collection[str], depth: int) -> Iterator[tuple[str, str]]:  # noqa: ANN401 -- any JSON
    yield path, kind(value)
    if not depth:
        return
    if isinstance(value, list):
        for item in value[:_MOST_ITEMS]:
            yield from _walk(item, f"{path}[]", known, depth - 1)
    elif isinstance(value, dict):
        seen: dict[str, int] = {}
        for key, inner in value.items():
            name = shown_name(str(key), known)
            seen[name] = seen.get(name, 0) + 1
            if seen[name] <= _MOST_ITEMS:
                yield from _walk(inner, f"{path}.{name}" if path else name, known, depth - 1)


def header_names(headers: Iterable[str], known: Collection[str] = ()) -> list[str]:
    """List the names of headers, in lower case, as a report may show them.

    Args:
        headers: the names.
        known: further names that are documented.

    Returns:
        The names in order, each once.
    """
    return sorted({shown_name(name.lower(), known) for name in headers})


def media_type(headers: Mapping[str, str]) -> str:
    """Name the media type of an answer.

    Args:
        headers: of the answer.

    Returns:
        A type of a closed list, `other`, or an empty text if there is none.
    """
    return _one_of(_MEDIA_TYPES, headers.get("Content-Type", "").partition(";")[0])


def encoding(headers: Mapping[str, str]) -> str:
    """Name the content encoding of an answer.

    Args:
        headers: of the answer.

    Returns:
        An encoding of a closed list, `other`, or an empty text if there is none.
    """
    return _one_of(_ENCODINGS, headers.get("Content-Encoding", ""))


def _one_of(choices: frozenset[str], text: str) -> str:
    text = text.strip().lower()
    return text if text in choices or not text else OTHER
