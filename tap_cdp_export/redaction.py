"""Mask secrets in log output: plain, URL-quoted, base64 or hexadecimal."""

from __future__ import annotations

import base64
import copy
import json
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

import requests
from urllib3.util import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MASK: Final = "(redacted)"
_SHORTEST_SECRET: Final = 4  # a secret of one letter would mask that letter everywhere
_SHORTEST_PART: Final = (
    8  # shorter query values, such as `host` or `3600`, are masked only as a pair: `X-Amz-Expires=3600`
)
_HTTP_LIBRARIES: Final = ("urllib3", "requests", "requests_oauthlib", "aiohttp", "asyncio", "backoff")
_STORE_LIBRARIES: Final = ("fsspec", "s3fs", "aiobotocore", "botocore", "gcsfs", "google", "adlfs", "azure", "msal")
_SILENCED: Final = frozenset({*_HTTP_LIBRARIES, *_STORE_LIBRARIES})
"""Libraries that log URLs, addresses and headers; the tap reports their exceptions with messages of its own."""

_ABOVE_CRITICAL: Final = logging.CRITICAL + 1


def secret_values(config: Any, schema: Mapping[str, Any]) -> Iterator[str]:  # noqa: ANN401 -- any JSON
    """Find the values of all settings that the schema marks as secret.

    Args:
        config: settings, or a part of them; may be invalid.
        schema: JSON schema of that part.

    Yields:
        Every string in a setting with `"secret": true`, at any depth.
    """
    if schema.get("secret"):
        yield from _texts(config)
    elif isinstance(config, dict):
        properties = schema.get("properties", {})
        for name, value in config.items():
            yield from secret_values(value, properties.get(name, {}))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


class Redactor:
    """Replaces secrets in text, also in URL-quoted, base64 and hexadecimal form."""

    def __init__(self) -> None:
        """Create a redactor without secrets."""
        self._forms: list[str] = []

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Add secrets to mask.

        Args:
            secrets: the values; those with fewer than four characters are ignored.
        """
        forms = set(self._forms)
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                raw = secret.encode(errors="replace")
                forms |= {secret, quote(raw, safe=""), quote_plus(raw), repr(secret)[1:-1], raw.hex()}
                forms |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
                for encode in (base64.b64encode, base64.urlsafe_b64encode):
                    forms |= {encode(raw).decode(), encode(raw).decode().rstrip("=")}
        self._forms = sorted(forms, key=len, reverse=True)

    def add_secret_url(self, url: str) -> None:
        """Add a URL that grants access to a file, in the forms in which HTTP libraries log it.

        Libraries normalize quoting or show the path and query only. A URL without a signature is secret by its path,
        and the file name at its end is masked too.

        Example: `https://a.test/f/export-1.zip?Expires=3600&Signature=c0ffeec0ffee` adds the URL,
        `/f/export-1.zip`, `export-1.zip`, the query, `Expires=3600` and `c0ffeec0ffee`.

        Args:
            url: an absolute URL.
        """
        texts: set[str] = set()
        for spelling in _spellings(url):
            parts = urlsplit(spelling)
            name = parts.path.rpartition("/")[2]
            texts |= {spelling, parts.path, parts.query, *_query_secrets(parts.query)}
            texts |= {name} if len(name) >= _SHORTEST_PART else set()
        self.add_secrets({form for text in texts for form in (text, unquote(text), unquote_plus(text))})

    def redact(self, text: str) -> str:
        """Mask all secrets in a text.

        Args:
            text: any text.

        Returns:
            The text with `(redacted)` in place of each secret.
        """
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def install(self) -> None:
        """Redact the output of all log handlers, and silence the libraries that log URLs.

        Each existing logger of these libraries is also disabled: a logging configuration, or a variable such as
        `S3FS_LOGGING_LEVEL`, may set its level.
        """
        for name in _SILENCED:
            logging.getLogger(name).setLevel(_ABOVE_CRITICAL)  # inherited by child loggers that are created later
        loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
        for logger in loggers:
            if logger.name.partition(".")[0] in _SILENCED:
                logger.disabled = True
        for handler in {handler for logger in (logging.root, *loggers) for handler in logger.handlers}:
            if not isinstance(handler.formatter, _RedactingFormatter):
                handler.setFormatter(_RedactingFormatter(self, handler.formatter or logging.Formatter()))


class _RedactingFormatter(logging.Formatter):
    r"""Redacts the output of another formatter, including tracebacks and structured fields.

    Control characters in messages are escaped, and lines of tracebacks are indented, so that external text cannot
    forge a log line: the message `"x\nERROR y"` is logged as the one line `x\nERROR y`.
    """

    def __init__(self, redactor: Redactor, inner: logging.Formatter) -> None:
        super().__init__()
        self._redactor = redactor
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info or not message.isprintable():
            record = copy.copy(record)
            record.msg, record.args = printable(self._redactor.redact(message)), ()
        if record.exc_info:
            text = self._redactor.redact(self._inner.formatException(record.exc_info))
            record.exc_text = "\n".join(f"  {printable(line)}" for line in text.splitlines())
        return self._redactor.redact(self._inner.format(record))


def printable(text: str) -> str:
    r"""Escape all characters that are not printable, so that external text stays on one line of a log.

    Args:
        text: for example the key of an object in a bucket.

    Returns:
        The text with an escape such as `\n` or `\x1b` for each such character.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _spellings(url: str) -> set[str]:
    """Return a URL as given, and as `requests` and `urllib3` normalize it."""
    spellings = {url}
    try:
        prepared = requests.Request("GET", url).prepare().url or url
        spellings |= {prepared, parse_url(prepared).url}
    except ValueError:  # an invalid URL; no library will request it
        pass
    return spellings


def _query_secrets(query: str) -> Iterator[str]:
    """Yield each value of a query, or the pair `name=value` if the value is short."""
    for pair in query.split("&"):
        value = pair.partition("=")[2]
        yield value if len(unquote(value)) >= _SHORTEST_PART else pair


REDACTOR: Final = Redactor()
"""Redactor of the process: log handlers are global."""
