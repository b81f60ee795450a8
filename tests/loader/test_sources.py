"""Files of BATCH messages: formats, order among records, and their end."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]
import pytest

from tap_cdp_export.errors import LocalFailure
from tap_cdp_export.loader.errors import UnusableInput
from tests.helpers.running import run_tap
from tests.loader.loading import INTEGER, TEXT, Warehouse, activate, record, schema, state, versioned

if TYPE_CHECKING:
    from pathlib import Path

KEYED = schema(["k"], k=TEXT, n=INTEGER)


def batch(*urls: str, compression: str | None = "gzip", **further: Any) -> dict[str, Any]:
    """A BATCH message."""
    encoding = {"format": "jsonl", "compression": compression}
    return {"type": "BATCH", "stream": "t", "encoding": encoding, "manifest": list(urls), **further}


def write(path: Path, *records: dict[str, Any]) -> str:
    """Write a file, packed if its name says so, and return its URL."""
    content = b"".join(json.dumps(values).encode() + b"\n" for values in records)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path.as_uri()


@pytest.mark.parametrize(("name", "compression"), [("a.gz", "gzip"), ("a.jsonl", "none"), ("a.jsonl", None)])
@pytest.mark.parametrize("folder", ["b", "odd * [name] %20 ö'?#"])
def test_files_are_loaded_and_removed(
    warehouse: Warehouse, tmp_path: Path, name: str, compression: str | None, folder: str
) -> None:
    path = tmp_path / folder / name
    url = write(path, {"k": "1", "n": 1}, {"k": "1", "n": 2}, {"k": "2"})
    warehouse.load(KEYED, batch(url, compression=compression), state(1))
    assert warehouse.rows() == [("1", 2), ("2", None)]
    assert warehouse.states == [1]
    assert not path.exists()


def test_a_path_is_as_good_as_a_url(warehouse: Warehouse, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {"k": "1", "n": 1})
    warehouse.load(KEYED, batch(str(tmp_path / "a.jsonl"), compression="none"))
    assert warehouse.rows() == [("1", 1)]


def test_files_stay_on_wish(warehouse: Warehouse, tmp_path: Path) -> None:
    url = write(tmp_path / "a.gz", {"k": "1", "n": 1})
    warehouse.load(KEYED, batch(url), remove_batch_files=False)
    assert (tmp_path / "a.gz").exists()


def test_records_and_files_are_loaded_in_the_order_of_their_arrival(warehouse: Warehouse, tmp_path: Path) -> None:
    urls = [write(tmp_path / f"{number}.gz", {"k": str(number), "n": 10}, {"k": "x", "n": number}) for number in (1, 2)]
    messages = [record(k="1", n=0), record(k="x", n=0), batch(*urls), record(k="2", n=20)]
    warehouse.load(KEYED, *messages)
    assert warehouse.rows() == [("1", 10), ("2", 20), ("x", 2)]


def test_an_empty_file_is_loaded(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(KEYED, batch(write(tmp_path / "a.gz")), batch(), state(1))
    assert (warehouse.rows(), warehouse.states) == ([], [1])


def test_large_files_are_committed_one_after_the_other(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_cdp_export.loader.loader._LARGEST_BATCH", 10)
    urls = [write(tmp_path / f"{number}.gz", {"k": str(number)}) for number in range(3)]
    messages = [message for url in urls for message in (batch(url), state(url))]
    warehouse.load(KEYED, *messages)
    assert warehouse.states == urls


def test_files_in_a_store_are_loaded_and_removed(warehouse: Warehouse) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/bucket/a b.gz", gzip.compress(b'{"k": "1", "n": 1}\n', mtime=0))
    warehouse.load(KEYED, batch("memory://bucket/a b.gz"))
    assert warehouse.rows() == [("1", 1)]
    assert not store.exists("/bucket/a b.gz")


def test_a_damaged_file_in_a_store_is_named_and_stays(warehouse: Warehouse) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/bucket/d.gz", gzip.compress(b'{"k": "1"}\n', 0, mtime=0).replace(b'"1"', b'"2"'))
    with pytest.raises(UnusableInput, match=r"The BATCH file d\.gz is damaged"):
        warehouse.load(KEYED, batch("memory://bucket/d.gz"), state(1))
    assert (warehouse.rows(), warehouse.states) == ([], [])
    assert store.exists("/bucket/d.gz")


def test_a_file_may_have_several_members(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b'{"k": "1"}\n{"k"') + gzip.compress(b': "2"}\n'))
    warehouse.load(KEYED, batch(path.as_uri()))
    assert warehouse.rows("k") == [("1",), ("2",)]


def test_versions_come_from_the_message(warehouse: Warehouse, tmp_path: Path) -> None:
    old, new = (write(tmp_path / name, {"k": name}) for name in ("old.gz", "new.gz"))
    warehouse.load(KEYED, batch(old, version=1), activate(1), hard_delete=True)
    warehouse.load(KEYED, batch(new, version=2), versioned(2, k="record"), activate(2), hard_delete=True)
    assert warehouse.rows("k, _sdc_table_version") == [("new.gz", 2), ("record", 2)]


def test_files_without_a_version_delete_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.load(KEYED, batch(write(tmp_path / "a.gz", {"k": "1"})), activate(1), hard_delete=True)
    assert warehouse.rows("k") == [("1",)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.gz", gzip.compress(b'{"k": "1"}\n{"k"\n', mtime=0), "a.gz: a line is not a JSON object in UTF-8"),
        ("a.gz", gzip.compress(b'{"k": "1"}\nnull\n', mtime=0), "a.gz: a message has no record"),
        ("a.gz", gzip.compress(b'{"k": "1"}\n5\n', mtime=0), "a.gz: a message has no record"),
        ("a.gz", gzip.compress(b'{"k": "1"}\n' * 999, mtime=0)[:-20], "a.gz is damaged, not whole, or not compressed"),
        ("a.gz", gzip.compress(b'{"k": "1"}\n', 0, mtime=0).replace(b'"1"', b'"2"'), "a.gz is damaged"),
        ("a.gz", gzip.compress(b'{"k": "1"}\n', mtime=0)[:-4] + b"\x0c\0\0\0", "a.gz is damaged"),
        ("a.gz", gzip.compress(b'{"k": "1"}\n', mtime=0)[:10] + b"\xff" * 20, "a.gz is damaged"),
        ("a.gz", gzip.compress(b'{"k": "1"}\n', mtime=0) + b"more", "a.gz is damaged"),
        ("a.gz", gzip.compress(b'{"k": "1"}\n', mtime=0) + b"\0", "a.gz: the file is not whole, or not compressed"),
        ("a.gz", b"", "a.gz: the file is not whole, or not compressed"),
        ("a.gz", b'{"k": "1"}\n', "a.gz is damaged, not whole, or not compressed"),
        (
            "a.gz",
            gzip.compress(b'{"k": "1", "n": "x"}\n', mtime=0),
            "a.gz: a value of n does not fit the column's type BIGINT",
        ),
    ],
)
def test_an_unusable_file_is_named_and_stays(
    warehouse: Warehouse, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnusableInput, match=reason):
        warehouse.load(KEYED, record(k="0"), batch(path.as_uri()), state(1))
    assert path.exists()
    assert (warehouse.rows(), warehouse.states) == ([], [])


def test_a_file_with_a_number_that_would_be_rounded_is_named_and_stays(warehouse: Warehouse, tmp_path: Path) -> None:
    urls = [write(tmp_path / f"{number}.gz", {"k": "1", "n": number}) for number in (2**53, 2**53 + 1)]
    reason = r"^t, BATCH file 9007199254740993\.gz: a value of n does not fit the column's type DOUBLE\. Change"
    with pytest.raises(UnusableInput, match=reason):
        warehouse.load(schema(["k"], k=TEXT, n={"type": "number"}), batch(*urls), state(1))
    assert (len(list(tmp_path.glob("*.gz"))), warehouse.rows(), warehouse.states) == (2, [], [])


def test_a_missing_file_is_named(warehouse: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match=r"The BATCH file gone\.gz does not exist"):
        warehouse.load(KEYED, batch((tmp_path / "gone.gz").as_uri()))


def test_a_file_that_cannot_be_read_is_named(warehouse: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(LocalFailure, match=f"The BATCH file {tmp_path.name} cannot be read or written"):
        warehouse.load(KEYED, batch(tmp_path.as_uri()))


@pytest.mark.parametrize("encoding", [{"format": "parquet"}, {"format": "jsonl", "compression": "zstd"}, {}])
def test_another_format_is_refused_by_name(warehouse: Warehouse, encoding: dict[str, str]) -> None:
    with pytest.raises(UnusableInput, match="This loader reads jsonl with gzip or none"):
        warehouse.load(KEYED, batch("file:///a", encoding=encoding))


def test_what_the_tap_writes_is_loaded(warehouse: Warehouse, tmp_path: Path) -> None:
    storage = {"root": (tmp_path / "batch").as_uri()}
    run = run_tap({"sandbox": True, "batch_config": {"storage": storage}})
    assert run.exit_code == 0, run.log
    (tmp_path / "batch" / "other").touch()
    warehouse.load(*run.messages)
    counts = {name: len(warehouse.rows(table=name)) for name in ("users", "accounts", "braze_users", "apsis_events")}
    assert min(counts.values()) > 0
    assert [path.name for path in (tmp_path / "batch").iterdir()] == ["other"]
    assert warehouse.states[-1] == run.states[-1]
