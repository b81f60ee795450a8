"""Build zip and gzip files in memory."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def zipped(members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Pack members into a zip; a name with a slash at its end is a folder."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(
                zipfile.ZipInfo(name), content, compression
            )  # ZipInfo has a fixed date, so the bytes are always the same
    return out.getvalue()


def gzipped(*members: bytes) -> bytes:
    """Pack each text into a gzip member of its own."""
    return b"".join(gzip.compress(member, mtime=0) for member in members)
