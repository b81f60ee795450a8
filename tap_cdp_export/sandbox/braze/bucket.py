"""The company's own bucket, as a local folder: `segment-export/SEGMENT/YYYY-MM-dd/PREFIX/RANDOM.zip`."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tap_cdp_export.sandbox.braze.archive import SIDE_FILES, zipped
from tap_cdp_export.sandbox.responses import gzipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tap_cdp_export.sandbox.options import BrazeOptions


def folder_of(bucket: str, segment: str, prefix: str, day_shift: int) -> Path:
    """Folder of an export's archives; its date is the day of completion, not of the request."""
    day = datetime.now(UTC) + timedelta(days=day_shift)
    return Path(bucket) / "segment-export" / segment / f"{day:%Y-%m-%d}" / prefix


async def write_archives(
    parent: Path, lines: Iterator[bytes], options: BrazeOptions, *, gzip: bool
) -> AsyncIterator[Path]:
    """Write one archive after another, each atomically, as in an object store.

    Args:
        parent: Folder of the archives.
        lines: One line for each user.
        options: Number of lines in a file, and pauses.
        gzip: Write plain gzip of lines instead of a zip with text members.
    """
    for side_file in SIDE_FILES[1:] if options.side_files else ():
        yield _write_atomically(parent / side_file, b"no users")
    batch, is_first = list(islice(lines, options.lines_per_file)), True
    while batch:
        next_batch = list(islice(lines, options.lines_per_file))
        is_last_of_several = not next_batch and not is_first
        await asyncio.sleep(options.bucket_part_seconds + is_last_of_several * options.bucket_late_seconds)
        name = secrets.token_hex(12)
        data = b"".join(gzipped(batch) if gzip else zipped(batch, options, name))
        yield _write_atomically(parent / f"{name}.{'gz' if gzip else 'zip'}", data)
        batch, is_first = next_batch, False


def _write_atomically(path: Path, data: bytes) -> Path:
    """Write a file that becomes visible only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent.parent / f".{path.name}"
    temporary.write_bytes(data)
    return temporary.rename(path)
