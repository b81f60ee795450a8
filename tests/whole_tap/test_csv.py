"""CSV pages yield the same records as JSON pages, in every dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.sandbox.options import Fault
from tests.helpers.running import Row, Run, run_tap, vendor
from tests.whole_tap.conftest import NOW

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.server import Sandbox

ONLY_IN_JSON = {"attributes", "location", "extra"}  # CSV has separate columns for these, which end up as text in extra


def run_csv(sandbox: Sandbox, **changes: Any) -> Run:
    changes = {"format": "csv", "csv_list_separator": "|", **changes}
    return run_tap({**vendor(sandbox.settings(), "personalization", **changes), "end_date": NOW})


def known(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in ONLY_IN_JSON} for row in rows]


@pytest.mark.parametrize(
    "dialect",
    [
        {},
        {"csv_bom": True, "csv_crlf": True},
        {"csv_end": "empty", "csv_blank_last_line": True},
        {"csv_columns_vary": True, "csv_shuffled": True},
        {"csv_key": "id", "csv_duplicate_header": True},
        {"exponents": True, "csv_quoted_newlines": True},
        {"csv_key": "Name", "csv_delimiter": ";", "csv_blank_first_line": True, "gzip_layers": 1},
    ],
)
@pytest.mark.parametrize("page_size", [0, 70])
def test_every_dialect_gives_the_users_of_json(sandbox: Sandbox, dialect: dict[str, Any], page_size: int) -> None:
    json_run = run_csv(sandbox, format="json", page_size=page_size)
    sandbox.options.update({"personalization": dialect})
    csv_run = run_csv(sandbox, page_size=page_size, csv_delimiter=dialect.get("csv_delimiter", ","))
    assert csv_run.exit_code == 0, csv_run.log
    assert known(csv_run.records("users")) == known(json_run.records("users"))
    assert known(csv_run.records("accounts")) == known(json_run.records("accounts"))


@pytest.mark.parametrize("dialect", [{}, {"csv_key": "Name", "csv_shuffled": True}])
def test_members_of_segments_are_those_of_json(sandbox: Sandbox, dialect: dict[str, Any]) -> None:
    settings = {"page_size": 70, "tables": ["user_segments"], "segments": ["2Hh5C", "Frequent buyers"]}
    json_run = run_csv(sandbox, format="json", **settings)
    sandbox.options.update({"personalization": dialect})
    csv_run = run_csv(sandbox, **settings)
    assert csv_run.exit_code == 0, csv_run.log
    rows = json_run.records("user_segments")
    assert known(csv_run.records("user_segments")) == known(rows)
    assert all(row["segment_joined"] and row["segment_input_values"] for row in rows)
    memberships = {(row["dataset_id"], row["name"]): row["segments"] or [] for row in json_run.records("users")}
    for segment, name in (("2Hh5C", "VIP & press, Norden"), ("Frequent buyers", "Frequent buyers")):
        found = {(row["dataset_id"], row["name"]) for row in rows if row["segment"] == segment}
        assert found == {user for user, names in memberships.items() if name in names}
        assert found


def test_what_is_no_known_column_is_kept_as_text_in_extra(sandbox: Sandbox) -> None:
    from_json = run_csv(sandbox, format="json").records("users")
    from_csv = run_csv(sandbox).records("users")
    for plain, row in zip(from_json, from_csv, strict=True):
        attributes = plain["attributes"]
        if attributes and isinstance(attributes.get("language"), str):
            assert row["extra"]["language"] == attributes["language"]
            assert row["attributes"] is None


def test_without_a_separator_the_list_is_one_element(sandbox: Sandbox) -> None:
    rows = run_csv(sandbox, csv_list_separator=None).records("users")
    assert any("|" in row["segments"][0] for row in rows if row["segments"])


@pytest.mark.parametrize("page_size", [0, 1000])
def test_a_cut_csv_page_gives_no_record(sandbox: Sandbox, page_size: int) -> None:
    sandbox.options.faults = [Fault(path="/users.csv", kind="cut", after_bytes=5000, times=0)]
    run = run_tap(
        {
            **vendor(sandbox.settings(), "personalization", format="csv", page_size=page_size),
            "end_date": NOW,
            "request_deadline_seconds": 30,
        }
    )
    assert run.exit_code == 12
    assert not run.records("users")


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "identity"}, {"Content-Length": "abc"}])
@pytest.mark.parametrize("size", [5000, 10**9])
def test_a_csv_page_that_only_the_connections_end_ends_gives_no_record(
    sandbox: Sandbox, headers: dict[str, str], size: int
) -> None:
    sandbox.options.faults = [Fault(path="/users", kind="unframed", times=0, headers=headers, after_bytes=size)]
    run = run_csv(sandbox)
    assert run.exit_code == 12
    assert "length" in run.last_line
    assert not run.records("users")
    run = run_csv(sandbox, format="json")
    assert run.exit_code == (0 if size > 5000 else 12)


def test_a_part_of_a_csv_page_is_not_taken_for_the_whole(sandbox: Sandbox) -> None:
    sandbox.options.faults = [Fault(path="/users.csv", kind="part", times=1, after_bytes=5000)]
    whole = run_csv(sandbox).records("users")
    assert whole == run_csv(sandbox).records("users")
    sandbox.options.faults = [Fault(path="/users.csv", kind="part", times=0, after_bytes=5000)]
    run = run_csv(sandbox)
    assert run.exit_code == 12
    assert not run.records("users")


def test_another_delimiter_is_an_error_that_names_the_setting(sandbox: Sandbox) -> None:
    sandbox.options.personalization.csv_delimiter = ";"
    run = run_csv(sandbox)
    assert run.exit_code == 12
    assert "set personalization.csv_delimiter" in run.last_line
