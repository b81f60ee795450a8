"""What BATCH files leave behind when they cannot be stored."""

from __future__ import annotations

import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest
from singer_sdk.helpers._batch import BatchConfig

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.records.batch import EncodedRecords
from tap_cdp_export.singer.batch_files import Batches

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_that_cannot_be_stored_leaves_no_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, temporary = tmp_path / "root", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    told: list[str] = []
    config = BatchConfig(
        encoding={"format": "jsonl", "compression": "none"},  # type: ignore[arg-type]
        storage={"root": root.as_uri(), "prefix": "a/"},  # type: ignore[arg-type]
    )
    batches = Batches(config, lambda _stream, _encoding, url: told.append(url))

    def full(*_files: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", full)
        batches.add("users", EncodedRecords(1, b'{"name":"a"}\n'))
        with pytest.raises(LocalFailure, match="batch_config"):
            batches.write()
    assert not [*temporary.iterdir()]
    assert not [*root.rglob("*.jsonl")]
    batches.add("users", EncodedRecords(1, b'{"name":"b"}\n'))
    batches.write()
    (file,) = root.rglob("*.jsonl")
    assert file.read_text() == '{"name":"b"}\n'
    assert told == [file.as_uri()]
