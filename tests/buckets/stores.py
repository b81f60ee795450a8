"""Local emulators of the object stores that a company's bucket may be in."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]
import pytest
import requests
from gcp_storage_emulator.server import create_server  # type: ignore[import-untyped]
from moto.server import ThreadedMotoServer

from tap_cdp_export.files.object_store import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_START_SECONDS = 20.0
_AZURITES_PUBLISHED_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Store:
    """An empty bucket.

    Attributes:
        url: of a folder in it.
        options: for its client.
    """

    url: str
    options: dict[str, Any] = field(default_factory=dict)

    def put(self, path: str, content: bytes) -> None:
        """Write an object."""
        files, root = fsspec.url_to_fs(self.url, **self.options)
        files.pipe_file(f"{root}/{path}", content)


@contextmanager
def s3(_folder: Path) -> Iterator[Store]:
    """S3, emulated by moto."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        requests.put(f"{url}/bucket", timeout=_START_SECONDS).raise_for_status()
        options = {"key": "x", "secret": "y", "endpoint_url": url, "client_kwargs": {"region_name": "us-east-1"}}
        yield Store("s3://bucket/exports", options)
    finally:
        server.stop()


@contextmanager
def google(_folder: Path) -> Iterator[Store]:
    """Google Cloud Storage, emulated by gcp-storage-emulator."""
    port = _free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    server.start()
    try:
        options = {"endpoint_url": f"http://127.0.0.1:{port}", "token": "anon", "project": "p"}
        store = Store("gs://bucket/exports", options)
        ObjectStore(store.url, store.options)  # gcsfs checks for an emulator when it is first imported
        yield store
    finally:
        server.stop()


@contextmanager
def azure(folder: Path) -> Iterator[Store]:
    """Azure Blob Storage, emulated by azurite, if it is installed."""
    azurite = shutil.which("azurite-blob")
    if azurite is None:
        pytest.skip("azurite-blob is not on PATH: npm install -g azurite")
    port = _free_port()
    command = [azurite, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder), "--silent"]
    with subprocess.Popen([*command, "--skipApiVersionCheck", "--disableTelemetry"]) as server:
        try:
            _wait_for(port)
            options = {
                "connection_string": "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
                f"AccountKey={_AZURITES_PUBLISHED_KEY};BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
            }
            fsspec.filesystem("az", **options).mkdir("bucket")
            yield Store("az://bucket/exports", options)
        finally:
            server.terminate()


@contextmanager
def local(folder: Path) -> Iterator[Store]:
    """A local folder."""
    yield Store(f"file://{folder}", {"auto_mkdir": True})


STORES: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "s3": s3,
    "gs": google,
    "az": azure,
    "file": local,
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
