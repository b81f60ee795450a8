"""Secrets are masked in the log, in every encoding."""

from __future__ import annotations

import base64
import io
import json
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.logging import StructuredFormatter
from singer_sdk.metrics import Metric, Point
from urllib3.util import parse_url

from tap_cdp_export.errors import UnusableAnswer
from tap_cdp_export.redaction import Redactor, printable, secret_values
from tests.helpers.configurations import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = "before<(redacted)>after"
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=30).filter(
    lambda secret: secret not in FRAME
)
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "URL-quoted": lambda secret: quote(secret, safe=""),
    "form-quoted": quote_plus,
    "a Python literal": lambda secret: repr(secret)[1:-1],
    "a JSON string": lambda secret: json.dumps(secret)[1:-1],
    "a JSON string with raw Unicode": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "URL-safe base64": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "base64 without padding": lambda secret: base64.b64encode(secret.encode()).decode().rstrip("="),
    "hexadecimal": lambda secret: secret.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
@given(secret=SECRETS)
def test_a_secret_is_masked_in_every_form(form: str, secret: str) -> None:
    redactor = Redactor()
    redactor.add_secrets([secret])
    encoding = FORMS[form](secret)
    assert redactor.redact(f"before<{encoding}>after") == FRAME


@given(secrets=st.lists(SECRETS, min_size=2, max_size=4))
def test_a_secret_that_contains_another_is_masked_completely(secrets: list[str]) -> None:
    redactor = Redactor()
    long_secret = "".join(secrets)
    redactor.add_secrets(secrets[:1])
    redactor.add_secrets([long_secret])
    assert redactor.redact(long_secret) == "(redacted)"


@given(text=st.text())
def test_a_text_without_a_secret_is_unchanged(text: str) -> None:
    redactor = Redactor()
    redactor.add_secrets(["\ue000 a secret from the private use area"])
    assert redactor.redact(text) == text


def test_a_secret_of_fewer_than_four_characters_is_not_masked() -> None:
    redactor = Redactor()
    redactor.add_secrets(["", "a", "abc"])
    assert redactor.redact("an abacus") == "an abacus"


def test_every_secret_setting_is_found_and_no_other() -> None:
    config = {
        "start_date": "2024-01-01",
        "personalization": {"account_name": "acme", "api_key_id": "p-id", "api_key_secret": "p-secret"},
        "apsis": {"client_id": "a-id", "client_secret": "a-secret", "attributes": ["x"], "extra_body": {"y": "z"}},
        "braze": {"api_key": "b-key", "base_url": "https://b.example", "segment_ids": ["s"]},
        "unknown": {"api_key": "not known to be one"},
    }
    assert set(secret_values(config, SETTINGS)) == {
        "p-id",
        "p-secret",
        "a-id",
        "a-secret",
        "b-key",
    }


def test_every_text_inside_a_secret_object_is_a_secret() -> None:
    schema = {"properties": {"options": {"type": "object", "secret": True}}}
    config = {"options": {"key": "one", "deep": {"list": ["two", {"x": "three"}], "n": 4}}}
    assert list(secret_values(config, schema)) == ["one", "two", "three"]


@pytest.mark.parametrize("config", [None, [], "text", {"braze": "text"}, {"braze": {"api_key": 5}}, {"braze": None}])
def test_settings_of_a_wrong_shape_do_not_stop_the_search(config: object) -> None:
    assert list(secret_values(config, SETTINGS)) == []


def test_logging_is_masked_in_messages_arguments_and_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    redactor = Redactor()
    redactor.install()
    redactor.add_secrets(["canary-secret"])
    redactor.install()
    failure = ValueError("canary-secret")
    logging.getLogger("anything").error("a canary-secret, %s", {"x": "canary-secret"}, exc_info=failure)
    text = out.getvalue()
    assert "canary" not in text
    assert text == "ERROR a (redacted), {'x': '(redacted)'}\n  ValueError: (redacted)\n"


FORGERIES = [
    "x\nERROR forged",
    "x\r\x1b[31mforged",
    "x\x85forged",
    "x\u2028forged",
    "x\u202eforged",
    "x\ud800",
    "x\x9b1m",
]


@pytest.mark.parametrize("name", FORGERIES)
def test_external_text_cannot_forge_a_line_of_the_log(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    Redactor().install()
    logger = logging.getLogger("tap_cdp_export.anything")
    logger.warning("The object %s is not whole.", name)
    logger.error("The same.", exc_info=ValueError(name))
    logger.critical("%s", UnusableAnswer(f"The object {name}: bad."))
    lines = out.getvalue().removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if not line.startswith("  ")] == [
        f"WARNING The object {printable(name)} is not whole.",
        "ERROR The same.",
        f"CRITICAL The object {printable(name)}: bad.",
    ]
    assert str(UnusableAnswer(name)).isprintable()


