"""No secret in a log, in whatever form it comes."""

from __future__ import annotations

import base64
import io
import json
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.config.settings import SETTINGS
from tap_cdp_export.redaction import Redactor, secret_values

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
    spelled = FORMS[form](secret)
    assert redactor.redact(f"before<{spelled}>after") == FRAME


@given(secrets=st.lists(SECRETS, min_size=2, max_size=4))
def test_a_secret_inside_another_does_not_leave_half_of_it(secrets: list[str]) -> None:
    redactor = Redactor()
    whole = "".join(secrets)
    redactor.add_secrets(secrets[:1])
    redactor.add_secrets([whole])
    assert redactor.redact(whole) == "(redacted)"


@given(text=st.text())
def test_a_text_without_a_secret_is_left_as_it_is(text: str) -> None:
    redactor = Redactor()
    redactor.add_secrets(["\ue000 a secret from the private use area"])
    assert redactor.redact(text) == text


def test_too_short_a_secret_does_not_make_the_log_unreadable() -> None:
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
    assert set(secret_values(config, SETTINGS)) == {"p-id", "p-secret", "a-id", "a-secret", "b-key"}


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
    assert text == "ERROR a (redacted), {'x': '(redacted)'}\nValueError: (redacted)\n"


@pytest.mark.parametrize("library", ["urllib3", "requests", "fsspec", "asyncio"])
def test_libraries_that_print_urls_are_held_back_even_at_debug(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(library), "level", logging.DEBUG)
    Redactor().install()
    assert not logging.getLogger(f"{library}.anything").isEnabledFor(logging.INFO)
    assert logging.getLogger(f"{library}.anything").isEnabledFor(logging.WARNING)


@pytest.mark.parametrize("library", ["s3fs", "botocore", "aiobotocore", "gcsfs", "adlfs", "azure", "google", "aiohttp"])
def test_clients_of_object_stores_do_not_even_log_their_errors(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(library), "level", logging.DEBUG)
    Redactor().install()
    assert not logging.getLogger(f"{library}.anything").isEnabledFor(logging.ERROR)
