"""APSIS One's access tokens: real JWTs (HS256) whose `exp` clients should read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any

import msgspec

from tap_cdp_export.sandbox.apsis.request import Refused, json_object

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
    """Issues tokens and recognises them; keeps only how many there were and how many are revoked."""

    def __init__(self) -> None:
        """Begin with none."""
        self._issued = 0
        self._revoked = 0

    def issue(self, body: bytes, options: ApsisOptions) -> dict[str, Any]:
        """The answer to `POST /oauth/token`."""
        asked = json_object(body)
        if asked.get("grant_type") != "client_credentials":
            raise Refused(400, "grant_type must be client_credentials")
        given = f"{asked.get('client_id')}:{asked.get('client_secret')}".encode()
        if not hmac.compare_digest(given, f"{options.client_id}:{options.client_secret}".encode()):
            raise Refused(401, "Invalid client credentials")
        self._issued += 1
        now = int(time.time())
        claims = _Claims("apsis-one", options.client_id, now, now + options.token_seconds, self._issued)
        signed = _encoded(_HEADER) + b"." + _encoded(msgspec.json.encode(claims))
        return {
            "access_token": (signed + b"." + _signature(signed, options)).decode(),
            "expires_in": options.token_seconds if options.expires_in is None else options.expires_in,
            "token_type": "Bearer",
        }

    def revoke(self) -> None:
        """All tokens issued so far are dead."""
        self._revoked = self._issued

    def check(self, authorization: str, options: ApsisOptions) -> None:
        """Refuse a request without a token that lives."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            raise Refused(401, "Bearer token required")
        signed, _, signature = token.encode().rpartition(b".")
        if token.count(".") != _PARTS - 1 or not hmac.compare_digest(signature, _signature(signed, options)):
            raise Refused(401, "Invalid token")
        payload = signed.partition(b".")[2]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=_Claims)
        if claims.exp <= time.time() or claims.jti <= self._revoked:
            raise Refused(options.expired_status, "Token has expired")


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _signature(signed: bytes, options: ApsisOptions) -> bytes:
    return _encoded(hmac.new(options.client_secret.encode(), signed, hashlib.sha256).digest())
