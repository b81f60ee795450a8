"""What docs/install.md says installs the tap, and the tap then runs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import duckdb
import pytest

from tests.check_packages import PROJECT
from tests.docs import walk
from tests.targets.loaded import KEYS

pytestmark = pytest.mark.install

PAGE = "install.md"


@pytest.fixture
def with_wheel(wheel: Path, tmp_path: Path) -> Path:
    """A folder with nothing but a wheel."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(wheel, folder)
    return folder


def tables(database: Path) -> set[str]:
    """The tables that hold something."""
    with duckdb.connect(database, read_only=True) as connection:
        rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE estimated_size > 0").fetchall()
    return {name for (name,) in rows}


def test_an_existing_project_takes_the_plugins_from_a_clone_and_then_from_a_wheel(
    clone: Path, with_wheel: Path
) -> None:
    (built,) = with_wheel.glob("*.whl")
    shutil.copytree(clone / "plugins", with_wheel.parent / "tap-cdp-export" / "plugins")
    for plugin, extra in (("extractors/tap-cdp-export", "sandbox"), ("loaders/target-duckdb", "duckdb")):
        definition = with_wheel.parent / "tap-cdp-export" / "plugins" / f"{plugin}.yml"
        by_git = next(line for line in definition.read_text().splitlines() if line.startswith("pip_url: "))
        definition.write_text(definition.read_text().replace(by_git, f"pip_url: {built}[{extra}]"))
    from_clone, from_wheel = walk.blocks(PAGE, "## An existing Meltano project")
    meltano = Path(sys.executable).with_name("meltano")
    commands = ["meltano init . --no-usage-stats", from_clone, from_wheel]
    walk.run(commands, with_wheel, None, meltano)
    assert tables(with_wheel / "output" / "cdp.duckdb") == KEYS.keys()
    project = (with_wheel / "meltano.yml").read_text()
    assert f"pip_url: ${{MELTANO_PROJECT_ROOT}}/{built.name}[sandbox]" in project
    assert f"pip_url: ${{MELTANO_PROJECT_ROOT}}/{built.name}[duckdb]" in project


def test_a_pipe_loads_and_goes_on_from_its_state(with_wheel: Path) -> None:
    log = walk.run(walk.blocks(PAGE, "## A plain pipe"), with_wheel)
    assert tables(with_wheel / "cdp.duckdb") == KEYS.keys()
    assert "apsis_events" in log
    assert '"bookmarks"' in (with_wheel / "state.json").read_text()


def test_uv_and_pipx_put_the_commands_on_the_path(with_wheel: Path) -> None:
    here = with_wheel.parent
    for tool, block in zip(("uv", "pipx"), walk.blocks(PAGE, "## uv tool and pipx"), strict=True):
        places = {"UV_TOOL_DIR": "uv", "UV_TOOL_BIN_DIR": "uv-bin", "PIPX_HOME": "pipx", "PIPX_BIN_DIR": "pipx-bin"}
        prepare = [f"export {name}={here}/{place}" for name, place in places.items()]
        prepare += [f"export PATH={here}/tools/bin:{here}/{tool}-bin:$PATH"]
        if tool == "pipx":
            prepare += [f"python3 -m venv {here}/tools", "pip install -q pipx"]
        walk.run([*prepare, block], with_wheel, None, Path(sys.executable).with_name("uv"))
        commands = {path.name for path in (here / f"{tool}-bin").iterdir()}
        assert commands == PROJECT["scripts"].keys()
