"""The command `tap-cdp-export-duckdb`: target-duckdb, made to keep empty keys.

target-duckdb 0.8.0 reads an empty text back as NULL, and a NULL in a key stops it. It also lets DuckDB guess whether
a batch begins with a header. This command is that target with one statement changed. It is run by Meltano, in the
target's own environment.
"""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import target_duckdb  # type: ignore[import-untyped]
from target_duckdb.db_sync import DbSync, primary_column_names  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable

_connect = target_duckdb.duckdb_connect


def main() -> None:
    """Load the Singer messages on stdin into the database of the settings file that `--config` names."""
    DbSync.load_rows = load_rows
    target_duckdb.duckdb_connect = connect
    target_duckdb.main()


def connect(config: dict[str, Any]) -> Any:  # noqa: ANN401 -- a connection; its package has no types
    """Open the database, in a folder that need not be there yet.

    Args:
        config: the target's settings.

    Returns:
        The connection.
    """
    Path(config["path"]).parent.mkdir(parents=True, exist_ok=True)
    return _connect(config)


def load_rows(sync: DbSync, records: Iterable[dict[str, Any]], count: int, temp_dir: str) -> None:
    """Upsert a batch, its rows as they are: a key's empty text is no NULL, the first row is no header.

    Args:
        sync: the target's side of one stream.
        records: what to load, each key once.
        count: how many they are.
        temp_dir: where the batch may wait in a file.
    """
    message = sync.stream_schema_message
    sync.logger.info("Loading %d rows into %s", count, sync.table_name(message["stream"]))
    batch = sync.table_name(message["stream"], is_temporary=True)
    options = "auto_detect false, header false, delim ',', quote '\"', escape '\"', new_line '\\r\\n'"
    if keys := primary_column_names(message):
        options += f", force_not_null ({', '.join(keys)})"
    with NamedTemporaryFile("w", dir=temp_dir, suffix=".csv", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(map(sync.record_to_flattened, records))
        file.flush()
        sync.conn.execute(sync.create_table_query(table_name=batch, is_temporary=True))
        sync.conn.execute(f"COPY {batch} FROM '{file.name}' ({options})")
    if keys and (update := sync.update_from_temp_table(batch)):
        sync.conn.execute(update)
    sync.conn.execute(sync.insert_from_temp_table(batch))
    sync.conn.execute(f"DROP TABLE {batch}")
