"""Vendor response bodies, generated once by the sandbox and cached.

A part (the users in JSON, in CSV, an export of APSIS One, one of Braze) is what the sandbox answers over HTTP, byte
for byte, except that APSIS One's gzip uses the usual level 6 instead of the sandbox's level 1.

A part for the series of sizes is smaller and repeated: each repetition puts another number in front of the records'
keys. The server repeats pages of users while it serves; compressed parts are repeated here, because
compression costs more than all of the tap's work.

Run as a program, it generates one part, so that the measuring process stays small.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_cdp_export.sandbox.server import Sandbox

VERSION: Final = 1
"""Change this to regenerate all parts."""

CACHE: Final = Path(tempfile.gettempdir()) / "tap-cdp-export-benchmarks"
START: Final = "2025-12-10T00:00:00Z"
NOW: Final = "2026-03-01T00:00:00Z"
DATASET: Final = "engage"
SEGMENT: Final = "0d5a7c1e-3f42-4b8a-9c60-5e1f2a3b4c5d"
MARK: Final = b"~000000~"
"""Prefix of the keys of a repeated part; the number is that of the repetition."""

_OPENED: Final = "2024-12-01T00:00:00Z"
_MB: Final = 10**6
_KNOWN_SHARE: Final = 0.88  # share of all people; the others are anonymous and therefore not in Braze
_SHOP_SHARE: Final = 21 / 25
_BYTES_OF_A_PROFILE: Final = 1_320
_GZIP: Final = 16 + zlib.MAX_WBITS
_CHUNK: Final = 2**20


@dataclass(frozen=True)
class Part:
    """What one benchmark reads.

    Attributes:
        kind: `users`, `csv`, `apsis` or `braze`.
        size: records, or MB of an export of APSIS One.
        page: records of a page, or lines of a file in Braze's archive.
        repeats: number of repetitions; 0 means the sandbox's bytes unchanged, once.
        events: of an export of APSIS One, only profiles with at least so many events are kept.
    """

    kind: str
    size: int
    page: int = 0
    repeats: int = 0
    events: int = 0

    @property
    def folder(self) -> Path:
        """Where its files are kept."""
        packed = self.repeats if self.kind in {"apsis", "braze"} else min(self.repeats, 1)
        kept = f"-{self.events}" if self.events else ""
        return CACHE / f"{VERSION}-{self.kind}-{self.size}-{self.page}-{packed}{kept}"

    @property
    def plain_bytes(self) -> int:
        """Size of the vendor's JSON or CSV in bytes, all repetitions together."""
        plain_bytes = json.loads((self.folder / "info.json").read_bytes())["plain_bytes"]
        return int(plain_bytes) * (max(1, self.repeats) if self.kind in {"users", "csv"} else 1)

    def files(self) -> list[Path]:
        """Its bodies in order."""
        return sorted(path for path in self.folder.iterdir() if path.name != "info.json")

    def ensure(self) -> None:
        """Generate it in a separate process, unless it is cached."""
        if not (self.folder / "info.json").exists():
            command = [sys.executable, "-m", "tests.benchmarks.data", json.dumps(self.__dict__)]
            subprocess.run(command, check=True)


def _population(part: Part) -> dict[str, Any]:
    """Return the sandbox's options, with as many people as the part needs."""
    span = (datetime.fromisoformat(NOW) - datetime.fromisoformat(_OPENED)).days
    people = {
        "users": part.size / _SHOP_SHARE,
        "csv": part.size / _SHOP_SHARE,
        "apsis": part.size * _MB / _BYTES_OF_A_PROFILE,
        "braze": part.size / _KNOWN_SHARE,
    }
    return {
        "population": {"users": int(people[part.kind] * 730 / span) + 30, "now": NOW, "opened": _OPENED},
        "apsis": {"polls_before_ready": 0},
        "braze": {"polls_before_ready": 0, "lines_per_file": part.page or 5_000},
    }


def _pages(sandbox: Sandbox, part: Part) -> Iterator[bytes]:
    """Request all pages, and the empty page after the last one."""
    settings = sandbox.settings()["personalization"]
    session = requests.Session()
    session.trust_env = False
    session.auth = (settings["api_key_id"], settings["api_key_secret"])
    suffix = "json" if part.kind == "users" else "csv"
    last = part.size // part.page
    for page in (*range(last), 10**9):
        response = session.get(
            f"{sandbox.api_url}/api/dataset/{DATASET}/users.{suffix}",
            params={
                "page": page,
                "pageSize": part.page,
                "start": _milliseconds(START),
                "end": _milliseconds(NOW),
            },
            timeout=60,
        )
        response.raise_for_status()
        yield (
            (_marked_json if suffix == "json" else _marked_csv)(response.content) if part.repeats else response.content
        )


def _milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def _marked_json(page: bytes) -> bytes:
    users = [{**user, "name": MARK.decode() + user["name"]} for user in json.loads(page)]
    return json.dumps(users, ensure_ascii=False, separators=(",", ":")).encode()


