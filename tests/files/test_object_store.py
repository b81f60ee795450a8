"""Errors of the clients of object stores: what is refused, what has expired, and nothing of their texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from botocore.exceptions import (  # type: ignore[import-untyped]
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
)
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from google.auth.exceptions import RefreshError

from tap_cdp_export.errors import CdpExportError, CredentialsRefused, SettingsError, VendorUnavailable
from tap_cdp_export.files.object_store import ObjectStore, StoredObject
from tests.helpers.loopback import LoopbackServer, cut

if TYPE_CHECKING:
    from pathlib import Path

EXPIRED = "The credentials for the bucket have expired"
REFUSED = "The bucket refuses access"


class HttpError(Exception):
    """As in gcsfs, which must not be imported before `ObjectStore` has set what it reads on its import."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ClientError({"Error": {"Code": "ExpiredToken", "Message": "canary"}}, "List"), CredentialsRefused, EXPIRED),
        (ClientError({"Error": {"Code": "RequestExpired"}}, "List"), CredentialsRefused, EXPIRED),
        (OSError(22, "The provided token has expired. canary"), CredentialsRefused, EXPIRED),
        (RefreshError("invalid_grant: Token has been expired."), CredentialsRefused, EXPIRED),  # type: ignore[no-untyped-call]
        (ValueError("Bad Request: canary invalid_grant"), CredentialsRefused, EXPIRED),
        (ClientAuthenticationError("Signature not valid in the specified time frame"), CredentialsRefused, EXPIRED),
        (HttpError({"code": 401, "message": "Invalid Credentials"}), CredentialsRefused, REFUSED),
        (RefreshError("canary"), CredentialsRefused, REFUSED),  # type: ignore[no-untyped-call]
        (CredentialRetrievalError(provider="canary", error_msg="canary"), CredentialsRefused, REFUSED),
        (PermissionError("canary"), CredentialsRefused, REFUSED),
        (ValueError("canary"), SettingsError, "refuses its options"),
        (HttpError({"code": 500, "message": "canary"}), VendorUnavailable, "cannot be read"),
        (HttpResponseError("canary"), VendorUnavailable, "cannot be read"),
        (EndpointConnectionError(endpoint_url="canary"), VendorUnavailable, "cannot be read"),
    ],
    ids=repr,
)
def test_errors_of_the_clients_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, kind: type[CdpExportError], text: str
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(LocalFileSystem, "ls", fail)
    with pytest.raises(CdpExportError, match=text) as failure:
        ObjectStore(f"file://{tmp_path}", {}).objects("x")
    assert type(failure.value) is kind
    assert "canary" not in str(failure.value)


def test_a_session_token_that_expires_between_listing_and_reading_is_an_expired_credential() -> None:
    body = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with LoopbackServer(cut(f"{head}{body}".encode())) as server:
        options = {"key": "x", "secret": "y", "token": "z", "client_kwargs": {"region_name": "us-east-1"}}
        store = ObjectStore("s3://bucket/exports", {**options, "endpoint_url": server.url})
        with pytest.raises(CredentialsRefused, match=EXPIRED) as refusal:
            store.fetch(StoredObject("a/x.zip", 5, "etag"))
        assert any(request.startswith(b"HEAD ") for request in server.requests)
    assert refusal.value.exit_code == 11
