"""The columns that the targets for Snowflake and BigQuery make of SCHEMA messages; runs in their environments.

`python warehouse_types.py snowflake <messages` prints the CREATE TABLE statements, `... bigquery` the same for
BigQuery's target. Each is the target's own code; no account is needed, and no record is loaded.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def snowflake(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what meltanolabs-target-snowflake executes to create the tables."""
    import sqlalchemy  # noqa: PLC0415 -- installed in the target's environment
    from target_snowflake.connector import SnowflakeConnector  # type: ignore[import-not-found] # noqa: PLC0415

    statements: list[Any] = []
    engine = sqlalchemy.create_mock_engine("snowflake://", lambda statement, *_, **__: statements.append(statement))
    connector = SnowflakeConnector({"schema": "tap_cdp_export"})
    connector._cached_engine = connector.__dict__["_engine"] = engine  # noqa: SLF001 -- the place where the service would be
    for message in messages:
        connector.create_empty_table(message["stream"], message["schema"], message["key_properties"])
    for statement in statements:
        yield str(statement.compile(dialect=engine.dialect)).strip()


def bigquery(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the tables that z3-target-bigquery creates with `denormalized` on."""
    from target_bigquery.core import SchemaResolverVersion, SchemaTranslator  # type: ignore[import-not-found] # noqa: PLC0415

    for message in messages:
        translator = SchemaTranslator(message["schema"], {}, SchemaResolverVersion.V2)
        fields = [f"\t{field.name} {_standard(field)}" for field in translator.translated_schema_transformed]
        yield f"CREATE TABLE {message['stream']} (\n" + ",\n".join(fields) + "\n)"


def _standard(field: Any) -> str:
    name = field.field_type
    if name == "RECORD":
        name = f"STRUCT<{', '.join(f'{inner.name} {_standard(inner)}' for inner in field.fields)}>"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else str(name)


if __name__ == "__main__":
    schemas = [message for message in map(json.loads, sys.stdin) if message["type"] == "SCHEMA"]
    sys.stdout.write(json.dumps(list({"snowflake": snowflake, "bigquery": bigquery}[sys.argv[1]](schemas))))
