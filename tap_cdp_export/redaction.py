"""What may be said in a log: anything but a secret, in whatever form it comes."""

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

_MASK: Final = "(redacted)"
_SHORTEST_SECRET: Final = 4  # masking every "a" would make a log unreadable and hide nothing
_SHORTEST_PART: Final = 8  # a shorter value in a query, such as `host` or `3600`, is masked together with its name
_HTTP_LIBRARIES: Final = ("urllib3", "requests", "requests_oauthlib", "aiohttp", "asyncio", "backoff")
_STORE_LIBRARIES: Final = ("fsspec", "s3fs", "aiobotocore", "botocore", "gcsfs", "google", "adlfs", "azure", "msal")
_SILENCED: Final = frozenset({*_HTTP_LIBRARIES, *_STORE_LIBRARIES})
"""Libraries that tell whole URLs, addresses and headers in their logs; what they raise is told in our own words."""

_ABOVE_CRITICAL: Final = logging.CRITICAL + 1


def secret_values(config: Any, schema: Mapping[str, Any]) -> Iterator[str]:  # noqa: ANN401 -- any JSON
    """Find the values of all settings that the schema calls secret.

    Args:
        config: the settings, or a part of them.
        schema: the JSON schema of that part.

    Yields:
        Every text below a setting marked `secret`.
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
    """Replaces known secrets in any text, also URL-quoted, base64 or hexadecimal."""

    def __init__(self) -> None:
        """Know no secret yet."""
        self._forms: list[str] = []

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Mask these from now on.

        Args:
            secrets: values that must not be seen; too short ones are left out.
        """
        forms = set(self._forms)
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                raw = secret.encode()
                forms |= {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], raw.hex()}
                forms |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
                for encode in (base64.b64encode, base64.urlsafe_b64encode):
                    forms |= {encode(raw).decode(), encode(raw).decode().rstrip("=")}
        self._forms = sorted(forms, key=len, reverse=True)

    def learn_url(self, url: str) -> None:
        """Mask a URL that is a secret, however an HTTP library spells it.

        Libraries add a port, quote anew, or show only the part behind the host. A path that no signature goes with
        is the secret itself, and its last part would do as a file's name.

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
        """Mask all known secrets.

        Args:
            text: what is about to be said.

        Returns:
            The text without them.
        """
        for form in self._forms:
            if form in text:
                text = text.replace(form, _MASK)
        return text

    def install(self) -> None:
        """Let every handler speak through this redactor, and silence the libraries that tell addresses.

        Their loggers are disabled one by one too: a logging configuration, or a variable such as
        `S3FS_LOGGING_LEVEL`, may give each of them a level of its own.
        """
        for name in _SILENCED:
            logging.getLogger(name).setLevel(_ABOVE_CRITICAL)  # for those below it that are still to come
        loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
        for logger in loggers:
            if logger.name.partition(".")[0] in _SILENCED:
                logger.disabled = True
        for handler in {handler for logger in (logging.root, *loggers) for handler in logger.handlers}:
            if not isinstance(handler.formatter, _RedactingFormatter):
                handler.setFormatter(_RedactingFormatter(self, handler.formatter or logging.Formatter()))


class _RedactingFormatter(logging.Formatter):
    """Formats as another formatter does, then masks: so tracebacks and structured fields are masked too.

    A message stays one line, and the lines of a traceback are indented: nothing in a text from outside can look
    like a log line of its own.
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
    r"""Make a text from outside fit for a log: one line, without control characters.

    Args:
        text: such as the name of an object in a bucket.

    Returns:
        The same with an escape such as `\n` or `\x1b` for each character that is not printable.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _spellings(url: str) -> set[str]:
    """Spell a URL as `requests` and `urllib3` do."""
    spellings = {url}
    try:
        prepared = requests.Request("GET", url).prepare().url or url
        spellings |= {prepared, parse_url(prepared).url}
    except ValueError:  # then no library will ask for it either
        pass
    return spellings


def _query_secrets(query: str) -> Iterator[str]:
    """Give what of a query must not be seen by itself."""
    for pair in query.split("&"):
        value = pair.partition("=")[2]
        yield value if len(unquote(value)) >= _SHORTEST_PART else pair


REDACTOR: Final = Redactor()
"""The one of this process: handlers belong to the process, not to a tap."""
