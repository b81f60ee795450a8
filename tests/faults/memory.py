"""C9: measures peak memory for exports of 1 MB, 100 MB and 2 GB, as an APSIS file and as a Braze archive.

A small server sends the same realistic megabyte repeatedly, each time with other keys, as generating two gigabytes
would measure the sandbox. The tap is the real command; its output is read and discarded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_cdp_export.sandbox.apsis import export_profiles
from tap_cdp_export.sandbox.clock import milliseconds
from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.population import Population

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_MB: Final = 1_000_000
_SIZES: Final = (1 * _MB, 100 * _MB, 2_000 * _MB)
_MAX_MIB: Final = 150
_NOW: Final = "2026-11-10T12:00:00Z"
_START: Final = "2026-09-01T00:00:00Z"
_MEMBER_BYTES: Final = 50 * _MB
_SEGMENT: Final = "0d5a7c1e-3f42-4b8a-9c60-5e1f2a3b4c5d"


def _population() -> Population:
    return Population(Options(population=PopulationOptions(users=3_000, now=_NOW)))


def _profiles() -> bytes:
    """Generate about a megabyte of profiles, each followed by a comma; `KEY` is the placeholder for the key."""
    population, request = _population(), export_profiles.everything(milliseconds(_START), milliseconds(_NOW))
    text = bytearray()
    for key, profile in population.apsis_profiles(milliseconds(_NOW), request):
        text += b'"KEY%s":%s,' % (key.encode(), msgspec.json.encode(profile))
        if len(text) > _MB:
            break
    return bytes(text)


def _lines() -> bytes:
    """Generate about a megabyte of users, one per line; `KEY` is the placeholder for the key."""
    text = bytearray()
    for user in _population().braze_users(_SEGMENT, milliseconds(_NOW)):
        text += msgspec.json.encode({**user, "braze_id": f"KEY{user['braze_id']}"}) + b"\n"
        if len(text) > _MB:
            break
    return bytes(text)


def _repeated(text: bytes, size: int) -> Iterator[bytes]:
    for number in range(max(1, size // len(text))):
        yield text.replace(b'"KEY', b'"%010d' % number)


def _write_export_file(file: BinaryIO, size: int) -> None:
    file.write(b'{"profiles":{')
    file.writelines(_repeated(_profiles(), size))
    file.write(b'"the last":{"sections":{}}}}')


def _write_archive(file: BinaryIO, size: int) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        bytes_left, parts = 0, _repeated(_lines(), size)
        member: Any = None
        for number, part in enumerate(parts):
            if bytes_left <= 0:
                if member:
                    member.close()
                member, bytes_left = archive.open(f"{number}.txt", "w"), _MEMBER_BYTES
            member.write(part)
            bytes_left -= len(part)
        member.close()


class _Vendor(BaseHTTPRequestHandler):
    """Serves token, export request and file of APSIS One, export request and archive of Braze, and a page of users."""

    protocol_version = "HTTP/1.1"
    file: Path

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        url = f"http://{self.headers['Host']}/file?x=1"
        answer = {"access_token": "token", "expires_in": 86_400, "file_download_url": url, "url": url}
        self._send(200, json.dumps({**answer, "message": "success", "object_prefix": "p"}).encode())

    def do_GET(self) -> None:
        if "/accounts." in self.path:
            self._send(200, b"[]" if "/accounts.json" in self.path else b"name\n")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.file.stat().st_size))
        self.end_headers()
        with self.file.open("rb") as file:
            self.connection.sendfile(file)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Disable logging."""


@contextmanager
def serving(file: Path) -> Iterator[str]:
    """Serve a file as the export of every vendor.

    Args:
        file: the export.

    Yields:
        The server's origin.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Vendor", (_Vendor,), {"file": file}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _settings(vendor: str, url: str) -> dict[str, Any]:
    vendor_settings: dict[str, dict[str, Any]] = {
        "apsis": {"client_id": "i", "client_secret": "secret", "attributes": [{"version_id": "1"}],
                  "events": [{"version_id": "2"}], "window_days": 80},
        "braze": {"api_key": "secret", "segment_ids": [_SEGMENT]},
    }  # fmt: skip
    return {"start_date": _START, "end_date": _NOW, vendor: {"base_url": url, **vendor_settings[vendor]}}


def _measure_run(vendor: str, file: Path, folder: Path) -> tuple[int, int, int, float]:
    """Run the command; return exit code, number of records, peak memory in MiB, and seconds."""
    with serving(file) as url:
        config = folder / "config.json"
        config.write_text(json.dumps(_settings(vendor, url)))
        start_time = time.monotonic()
        command = [sys.executable, "-m", "tap_cdp_export", "--config", str(config)]
        environment = {**os.environ, "TMPDIR": str(folder)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        records = 0
        if process.stdout:
            while chunk := process.stdout.read(_MB):
                records += chunk.count(b'{"type":"RECORD"')
            process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, records, usage.ru_maxrss // 1024, time.monotonic() - start_time


def measure() -> int:
    """Measure all sizes and print a table.

    Returns:
        Exit code: 1 if a run failed or used too much memory.
    """
    sys.stdout.write(
        "| export | plain size | file | records | peak memory | seconds |\n|---|---:|---:|---:|---:|---:|\n"
    )
    worst = 0
    for vendor, write in (("apsis", _write_export_file), ("braze", _write_archive)):
        for size in _SIZES:
            with tempfile.TemporaryDirectory() as name:
                file = Path(name) / "export"
                with file.open("wb") as export_file:
                    write(export_file, size)
                code, records, peak, seconds = _measure_run(vendor, file, Path(name))
                sys.stdout.write(
                    f"| {vendor} | {size // _MB:,} MB | {file.stat().st_size / _MB:,.1f} MB | {records:,} "
                    f"| {peak} MiB | {seconds:.0f} |{'' if code == 0 else f' exit code {code}'}\n"
                )
                sys.stdout.flush()
                worst = max(worst, code, peak > _MAX_MIB)
    return int(worst > 0)
