"""Access tokens of APSIS One: JWTs (HS256) with an `exp` claim."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any

import msgspec

from tap_cdp_export.sandbox.apsis.refusal import Refused
from tap_cdp_export.sandbox.apsis.request import json_object

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.options import ApsisOptions

_HEADER = b'{"alg":"HS256","typ":"JWT"}'
_PARTS = 3


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    iat: int
    exp: int
    jti: int


class Tokens:
    """Issues and checks tokens; keeps only the number of issued and revoked tokens."""

    def __init__(self) -> None:
        """Start without tokens."""
        self._issued = 0
        self._revoked = 0

    def issue(self, body: bytes, options: ApsisOptions) -> dict[str, Any]:
        """Build the response body of `POST /oauth/token`."""
        content = json_object(body)
        if content.get("grant_type") != "client_credentials":
            raise Refused(400, "grant_type must be client_credentials")
        credentials = f"{content.get('client_id')}:{content.get('client_secret')}".encode()
        if not hmac.compare_digest(credentials, f"{options.client_id}:{options.client_secret}".encode()):
            raise Refused(401, "Invalid client credentials")
        self._issued += 1
        now = int(time.time())
        claims = _Claims("apsis-one", options.client_id, now, now + options.token_seconds, self._issued)
        signing_input = _encoded(_HEADER) + b"." + _encoded(msgspec.json.encode(claims))
        return {
            "access_token": (signing_input + b"." + _signature(signing_input, options)).decode(),
            "expires_in": options.token_seconds if options.expires_in is None else options.expires_in,
            "token_type": "Bearer",
        }

    def revoke(self) -> None:
        """Revoke all tokens issued so far."""
        self._revoked = self._issued

    def check(self, authorization: str, options: ApsisOptions) -> None:
        """Raise `Refused` unless the header holds a valid token."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            raise Refused(401, "Bearer token required")
        signing_input, _, signature = token.encode().rpartition(b".")
        if token.count(".") != _PARTS - 1 or not hmac.compare_digest(signature, _signature(signing_input, options)):
            raise Refused(401, "Invalid token")
        payload = signing_input.partition(b".")[2]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=_Claims)
        if claims.exp <= time.time() or claims.jti <= self._revoked:
            raise Refused(options.expired_status, "Token has expired")


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _signature(signing_input: bytes, options: ApsisOptions) -> bytes:
    return _encoded(hmac.new(options.client_secret.encode(), signing_input, hashlib.sha256).digest())
