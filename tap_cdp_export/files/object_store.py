"""Read a folder of an object store (S3, Google Cloud Storage, Azure Blob) or of the local disk through fsspec.

The fsspec clients retry by themselves. Their error texts contain addresses and keys, so they are never passed on.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import fsspec  # type: ignore[import-untyped]

from tap_cdp_export.errors import (
    CdpExportError,
    CredentialsRefused,
    IncompleteAnswer,
    SettingsError,
    VendorUnavailable,
)
from tap_cdp_export.files.spool import Spool
from tap_cdp_export.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMES: Final = {"s3": "s3", "gs": "gcs", "az": "azure", "file": None}
"""Supported URL schemes, and the extra of this package that each requires."""

_BLOCK_BYTES: Final = 8 * 2**20
_READ_BYTES: Final = 2**20
_VERSIONS: Final = ("ETag", "etag", "mtime", "created")
_REFUSALS: Final = frozenset({401, 403})
_STATUSES: Final = ("status_code", "status", "code")
_CREDENTIAL_ERRORS: Final = ("Credential", "Authentication", "RefreshError", "Token")
_EXPIRED: Final = re.compile(
    r"\bexpired\b|ExpiredToken|RequestExpired|TokenRefreshRequired|invalid_grant|not valid in the specified time frame",
    re.IGNORECASE,
)
"""Texts of credentials that were valid once, such as the session token of a role; they are searched, never shown."""


class StoredObject(NamedTuple):
    """An entry of a listing.

    Attributes:
        path: path relative to the folder of the store.
        size: size in bytes.
        version: ETag or modification time, which changes with the content.
    """

    path: str
    size: int
    version: str


class ObjectStore:
    """A folder and its subfolders."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        """Create the fsspec client.

        Args:
            url: URL of the folder, such as `s3://bucket/folder`.
            options: keyword arguments of the client, such as credentials.

        Raises:
            SettingsError: If the client is not installed, or rejects the options.
            CdpExportError: If the client connects on construction, and that fails.
        """
        scheme = url.partition("://")[0]
        if scheme == "gs" and "endpoint_url" in options:  # emulators lack a service that gcsfs retries for a minute
            os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        cache_options = {"use_listings_cache": False, "skip_instance_cache": True}
        try:
            with _translate_errors():
                self._files, root = fsspec.url_to_fs(url, **{**options, **cache_options})
        except ImportError:
            raise SettingsError(
                f"Addresses with {scheme}:// need a client: install the tap again with its extra {SCHEMES.get(scheme)}."
            ) from None
        except FileNotFoundError:
            raise SettingsError("A file that bucket_options name is not there.") from None
        self._root = root.rstrip("/")

    def check(self, path: str) -> None:
        """Check that the bucket exists and that a folder may be listed.

        Args:
            path: the folder; need not exist yet.

        Raises:
            SettingsError: If the bucket does not exist.
            CredentialsRefused: If the credentials are missing, wrong or expired.
            VendorUnavailable: If the store cannot be read.
        """
        is_local = "file" in self._files.protocol
        bucket = self._root if is_local else self._root.partition("/")[0]
        try:
            self._list(f"{self._root}/{path}")
        except FileNotFoundError:
            try:
                self._list(bucket)
            except FileNotFoundError:
                raise SettingsError("There is no such bucket or folder. Check bucket_url.") from None
            except CredentialsRefused:  # the rights may cover the folder alone
                return

    def folders(self, path: str) -> list[str]:
        """Return the names of the subfolders of a folder; empty if the folder does not exist."""
        return [_name(entry) for entry in self._entries(path) if entry["type"] == "directory"]

    def objects(self, path: str) -> list[StoredObject]:
        """Return the objects directly in a folder; empty if the folder does not exist."""
        return [_to_object(entry, path) for entry in self._entries(path) if entry["type"] == "file"]

    def fetch(self, stored_object: StoredObject) -> Spool:
        """Read an object, and check that it is still the listed version.

        Args:
            stored_object: the object, as listed.

        Returns:
            Its content.

        Raises:
            IncompleteAnswer: If it has changed or disappeared since it was listed.
            CredentialsRefused: If the credentials have expired since then.
        """
        folder = stored_object.path.rpartition("/")[0]
        try:
            return self._fetch(stored_object, folder)
        except VendorUnavailable:
            self._list(f"{self._root}/{folder}")  # S3 gives no reason for a refused HEAD, but for a refused listing
            raise

    def _fetch(self, stored_object: StoredObject, folder: str) -> Spool:
        spool = Spool(self._chunks(stored_object.path), announced_size=stored_object.size)
        try:
            with _translate_errors():
                current = _to_object(self._files.info(f"{self._root}/{stored_object.path}"), folder)
        except FileNotFoundError:
            current = None
        except BaseException:
            spool.close()
            raise
        if current != stored_object or spool.size != stored_object.size:
            spool.close()
            raise _changed_error(stored_object.path)
        return spool

    def _chunks(self, path: str) -> Iterator[bytes]:
        try:
            with _translate_errors(), self._files.open(f"{self._root}/{path}", "rb", block_size=_BLOCK_BYTES) as file:
                while chunk := file.read(_READ_BYTES):
                    STOP.raise_if_stopped()
                    yield chunk
        except FileNotFoundError:
            raise _changed_error(path) from None

    def _entries(self, path: str) -> list[dict[str, Any]]:
        folder = f"{self._root}/{path}"
        try:
            entries = self._list(folder)
        except FileNotFoundError:  # a folder without objects does not exist
            return []
        name = folder.strip("/")
        return [entry for entry in entries if entry["name"].strip("/") != name]  # consoles create an object per folder

    def _list(self, folder: str) -> list[dict[str, Any]]:
        with STOP.interruptible(), _translate_errors():
            entries: list[dict[str, Any]] = self._files.ls(folder, detail=True)
        return entries


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]


def _to_object(entry: Mapping[str, Any], folder: str) -> StoredObject:
    version = next((str(entry[name]).strip('"') for name in _VERSIONS if entry.get(name) is not None), "")
    return StoredObject(f"{folder}/{_name(entry)}", int(entry["size"]), version)


def _changed_error(path: str) -> IncompleteAnswer:
    return IncompleteAnswer(f"The object {path} changed or vanished while it was read. Run again to go on with it.")


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Translate client errors; FileNotFoundError and ImportError are left to the caller."""
    try:
        yield
    except (CdpExportError, FileNotFoundError, ImportError):
        raise
    except Exception as error:  # noqa: BLE001 -- each client has its own exception classes
        if _EXPIRED.search(f"{error} {error.__cause__}"):
            raise CredentialsRefused(
                "The credentials for the bucket have expired. Renew them, in bucket_options or wherever this machine "
                "takes them from, and run again: the next run goes on with the same export."
            ) from None
        if isinstance(error, TypeError | ValueError):  # some clients read their options on first use
            raise SettingsError("The client of the bucket refuses its options. Check bucket_options.") from None
        if isinstance(error, PermissionError) or _is_refusal(error):
            raise CredentialsRefused(
                "The bucket refuses access. Check bucket_options and the rights to list it and to read its objects."
            ) from None
        raise VendorUnavailable(
            f"The bucket cannot be read ({type(error).__name__}). "
            "Check bucket_url and bucket_options, or run again later."
        ) from None


def _is_refusal(error: Exception) -> bool:
    is_refused = any(getattr(error, name, None) in _REFUSALS for name in _STATUSES)
    return is_refused or any(word in type(error).__name__ for word in _CREDENTIAL_ERRORS)
