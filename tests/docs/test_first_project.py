"""docs/first-project.md leads from an empty folder and a wheel to tables in PostgreSQL, a failed run and its repair."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.docs import walk
from tests.targets.loaded import KEYS
from tests.targets.postgres_server import postgres_server, program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.install

PAGE = "first-project.md"
AT_ONCE = {f'"{vendor}": {{': f'"{vendor}": {{"polls_before_ready": 0, ' for vendor in ("apsis", "braze")}
SIZES = "SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE schemaname = 'tap_cdp_export'"


def test_a_stranger_gets_to_tables_of_his_own_and_repairs_a_failed_run(wheel: Path, tmp_path: Path) -> None:
    shutil.copy(wheel, tmp_path)
    with postgres_server() as server, psycopg.connect(**server, autocommit=True) as database:
        login = {"=localhost": "=127.0.0.1", "=5432": f"={server['port']}", "=cdp": f"={server['dbname']}"}
        ports = {port: str(walk.free_port()) for port in ("8771", "8772")}
        log = walk.run(walk.blocks(PAGE), tmp_path, {**login, **ports, **AT_ONCE}, program("psql"))
        database.execute("ANALYZE")
        rows = dict(database.execute(SIZES).fetchall())
    assert rows.keys() == KEYS.keys()
    assert all(rows.values()), rows
    (quoted,) = re.findall(r"^braze_users: .*\(exit 11\)$", walk.page(PAGE), re.MULTILINE)
    assert "The run failed with exit code 1" in log
    assert quoted in log
