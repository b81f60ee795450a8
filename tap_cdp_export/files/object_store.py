"""A folder in an object store (S3, Google Cloud Storage, Azure Blob) or on this machine, through fsspec.

The clients of the stores try again by themselves. Their errors' texts hold addresses and keys, so none is passed on.
"""

from __future__ import annotations

import os
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
"""The schemes that are read, and the extra of this package that each needs."""

_BLOCK_BYTES: Final = 8 * 2**20
_READ_BYTES: Final = 2**20
_VERSIONS: Final = ("ETag", "etag", "mtime", "created")
_REFUSALS: Final = frozenset({401, 403})
_CREDENTIAL_ERRORS: Final = ("Credential", "Authentication", "RefreshError", "Token")


class StoredObject(NamedTuple):
    """An object as a listing shows it.

    Attributes:
        path: below the folder.
        size: in bytes.
        version: changes with its content.
    """

    path: str
    size: int
    version: str


class ObjectStore:
    """One folder, and everything below it."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        """Make the store's client.

        Args:
            url: of the folder, such as `s3://bucket/folder`.
            options: for the client, such as its credentials.

        Raises:
            SettingsError: If the client is not installed, or refuses the options.
            CdpExportError: One of the tree, if it asks somebody already, and fails.
        """
        scheme = url.partition("://")[0]
        if scheme == "gs" and "endpoint_url" in options:  # an emulator lacks the service gcsfs would ask for a minute
            os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        uncached = {"use_listings_cache": False, "skip_instance_cache": True}
        try:
            with _translate_errors():
                self._files, root = fsspec.url_to_fs(url, **{**options, **uncached})
        except ImportError:
            raise SettingsError(
                f"Addresses with {scheme}:// need a client: install the tap with its extra, "
                f"pip install 'tap-cdp-export[{SCHEMES.get(scheme)}]'."
            ) from None
        except FileNotFoundError:
            raise SettingsError("A file that bucket_options name is not there.") from None
        self._root = root.rstrip("/")

    def check(self, path: str) -> None:
        """Make sure that the bucket is there and that a folder may be listed, as far as that can be told.

        Args:
            path: the folder, which need not be there yet.

        Raises:
            SettingsError: If there is no such bucket.
            CredentialsRefused: If the credentials are missing or wrong.
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
            except CredentialsRefused:  # the rights may be for the one folder only
                return

    def folders(self, path: str) -> list[str]:
        """List the names of the folders directly in a folder.

        Args:
            path: the folder.

        Returns:
            Names; none if there is no such folder.
        """
        return [_name(entry) for entry in self._entries(path) if entry["type"] == "directory"]

    def objects(self, path: str) -> list[StoredObject]:
        """List the objects directly in a folder.

        Args:
            path: the folder.

        Returns:
            Objects; none if there is no such folder.
        """
        return [_to_object(entry, path) for entry in self._entries(path) if entry["type"] == "file"]

    def fetch(self, wanted: StoredObject) -> Spool:
        """Read an object, and make sure that it is the one that was listed.

        Args:
            wanted: the object.

        Returns:
            Its bytes.

        Raises:
            IncompleteAnswer: If it has changed or vanished since.
        """
        spool = Spool(self._chunks(wanted.path))
        folder = wanted.path.rpartition("/")[0]
        try:
            with _translate_errors():
                found = _to_object(self._files.info(f"{self._root}/{wanted.path}"), folder)
        except FileNotFoundError:
            found = None
        except BaseException:
            spool.close()
            raise
        if found != wanted or spool.size != wanted.size:
            spool.close()
            raise _changed_error(wanted.path)
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
            found = self._list(folder)
        except FileNotFoundError:  # a folder without objects does not exist
            return []
        own = folder.strip("/")
        return [entry for entry in found if entry["name"].strip("/") != own]  # consoles make an object for a folder

    def _list(self, folder: str) -> list[dict[str, Any]]:
        with STOP.interruptible(), _translate_errors():
            found: list[dict[str, Any]] = self._files.ls(folder, detail=True)
        return found


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]


def _to_object(entry: Mapping[str, Any], folder: str) -> StoredObject:
    version = next((str(entry[name]).strip('"') for name in _VERSIONS if entry.get(name) is not None), "")
    return StoredObject(f"{folder}/{_name(entry)}", int(entry["size"]), version)


def _changed_error(path: str) -> IncompleteAnswer:
    return IncompleteAnswer(f"The object {path} changed or vanished while it was read. Run again to go on with it.")


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Map the clients' errors; two pass, since what they mean depends on the place."""
    try:
        yield
    except (CdpExportError, FileNotFoundError, ImportError):
        raise
    except (TypeError, ValueError):  # some make themselves ready only when they are used first
        raise SettingsError("The client of the bucket refuses its options. Check bucket_options.") from None
    except Exception as error:  # noqa: BLE001 -- each client has errors of its own
        if isinstance(error, PermissionError) or _is_refusal(error):
            raise CredentialsRefused(
                "The bucket refuses access. Check bucket_options and the rights to list it and to read its objects."
            ) from None
        raise VendorUnavailable(
            f"The bucket cannot be read ({type(error).__name__}). "
            "Check bucket_url and bucket_options, or run again later."
        ) from None


def _is_refusal(error: Exception) -> bool:
    status = getattr(error, "status_code", getattr(error, "status", None))
    return status in _REFUSALS or any(word in type(error).__name__ for word in _CREDENTIAL_ERRORS)
