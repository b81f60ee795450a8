"""A Meltano project that somebody else has made takes the tap and the loader from the files in `plugins/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.helpers.about import ROOT
from tests.helpers.plugin_definitions import FOLDER, yaml
from tests.targets.loaded import FIRST_END, KEYS
from tests.targets.meltano_project import MeltanoProject, as_environment
from tests.targets.shop import settings_of, shop

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.meltano

TAP, LOADER = "tap-cdp-export", "target-duckdb"


class FreshProject(MeltanoProject):
    """A project as `meltano init` makes it, with the two plugins added by `--from-ref`."""

    def __init__(self, folder: Path) -> None:
        """Make it; the plugins are installed from this checkout, in place of the repository's address."""
        self.folder = folder
        self.succeed("init", ".", "--force")
        for plugin, kind in ((TAP, "extractors"), (LOADER, "loaders")):
            definition = yaml().load(FOLDER / kind / f"{plugin}.yml")
            extras = definition["pip_url"].partition("@")[0].removeprefix(TAP)
            definition["pip_url"] = f"-e {ROOT}{extras}"
            yaml().dump(definition, folder / "definition.yml")
            self.succeed("add", plugin, "--from-ref", "definition.yml")

    def succeed(self, *arguments: str) -> None:
        """Run Meltano, which must not fail."""
        done = self.meltano(*arguments)
        assert done.returncode == 0, done.stderr

    def load(self, settings: dict[str, Any], database: str) -> dict[str, list[str]]:
        """Run the pipeline and give the columns of each table."""
        path = self.folder / database
        self.run(LOADER, **as_environment(settings), TARGET_DUCKDB_PATH=str(path))
        with duckdb.connect(path, read_only=True) as connection:
            columns = "SELECT table_name, list(column_name) FROM duckdb_columns() WHERE NOT internal GROUP BY 1"
            return dict(connection.execute(columns).fetchall())

    def plugin(self, kind: str) -> dict[str, Any]:
        """What the project says of its only plugin of a kind."""
        (found,) = yaml().load(self.folder / "meltano.yml")["plugins"][kind]
        return dict(found)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> FreshProject:
    """One project for all tests here."""
    return FreshProject(tmp_path_factory.mktemp("fresh"))


def test_all_of_a_definition_but_its_select_arrives(fresh: FreshProject) -> None:
    found = fresh.plugin("extractors")
    definition = yaml().load(FOLDER / "extractors" / f"{TAP}.yml")
    lost = {key for key in definition if found.get(key) != definition[key]}
    assert lost == {"pip_url", "select", "log_parser", "quality", "maintenance_status", "keywords"}


def test_without_select_every_stream_is_loaded_whole(fresh: FreshProject, expected_first: dict[str, int]) -> None:
    with shop(FIRST_END) as sandbox:
        tables = fresh.load(settings_of(sandbox, FIRST_END), "all.duckdb")
    assert tables.keys() == KEYS.keys()
    with duckdb.connect(fresh.folder / "all.duckdb", read_only=True) as connection:
        rows = connection.execute("SELECT table_name, estimated_size FROM duckdb_tables()").fetchall()
    assert dict(rows) == expected_first


def test_a_newer_definition_keeps_the_projects_select_and_only_what_it_selects_is_loaded(fresh: FreshProject) -> None:
    fresh.succeed("select", TAP, "users", "email_address")
    newer = yaml().load(FOLDER / "extractors" / f"{TAP}.yml") | {"pip_url": fresh.plugin("extractors")["pip_url"]}
    yaml().dump(newer | {"description": "Newer"}, fresh.folder / "definition.yml")
    fresh.succeed("add", TAP, "--from-ref", "definition.yml", "--no-install")
    assert fresh.plugin("extractors")["description"] == "Newer"
    with shop(FIRST_END) as sandbox:
        tables = fresh.load(settings_of(sandbox, FIRST_END), "users.duckdb")
    assert tables.keys() == {"users"}
    assert set(tables["users"]) == {"dataset_id", "name", "window_end", "email_address"}
