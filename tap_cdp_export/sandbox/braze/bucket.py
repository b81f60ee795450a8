"""The company's own bucket as a local folder: `segment-export/SEGMENT/YYYY-MM-dd/PREFIX/RANDOM.zip`."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tap_cdp_export.sandbox.braze.archive import gzipped, zipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tap_cdp_export.sandbox.options import BrazeOptions


def folder_of(bucket: str, segment: str, prefix: str, day_shift: int) -> Path:
    """Where an export's archives go; the folder's date is the day it finished, not that of the request."""
    day = datetime.now(UTC) + timedelta(days=day_shift)
    return Path(bucket) / "segment-export" / segment / f"{day:%Y-%m-%d}" / prefix


async def drop_parts(parent: Path, lines: Iterator[bytes], options: BrazeOptions, *, gzip: bool) -> AsyncIterator[Path]:
    """Write one archive after another, each whole at once, as object stores do.

    Args:
        parent: Where they go.
        lines: The users, a line each.
        options: How many lines a part has, and the pause before each.
        gzip: Plain gzip of lines instead of a zip with text members.
    """
    part, is_first = list(islice(lines, options.lines_per_file)), True
    while part:
        following = list(islice(lines, options.lines_per_file))
        is_late = not following and not is_first
        await asyncio.sleep(options.bucket_part_seconds + is_late * options.bucket_late_seconds)
        name = secrets.token_hex(12)
        data = b"".join(gzipped(part) if gzip else zipped(part, options, name))
        yield _put(parent / f"{name}.{'gz' if gzip else 'zip'}", data)
        part, is_first = following, False


def _put(path: Path, data: bytes) -> Path:
    """Write a file that is there only once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.parent.parent / f".{path.name}"
    hidden.write_bytes(data)
    return hidden.rename(path)
