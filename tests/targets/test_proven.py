"""The page of targets is what the targets do: each is loaded twice, and every column is compared."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.helpers.environments import NotInstallable
from tests.targets.proofs import CHECKS, Emissions, prove
from tests.targets.stores import Services
from tests.targets.targets import TARGETS, Target
from tests.write_targets import PAGE, description, is_expected, warehouse_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """Servers that several targets write to."""
    with ExitStack() as stack:
        yield Services(stack)


@pytest.fixture(scope="module")
def emissions(tmp_path_factory: pytest.TempPathFactory) -> Emissions:
    """The tap's output, made once for all targets."""
    return Emissions(tmp_path_factory.mktemp("emissions"))


def _result(target: Target) -> dict[str, str]:
    """The row of a target in the page's table."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    (head,) = [row for row in rows if row[:2] == ["target", CHECKS[0]]]
    (row,) = [row for row in rows if row[0] == target.name]
    return dict(zip(head, row, strict=True))


@pytest.mark.targets
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_does_what_the_page_says(
    target: Target, services: Services, emissions: Emissions, tmp_path: Path
) -> None:
    try:
        proof = prove(target, tmp_path, services, emissions)
    except NotInstallable as error:
        pytest.skip(str(error))
    assert is_expected(target, proof), proof


@pytest.mark.targets
def test_the_types_of_snowflake_and_bigquery_are_those_of_the_page() -> None:
    try:
        lines = warehouse_table()
    except NotInstallable as error:
        pytest.skip(str(error))
    assert "\n".join(lines) in PAGE.read_text(encoding="utf-8"), "python -m tests.write_targets"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_page_shows_a_targets_settings_and_results(target: Target) -> None:
    assert "\n".join(description(target)) in PAGE.read_text(encoding="utf-8"), "python -m tests.write_targets"
    row = _result(target)
    assert {check for check in CHECKS if row[check] != "yes"} == set(target.fails)
    assert row["gone at the vendor"] == " / ".join(dict.fromkeys(target.gone))


def test_the_page_lists_no_other_target() -> None:
    assert PAGE.read_text(encoding="utf-8").count("\n### ") == len(TARGETS)
