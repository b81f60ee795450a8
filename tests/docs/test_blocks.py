"""The blocks and commands of the pages are right: they parse, name what there is, and those that can be are run."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import os
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import duckdb
import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tap_cdp_export.tap import VENDORS
from tests.docs.cookbook import PAGE as COOKBOOK
from tests.docs.pages import BASH, tracked
from tests.helpers.about import ROOT, settings, streams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_FENCE: Final = re.compile(r"^ *```(\S*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_INLINE: Final = re.compile(r"`([^`\n]+)`")
_VARIABLE: Final = re.compile(r"\bTAP_CDP_EXPORT_(?!_|LOGLEVEL\b)([A-Z0-9_]+)")
_EXTRAS: Final = re.compile(r"\.\[([\w,]+)\]")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


def blocks() -> list[Block]:
    """The fenced blocks of all pages."""
    found = ((page, page.read_text("utf-8")) for page in tracked("*.md"))
    return [
        Block(page, text.count("\n", 0, fence.start()) + 1, fence[1], fence[2])
        for page, text in found
        for fence in _FENCE.finditer(text)
    ]


def of(*languages: str) -> pytest.MarkDecorator:
    """Run a test for each block in one of the languages."""
    found = [block for block in blocks() if block.language in languages]
    return pytest.mark.parametrize("block", found, ids=lambda block: f"{block.page.relative_to(ROOT)}:{block.line}")


def words(line: str) -> list[str]:
    """The words of a command, up to what ends it."""
    try:
        return shlex.split(re.split(r"\s(?:\||&&|;|>|<|#)(?:\s|$)", line)[0], comments=True)
    except ValueError:  # a quote that ends on another line
        return []


def commands() -> Iterator[tuple[str, list[str]]]:
    """The commands of all pages, in blocks and in sentences, with the page."""
    for block in blocks():
        if block.language == "bash":
            for line in block.text.replace("\\\n", " ").splitlines():
                for command in re.split(r" (?:&&|\|) ", line):
                    yield block.page.name, words(re.sub(r"^\s*(?:\w+=(?:'[^']*'|\S*)\s+)*", "", command))
    for page in tracked("*.md"):
        for text in _INLINE.findall(_FENCE.sub("", page.read_text("utf-8"))):
            yield page.name, words(text)


def problems(command: list[str]) -> Iterator[str]:
    """What a command names that is not there."""
    match command:
        case [name, *arguments] if name.startswith("tap-cdp-export"):
            if name in PROJECT["scripts"]:
                yield from (
                    word for word in arguments if word.startswith("--") and word.split("=")[0] not in usage(name)
                )
        case ["meltano", *arguments]:
            verb = next((word for word in arguments if not word.startswith("-") and word != "..."), None)
            if verb and verb not in verbs():
                yield f"meltano {verb}"
        case ["python" | "python3", "-m", module, *_]:
            root = module.partition(".")[0]
            if root in {"tests", "tap_cdp_export"} and importlib.util.find_spec(module) is None:
                yield module
        case ["bash", path, *_] if path.startswith(".ci/"):
            if not (ROOT / path).is_file():
                yield path


@cache
def verbs() -> frozenset[str]:
    """The commands of Meltano."""
    from meltano.cli.cli import cli  # noqa: PLC0415 -- takes a second

    return frozenset(cli.commands)


@cache
def usage(name: str) -> str:
    """What a command prints for `--help`."""
    module, _, function = PROJECT["scripts"][name].partition(":")
    code = f"import sys; sys.argv[0] = {name!r}; from {module} import {function}; {function}()"
    return subprocess.run((sys.executable, "-c", code, "--help"), capture_output=True, text=True, check=True).stdout


def test_every_block_has_a_language_that_is_checked() -> None:
    known = {"", "bash", "json", "python", "sql", "text", "yaml"}  # the first and text are to be read only
    assert [(block.page.name, block.text[:40]) for block in blocks() if block.language not in known] == []


@of("bash")
def test_bash_can_read_the_block(block: Block) -> None:
    run = subprocess.run((BASH, "-n"), input=block.text, capture_output=True, text=True, check=False)
    assert run.stderr == ""


@of("json")
def test_json_parses(block: Block) -> None:
    json.loads(block.text)


@of("python")
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block.page), "exec")


@of("yaml")
def test_yaml_parses_and_follows_meltanos_schema(block: Block) -> None:
    document = YAML(typ="safe").load(block.text)
    if "plugins" in document:
        schema = json.loads((importlib.resources.files("meltano") / "schemas" / "meltano.schema.json").read_text())
        assert [error.message for error in Draft202012Validator(schema).iter_errors({"version": 1} | document)] == []
    assert set(document.get("stream_maps", {})) <= set(streams())


def test_the_query_for_targets_that_append_finds_the_current_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = [one for one in blocks() if one.language == "sql" and one.page != COOKBOOK]
    key = {"dataset_id": "engage", "name": "anna"}
    versions = [key | {"window_end": f"2026-01-0{day}T00:00:00Z"} for day in (1, 3, 2)]
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "users.jsonl").write_text("\n".join(map(json.dumps, versions)))
    monkeypatch.chdir(tmp_path)
    ((*_, window_end),) = duckdb.execute(block.text).fetchall()
    assert str(window_end).startswith("2026-01-03")


def test_every_command_names_what_there_is() -> None:
    found = list(commands())
    assert len([command for _, command in found if command]) > 50
    assert [(page, problem) for page, command in found for problem in problems(command)] == []


@pytest.mark.parametrize(
    "command",
    [
        "tap-cdp-export --confg config.json",
        "meltano rum tap-cdp-export",
        "python -m tests.nobody",
        "bash .ci/nothing",
    ],
)
def test_a_command_that_names_nothing_is_found(command: str) -> None:
    assert list(problems(command.split()))


def test_variables_and_extras_are_there() -> None:
    names = {setting.name.upper().replace(".", "_") for setting in settings()}
    for page in tracked("*.md"):
        text = page.read_text("utf-8")
        assert [name for name in _VARIABLE.findall(text) if name not in names] == [], page
        extras = {extra for group in _EXTRAS.findall(text) for extra in group.split(",")}
        assert extras <= PROJECT["optional-dependencies"].keys(), page


def test_streams_and_settings_in_sentences_are_there() -> None:
    unknown_facts = {unknown.id for vendor in VENDORS for unknown in vendor.check.unknowns}
    known = {setting.name for setting in settings()} | unknown_facts | {"apsis.exports"}  # the last is a partition
    objects = "|".join(vendor.name for vendor in VENDORS)
    for page in tracked("README.md", "docs/*.md"):
        if page.parent.name == "vendors":
            continue
        named = re.findall(rf"`((?:{objects})\.[a-z_]+)`", page.read_text("utf-8"))
        assert [name for name in named if name not in known] == [], page


@pytest.mark.parametrize(
    ("page", "start"), [("README.md", "pip install -e '.[sandbox]'\necho"), ("docs/duckdb.md", "pip install -e")]
)
def test_the_pipes_without_meltano_run(page: str, start: str, tmp_path: Path) -> None:
    (block,) = [one for one in blocks() if one.page == ROOT / page and one.text.startswith(start)]
    programs = {
        "pip": "exit 0",
        "your-target": 'exec tap-cdp-export-duckdb "$@"',
        "python": f'exec {sys.executable} "$@"',
    }
    for name, target in PROJECT["scripts"].items():
        module, _, function = target.partition(":")
        code = f"import sys; sys.argv[0] = '{name}'; from {module} import {function}; sys.exit({function}())"
        programs[name] = f'exec {sys.executable} -c "{code}" "$@"'
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!{BASH}\n{script}\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    (tmp_path / "target.json").write_text('{"path": "cdp.duckdb"}')
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        (BASH, "-euo", "pipefail", "-c", block.text),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "braze_users" in json.loads((tmp_path / "state.json").read_text())["bookmarks"]
    assert "braze_users" in run.stdout or "loader.report" not in block.text