@given(text=st.text())
def test_printable_text_is_unchanged_and_other_characters_are_escaped(text: str) -> None:
    assert printable(text).isprintable()
    assert (printable(text) == text) == text.isprintable()
    assert printable(printable(text)) == printable(text)


def test_metrics_stay_metrics_for_structured_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(StructuredFormatter())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    Redactor().install()
    logging.getLogger("tap_cdp_export").warning("METRIC: %s", Point("counter", Metric.RECORD_COUNT, 5))
    assert json.loads(out.getvalue())["metric_info"]["value"] == 5


# A URL that is a secret

SIGNED_URL = (
    "https://Storage.test/a b/../c/Iw_2CAuI{}mvAé.zip?X-Amz-Expires=3600&X-Amz-Signature=c0ffee%2fc0ffee+c0ffee=="
)
UNSIGNED_URL = "https://storage.test:443/Iw_2CAuI2mvAemo2jRTbG6IBUkzpJNBbYSMwPHO082o.zip"


def seen_by_a_library(url: str) -> set[str]:
    """Return a URL and its parts in the forms in which requests and urllib3 log them."""
    prepared = requests.Request("GET", url).prepare()
    parsed = parse_url(str(prepared.url))
    parts = {
        str(prepared.url),
        prepared.path_url,
        parsed.url,
        parsed.request_uri,
        parsed.path or "",
        parsed.query or "",
    }
    parts |= {f"{parsed.scheme}://{parsed.host}:443{parsed.request_uri}", url}
    parts |= {part.rpartition("/")[2] for part in parts} | {part.rpartition("Signature=")[2] for part in parts}
    return parts | {unquote(part) for part in parts}


@pytest.mark.parametrize("url", [SIGNED_URL, UNSIGNED_URL])
def test_a_secret_url_is_masked_in_every_form_in_which_libraries_log_it(url: str) -> None:
    redactor = Redactor()
    redactor.add_secret_url(url)
    for spelling in seen_by_a_library(url):
        message = redactor.redact(f"Failed to parse headers (url={spelling}): odd").lower()
        assert "c0ffee" not in message
        assert "iw_2" not in message
        assert "mva" not in message


def test_short_values_of_a_url_are_masked_only_with_their_name() -> None:
    redactor = Redactor()
    redactor.add_secret_url(SIGNED_URL)
    assert redactor.redact("3600 s, host") == "3600 s, host"
    assert "3600" not in redactor.redact("?X-Amz-Expires=3600&x=1")


@pytest.mark.parametrize("url", ["http://", "https://a.test:x/secret-path"])
def test_an_invalid_url_is_masked_as_given(url: str) -> None:
    redactor = Redactor()
    redactor.add_secret_url(url)
    assert redactor.redact(f"<{url}>") == "<(redacted)>"


LIBRARIES = ["urllib3", "requests", "asyncio", "fsspec", "s3fs", "botocore", "aiobotocore", "gcsfs", "adlfs", "azure"]


@pytest.mark.parametrize("library", [*LIBRARIES, "google", "aiohttp"])
def test_libraries_that_log_urls_are_silent_at_any_level(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    for name in (library, f"{library}.there", f"{library}.new"):  # as a logging configuration may do
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "level", logging.NOTSET if name.endswith("new") else logging.DEBUG)
        monkeypatch.setattr(logger, "disabled", False)
        monkeypatch.setattr(logger, "handlers", [handler])
    Redactor().install()
    monkeypatch.setattr(logging.getLogger(f"{library}.new"), "disabled", False)  # as if created after install()
    logging.getLogger(library).setLevel(logging.DEBUG)  # as S3FS_LOGGING_LEVEL does on import
    for name in (library, f"{library}.there"):
        logging.getLogger(name).critical("https://canary.test")
    logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    logging.getLogger(f"{library}.new").critical("https://canary.test")
    assert out.getvalue() == ""


def test_handlers_of_other_loggers_are_redacted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    logger = logging.getLogger("tap-cdp-export.of-its-own")
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(out)])
    redactor = Redactor()
    redactor.add_secrets(["canary-secret"])
    redactor.install()
    logger.warning("canary-secret")
    assert out.getvalue() == "(redacted)\n"
