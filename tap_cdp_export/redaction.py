"""What may be said in a log: anything but a secret, in whatever form it comes."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MASK: Final = "(redacted)"
_SHORTEST_SECRET: Final = 4  # masking every "a" would make a log unreadable and hide nothing
_CHATTY_LIBRARIES: Final = ("urllib3", "requests", "asyncio", "fsspec", "backoff")
_STORE_CLIENTS: Final = ("s3fs", "aiobotocore", "botocore", "gcsfs", "adlfs", "azure", "google", "aiohttp")


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
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                raw = secret.encode()
                forms = {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], raw.hex()}
                forms |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
                for encode in (base64.b64encode, base64.urlsafe_b64encode):
                    forms |= {encode(raw).decode(), encode(raw).decode().rstrip("=")}
                self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

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
        """Let every handler of the root logger speak through this redactor, and hold other libraries at WARNING."""
        for handler in logging.getLogger().handlers:
            if not isinstance(handler.formatter, _RedactingFormatter):
                handler.setFormatter(_RedactingFormatter(self, handler.formatter or logging.Formatter()))
        for name in _CHATTY_LIBRARIES:  # at DEBUG they print whole URLs and headers
            logging.getLogger(name).setLevel(logging.WARNING)
        for name in _STORE_CLIENTS:  # what they raise they log too, with addresses
            logging.getLogger(name).setLevel(logging.CRITICAL)


class _RedactingFormatter(logging.Formatter):
    """Formats as another formatter does, then masks: so tracebacks and structured fields are masked too."""

    def __init__(self, redactor: Redactor, inner: logging.Formatter) -> None:
        super().__init__()
        self._redactor = redactor
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.redact(self._inner.format(record))


REDACTOR: Final = Redactor()
"""The one of this process: handlers belong to the process, not to a tap."""