def _marked_csv(page: bytes) -> bytes:
    header, *rows = csv.reader(io.StringIO(page.decode(), newline=""))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([MARK.decode() + name, *cells] for name, *cells in rows)
    return text.getvalue().encode()


def _export(sandbox: Sandbox) -> bytes:
    """Request an export of APSIS One, and read it uncompressed."""
    settings = sandbox.settings()["apsis"]
    session = requests.Session()
    session.trust_env = False
    session.headers["Accept-Encoding"] = "identity"
    credentials = {
        "grant_type": "client_credentials",
        **{name: settings[name] for name in ("client_id", "client_secret")},
    }
    token = session.post(f"{sandbox.api_url}/oauth/token", json=credentials, timeout=60).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    body = {name: settings[name] for name in ("attributes", "tags", "events")}
    body |= {"start_at": START, "end_at": NOW}
    job = session.post(f"{sandbox.api_url}/audience/profiles/exports", json=body, timeout=60)
    response = session.get(job.json()["file_download_url"], timeout=600)
    response.raise_for_status()
    return response.content


def _write_export(sandbox: Sandbox, part: Part, folder: Path) -> int:
    text = _export(sandbox)
    if part.events:
        text = _with_events(text, part.events)
    if part.repeats:
        text = re.sub(rb'"([0-9a-f-]{36}":\{"sections":)', rb'"' + MARK + rb"\1", text)
    head, profiles = text[: len(b'{"profiles":{')], text[len(b'{"profiles":{') : -2]
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    size = 0
    with (folder / "export.json.gz").open("wb") as file:
        for number in range(max(1, part.repeats)):
            piece = (b"," if number else head) + profiles.replace(MARK, mark(number))
            size += len(piece)
            for start in range(0, len(piece), _CHUNK):
                file.write(packer.compress(piece[start : start + _CHUNK]))
        file.write(packer.compress(b"}}") + packer.flush())
    return size + 2


def _with_events(text: bytes, least: int) -> bytes:
    """Keep only the profiles of an export that have many events."""
    profiles = json.loads(text)["profiles"]
    kept = {
        key: profile
        for key, profile in profiles.items()
        if sum(len(section.get("events") or []) for section in profile["sections"].values()) >= least
    }
    return json.dumps({"profiles": kept}, ensure_ascii=False, separators=(",", ":")).encode()


def _write_archive(sandbox: Sandbox, part: Part, folder: Path) -> int:
    settings = sandbox.settings()["braze"]
    session = requests.Session()
    session.trust_env = False
    from tap_cdp_export.sandbox.braze.export_users import FIELDS  # noqa: PLC0415 -- the sandbox needs its extra

    job = session.post(
        f"{sandbox.api_url}/users/export/segment",
        json={"segment_id": SEGMENT, "fields_to_export": sorted(FIELDS)},
        headers={"Authorization": f"Bearer {settings['api_key']}"},
        timeout=60,
    )
    job.raise_for_status()
    response = session.get(job.json()["url"], timeout=600)
    response.raise_for_status()
    path = folder / "archive.zip"
    path.write_bytes(response.content)
    if part.repeats:
        _multiply(path, part)
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist())


def _multiply(path: Path, part: Part) -> None:
    with zipfile.ZipFile(path) as archive:
        lines = b"".join(archive.read(name) for name in archive.namelist())
    marked = lines.replace(b'{"braze_id":"', b'{"braze_id":"' + MARK).splitlines(keepends=True)
    members = [b"".join(marked[start : start + part.page]) for start in range(0, len(marked), part.page)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(part.repeats):
            for place, member in enumerate(members):
                archive.writestr(f"{number:06d}-{place:03d}.txt", member.replace(MARK, mark(number)))


def mark(number: int) -> bytes:
    """Return the prefix that replaces `MARK` in a repetition."""
    return b"~%06d~" % number


def make(part: Part) -> None:
    """Generate a part atomically."""
    from tap_cdp_export.sandbox.options import Options  # noqa: PLC0415 -- the sandbox needs its extra
    from tap_cdp_export.sandbox.server import Sandbox  # noqa: PLC0415 -- the same

    options = Options()
    options.update(_population(part))
    CACHE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=CACHE, prefix="unfinished-"))
    try:
        with Sandbox(options) as sandbox:
            if part.kind == "apsis":
                size = _write_export(sandbox, part, folder)
            elif part.kind == "braze":
                size = _write_archive(sandbox, part, folder)
            else:
                size = 0
                for number, page in enumerate(_pages(sandbox, part)):
                    (folder / f"{number:06d}").write_bytes(page)
                    size += len(page)
        (folder / "info.json").write_text(json.dumps({"plain_bytes": size}))
        shutil.rmtree(part.folder, ignore_errors=True)
        folder.rename(part.folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    os.nice(5)
    make(Part(**json.loads(sys.argv[1])))
