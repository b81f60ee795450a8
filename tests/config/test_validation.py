"""Invalid settings are reported by name, never with their values."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_cdp_export.errors import SettingsError
from tap_cdp_export.tap import TapCDPExport
from tap_cdp_export.windows import time_text
from tests.helpers.configurations import BRAZE_URL, END, SETTINGS, START, complete, config, vendor_settings
from tests.helpers.json_documents import VALUES

VENDOR_OF = st.sampled_from(["personalization", "apsis", "braze"])


WITH_BUILT_IN = copy.deepcopy(SETTINGS)
TapCDPExport.append_builtin_config(WITH_BUILT_IN)
OUTSIDE = [
    "../canary", "../", "a/../../canary", "/canary", "//canary/", "..\\canary", "\\canary", "s3://canary/", "a//", "./",
    "a/..//", "a\n", "a\0",
]  # fmt: skip


def problems(settings: dict[str, Any], schema: dict[str, Any] = SETTINGS) -> str:
    with pytest.raises(SettingsError) as refusal:
        complete(settings, schema)
    assert refusal.value.exit_code == 10
    return str(refusal.value)


@pytest.mark.parametrize("vendor", ["personalization", "apsis", "braze"])
def test_required_settings_of_one_vendor_are_enough(vendor: str) -> None:
    assert vendor in complete(config(vendor))


def test_no_vendor_at_all_is_one_error_that_names_the_three_objects() -> None:
    text = problems({"start_date": START})
    assert all(name in text for name in ("personalization", "apsis", "braze", "sandbox"))
    assert ";" not in text


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({**config("braze"), "brase": {}}, "brase"),
        (config("braze", api_kee="x"), "braze.api_kee"),
        (config("apsis", client="x"), "apsis.client"),
        (config("personalization", tenant="x"), "personalization.tenant"),
    ],
)
def test_an_unknown_setting_is_refused_by_name(settings: dict[str, Any], name: str) -> None:
    assert f"unknown setting {name}" in problems(settings)


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("personalization", "dataset_ids"),
        ("personalization", "api_key_id"),
        ("personalization", "api_key_secret"),
        ("personalization", "account_name"),
        ("apsis", "client_id"),
        ("apsis", "client_secret"),
        ("braze", "base_url"),
        ("braze", "api_key"),
    ],
)
def test_a_missing_setting_is_named(vendor: str, name: str) -> None:
    assert f"{vendor}.{name} is missing" in problems(config(vendor, **{name: None}))


def test_a_missing_setting_is_reported_with_its_description() -> None:
    text = problems(config("braze", base_url=None, api_key=None))
    assert "braze.base_url is missing: REST host of the instance, such as https://rest.fra-01.braze.eu" in text
    assert all(part.startswith("setting braze.") for part in text.split("; "))


def test_all_problems_are_reported_together() -> None:
    text = problems({**config("braze", api_key=5, base_url=None, nonsense=1), "start_date": 5})
    assert all(name in text for name in ("braze.api_key", "braze.base_url", "braze.nonsense", "start_date"))


@given(vendor=VENDOR_OF, data=st.data(), wrong=VALUES)
def test_no_message_shows_a_value(vendor: str, data: st.DataObject, wrong: Any) -> None:
    canary = "canary4711"
    settings = config(vendor)
    name = data.draw(st.sampled_from(sorted(SETTINGS["properties"][vendor]["properties"])))
    settings[vendor][name] = data.draw(
        st.sampled_from([canary, [canary, 5], {canary: canary}, {"x": [canary]}, 4711.4711, f"ftp://{canary}@x"])
    )
    settings["end_date"] = data.draw(st.sampled_from([END, canary]) | st.just(wrong))
    try:
        complete(settings)
    except SettingsError as error:
        message = str(error).replace(f"unknown setting {vendor}.{name}.{canary}", "")
        assert canary not in message
        assert "4711" not in message


@pytest.mark.parametrize(
    ("vendor", "changes"),
    [
        ("personalization", {"page_size": -1}),
        ("personalization", {"page_size": 1.5}),
        ("personalization", {"accounts_missing": "ignore"}),
        ("personalization", {"dataset_ids": "engage"}),
        ("personalization", {"include_geo": "true"}),
        ("personalization", {"statistics_days": -1}),
        ("personalization", {"statistics_days": 1e9}),
        ("apsis", {"window_days": 0}),
        ("apsis", {"window_days": 90}),
        ("apsis", {"window_days": 1e-9}),
        ("apsis", {"window_days": 59 / 86_400}),
        ("apsis", {"lookback_minutes": -1}),
        ("apsis", {"requests_per_minute": 0}),
        ("apsis", {"poll_initial_seconds": 0}),
        ("apsis", {"segment_filter": "women"}),
        ("braze", {"output_format": "tar"}),
        ("braze", {"on_conflict": "retry"}),
        ("braze", {"export_timeout_seconds": 0}),
        ("braze", {"api_key": 12345}),
    ],
)
def test_a_value_that_is_not_as_documented_is_refused_by_name(vendor: str, changes: dict[str, Any]) -> None:
    (name,) = changes
    assert f"{vendor}.{name}" in problems(config(vendor, **changes))


@pytest.mark.parametrize(
    ("vendor", "name"), [("personalization", "dataset_ids"), ("braze", "segment_ids"), ("braze", "fields_to_export")]
)
def test_an_empty_list_is_refused(vendor: str, name: str) -> None:
    assert f"{vendor}.{name}" in problems(config(vendor, **{name: []}))


def test_more_custom_attributes_than_the_vendor_allows_are_refused() -> None:
    names = [f"a{number}" for number in range(501)]
    assert "500" in problems(config("braze", custom_attributes_to_export=names))
    assert complete(config("braze", custom_attributes_to_export=names[:500]))


def test_events_without_any_attribute_or_tag_are_refused_since_the_vendor_would_return_nothing() -> None:
    assert "apsis.attributes or apsis.tags" in problems(config("apsis", attributes=[]))
    assert complete(config("apsis", attributes=[], tags=["312460234"]))


def test_nothing_needs_to_be_selected_for_streams_that_no_export_fills() -> None:
    assert complete(config("apsis", attributes=[], events=[]))
    assert complete(config("braze", segment_ids=None))


def test_an_item_without_any_field_is_refused() -> None:
    assert "apsis.item_fields must name at least one field" in problems(config("apsis", item_fields={}))
    assert "apsis.item_fields.version" in problems(config("apsis", item_fields={"version": 5}))
    assert complete(config("apsis", item_fields={"id": "version_id"}))["apsis"]["item_fields"] == {"id": "version_id"}


@pytest.mark.parametrize(
    ("vendor", "tables"),
    [
        ("personalization", ["*"]),
        ("apsis", ["*", "apsis_sections", "apsis_?ags", "apsis_profiles"]),
        ("braze", ["braze_user_*", "braze_segments"]),
    ],
)
def test_tables_are_names_and_patterns_of_the_vendors_own_streams(vendor: str, tables: list[str]) -> None:
    assert complete(config(vendor, tables=tables))
    message = problems(config(vendor, tables=[*tables, "canary*"]))
    assert f"{vendor}.tables.{len(tables)} matches none of the streams" in message
    assert "canary" not in message
    assert f"{vendor}.tables.0" in problems(config(vendor, tables=["Apsis_sections"]))


@pytest.mark.parametrize("lookback", [1, 60, 10**9, 10**12])
def test_window_and_lookback_beyond_89_days_are_refused(lookback: int) -> None:
    assert "89 days" in problems(config("apsis", window_days=89, lookback_minutes=lookback))


@pytest.mark.parametrize(("days", "minutes"), [(89, 0), (88, 1440), (88.9, 144), (7, 82 * 1440)])
def test_window_and_lookback_of_exactly_89_days_are_allowed(days: float, minutes: float) -> None:
    assert complete(config("apsis", window_days=days, lookback_minutes=minutes))


def test_a_window_of_a_minute_is_allowed() -> None:
    assert complete(config("apsis", window_days=1 / 1440))


@pytest.mark.parametrize("name", ["page", "pageSize"])
def test_parameters_that_would_break_the_paging_are_refused_by_name(name: str) -> None:
    text = problems(config("personalization", extra_params={name: 3}))
    assert f"personalization.extra_params must not hold {name}" in text


@pytest.mark.parametrize("value", ["", "today", "1e12", " 1709251200000", 1.5, True, [1], {}, -1, 10**15, "10" * 10])
def test_a_statistics_window_in_extra_params_must_be_times(value: Any) -> None:
    assert "extra_params.start must be a time" in problems(config("personalization", extra_params={"start": value}))
    assert complete(config("personalization", extra_params={"start": "1709251200000", "end": 0}))


@pytest.mark.parametrize("vendor", ["personalization", "apsis", "braze"])
def test_a_start_date_in_the_future_is_refused(vendor: str) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    for start in ("2999-01-01", soon):
        settings = {**config(vendor), "start_date": start}
        for end in ({}, {"end_date": "2999-01-02"}):
            assert "start_date lies in the future" in problems({**settings, **end})
    assert complete({**config(vendor), "start_date": time_text(datetime.now(UTC)), "end_date": "2999-01-02"})


@pytest.mark.parametrize("name", ["start_date", "end_date"])
@pytest.mark.parametrize("value", ["soon", "", "2024-13-01", "01.03.2024", "0001-01-01T00:00:00+14:00"])
def test_an_invalid_date_is_refused_by_name(name: str, value: str) -> None:
    assert f"setting {name} must be" in problems({**config("braze"), name: value})


def test_an_end_that_is_not_after_the_start_is_refused() -> None:
    for end in (START, "2024-03-01T01:00:00+02:00", "1999-01-01"):
        assert "end_date must be later" in problems({**config("braze"), "end_date": end})
    assert complete({**config("braze"), "end_date": "2024-03-01T00:00:00-00:01"})


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "it does not begin with https://"),
        (" ", "it does not begin with https://"),
        ("ftp://rest.fra-01.braze.eu", "it does not begin with https://"),
        ("file:///etc/passwd", "it does not begin with https://"),
        ("https://", "it has no host"),
        ("https://rest..host", "its host is not spelled"),
        ("https://.", "its host is not spelled"),
        ("https://*.braze.eu", "its host is not spelled"),
        ("https://" + "a" * 64 + ".example", "its host is not spelled"),
        ("https://a b.example", "its host is not spelled"),
        ("https://[::1", "its host is not spelled"),
        ("https://rest.example:0", "its port is not a number from 1 to 65535"),
        ("https://rest.example:99999", "its port is not a number from 1 to 65535"),
        ("https://rest.example:https", "its port is not a number from 1 to 65535"),
        ("https://user:password@rest.example", "it has a user name or password"),
        ("https://:password@rest.example", "it has a user name or password"),
        ("https://rest.example/?token=1", "it has a query"),
        ("https://rest.example/#x", "it has a fragment"),
    ],
)
@pytest.mark.parametrize("vendor", ["personalization", "apsis", "braze"])
def test_the_part_of_a_base_url_that_cannot_be_used_is_named(vendor: str, url: str, fault: str) -> None:
    found = problems(config(vendor, base_url=url))
    assert f"setting {vendor}.base_url must be an http or https URL" in found
    assert fault in found
    assert "password@" not in found


@pytest.mark.parametrize(
    "url", ["https://rest.example", "http://127.0.0.1:8080", "https://proxy.example/braze/", "http://[::1]:80"]
)
def test_the_base_url_may_be_a_proxy_or_a_local_server(url: str) -> None:
    for vendor in ("personalization", "apsis", "braze"):
        assert complete(config(vendor, base_url=url))[vendor]["base_url"] == url


@pytest.mark.parametrize("name", ["account_name", "instance"])
@pytest.mark.parametrize("value", ["evil.example/", "a.b", "a@b", "a:1", "-a", "a b", "a\nb", "ä", "a/../b", "a#"])
def test_a_host_part_cannot_lead_to_another_host(name: str, value: str) -> None:
    assert f"personalization.{name}" in problems(config("personalization", **{name: value}))


@pytest.mark.parametrize("space", ["\n", "\r\n", " ", "\t", "\u00a0"])
def test_white_space_around_secrets_and_identifiers_is_removed(space: str) -> None:
    def padded(text: str) -> str:
        return f"{space}{text}{space}"

    braze = complete(config("braze", api_key=padded("key"), segment_ids=[padded("a")], base_url=padded(BRAZE_URL)))
    assert (braze["braze"]["api_key"], braze["braze"]["segment_ids"]) == ("key", ["a"])
    assert braze["braze"]["base_url"] == BRAZE_URL
    names = {"account_name": padded("acme"), "instance": padded("us-1"), "dataset_ids": [padded("engage")]}
    separator = {"format": "csv", "csv_list_separator": space}
    personalization = complete(config("personalization", **names, **separator))["personalization"]
    assert (personalization["account_name"], personalization["instance"]) == ("acme", "us-1")
    assert personalization["dataset_ids"] == ["engage"]
    assert personalization["csv_list_separator"] == space
    segments = {"tables": ["user_segments"], "segments": [padded("vip")], "filter": padded("vip")}
    personalization = complete(config("personalization", **segments))["personalization"]
    assert (personalization["segments"], personalization["filter"]) == (["vip"], "vip")
    body = {"extra_body": {"name": padded("x")}, "attributes": [{"version_id": padded("x")}]}
    apsis = complete(config("apsis", client_id=padded("i"), client_secret=padded("s"), **body))["apsis"]
    assert (apsis["client_id"], apsis["client_secret"]) == ("i", "s")
    assert {name: apsis[name] for name in body} == body


@pytest.mark.parametrize("delimiter", ["\t", " ", ";"])
def test_white_space_can_separate_the_columns_of_a_csv(delimiter: str) -> None:
    settings = complete(config("personalization", format="csv", csv_delimiter=delimiter))
    assert settings["personalization"]["csv_delimiter"] == delimiter


@pytest.mark.parametrize("empty", ["", " \n"])
@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("braze", "api_key"),
        ("braze", "segment_ids"),
        ("apsis", "client_id"),
        ("apsis", "client_secret"),
        ("personalization", "api_key_id"),
        ("personalization", "api_key_secret"),
        ("personalization", "account_name"),
        ("personalization", "dataset_ids"),
        ("personalization", "segments"),
        ("personalization", "filter"),
    ],
)
def test_an_empty_secret_or_identifier_is_refused_by_name(vendor: str, name: str, empty: str) -> None:
    value = [empty] if name.endswith("s") else empty
    assert f"setting {vendor}.{name}" in problems(config(vendor, **{name: value}))


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("personalization", "dataset_ids"),
        ("personalization", "segments"),
        ("braze", "segment_ids"),
        ("braze", "app_ids"),
        ("braze", "fields_to_export"),
        ("braze", "custom_attributes_to_export"),
    ],
)
def test_what_is_named_twice_is_asked_for_once(vendor: str, name: str) -> None:
    twice = ["b", "a", "b", " a "] if name.endswith("_ids") else ["b", "a", "b"]
    assert complete(config(vendor, **{name: twice}))[vendor][name] == ["b", "a"]


@pytest.mark.parametrize("vendor", ["personalization", "apsis", "braze"])
def test_a_host_without_a_scheme_is_taken_as_https(vendor: str) -> None:
    for host in ("rest.example", "rest.example:8443/path", "127.0.0.1"):
        assert complete(config(vendor, base_url=host))[vendor]["base_url"] == f"https://{host}"


@pytest.mark.parametrize("letter", ["Ā", "é", "a\nb", "\x7f", "a b"])
def test_a_key_with_a_letter_that_no_header_carries_is_refused_without_it(letter: str) -> None:
    problem = problems(config("braze", api_key=f"canary{letter}key"))
    assert "setting braze.api_key" in problem
    assert "canary" not in problem


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (config("braze", api_key="canary\ud800"), "braze.api_key"),
        (config("apsis", extra_body={"a": [{"b": "canary\ud800"}]}), "apsis.extra_body.a.0.b"),
        (config("apsis", extra_body={"canary\ud800": 1}), "apsis.extra_body"),
        (config("apsis", extra_body={"a": float("inf")}), "apsis.extra_body.a"),
        ({**config("apsis"), "request_deadline_seconds": Decimal("1e400")}, "request_deadline_seconds"),
        ({**config("apsis"), "request_deadline_seconds": "1e400"}, "request_deadline_seconds"),
        (config("apsis", poll_max_seconds=10**400), "apsis.poll_max_seconds"),
        (config("apsis", requests_per_minute=1e-300), "apsis.requests_per_minute"),
        (config("personalization", page_size=10**13), "personalization.page_size"),
    ],
)
def test_what_no_request_can_carry_is_refused_by_name(settings: dict[str, Any], name: str) -> None:
    assert f"setting {name} " in problems(settings)
    assert "canary" not in problems(settings)


def test_large_numbers_in_free_form_objects_are_passed_on() -> None:
    assert complete(config("apsis", extra_body={"id": 2**63}))["apsis"]["extra_body"] == {"id": 2**63}


def test_an_else_of_a_stream_map_that_the_sdk_does_not_know_is_refused() -> None:
    wrong = {**config("braze"), "stream_maps": {"braze_users": {"__else__": "x"}}}
    assert "setting stream_maps.braze_users" in problems(wrong, WITH_BUILT_IN)


def test_an_old_tenant_needs_no_instance() -> None:
    assert complete(config("personalization", instance=""))
    assert complete(config("personalization", instance=None))


def test_defaults_are_filled_in_and_settings_of_the_user_are_kept() -> None:
    user_settings = config("apsis", window_days=3)
    before = copy.deepcopy(user_settings)
    result = complete(user_settings)
    assert result["apsis"]["window_days"] == 3
    assert result["apsis"]["lookback_minutes"] == 1440
    assert result["request_deadline_seconds"] == 900
    assert "personalization" not in result
    assert user_settings == before


def test_a_filled_in_default_is_not_shared_between_runs() -> None:
    complete(config("apsis"))["apsis"]["extra_body"]["x"] = 1
    assert complete(config("apsis"))["apsis"]["extra_body"] == {}


def test_null_is_the_same_as_absent() -> None:
    settings = {**config("braze", callback_endpoint=None), "apsis": None, "end_date": None}
    settings["braze"]["callback_endpoint"] = None
    result = complete(settings)
    assert "apsis" not in result
    assert "end_date" not in result
    assert "callback_endpoint" not in result["braze"]


def test_free_form_settings_go_through_untouched() -> None:
    body = {"topics": [{"id": "1"}, "2", 3], "deep": {"a": {"b": [True, 1.5]}}}
    result = complete(config("apsis", extra_body=body, attributes=["1", 2, {"id": "3"}]))
    assert result["apsis"]["extra_body"] == body
    assert result["apsis"]["attributes"] == ["1", 2, {"id": "3"}]


def test_null_inside_a_free_form_setting_is_kept() -> None:
    body = {"a": None, "b": {"c": None, "d": [None, {"e": None}]}}
    maps = {"users": {"email_address": None, "__else__": None}, "accounts": None, "__else__": None}
    user_settings = {
        **config("apsis", extra_body=body, segment_filter=body, attributes=[body], tags=[None]),
        "braze": vendor_settings("braze", bucket_options=body),
        "personalization": vendor_settings("personalization", extra_params={"start": None}),
        "batch_config": {"storage": {"root": "file:///srv", "params": body, "prefix": None}},
        "stream_maps": maps,
        "stream_map_config": {"salt": None},
        "faker_config": None,
    }
    result = complete(user_settings, WITH_BUILT_IN)
    assert result["stream_maps"] == maps
    assert result["stream_map_config"] == {"salt": None}
    assert result["apsis"]["extra_body"] == result["apsis"]["segment_filter"] == body
    assert result["apsis"]["attributes"] == [body]
    assert result["apsis"]["tags"] == [None]
    assert result["braze"]["bucket_options"] == result["batch_config"]["storage"]["params"] == body
    assert result["personalization"]["extra_params"] == {"start": None}
    assert "prefix" not in result["batch_config"]["storage"]
    assert "faker_config" not in result


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"flattening_enabled": True}, "flattening_max_depth is missing"),
        ({"flattening_enabled": True, "flattening_max_depth": -1}, "flattening_max_depth must be at least 0"),
        ({"flattening_max_key_length": 0}, "flattening_max_key_length must be at least 1"),
    ],
)
def test_flattening_that_cannot_work_is_refused_by_name(changes: dict[str, Any], name: str) -> None:
    assert name in problems({**config("braze"), **changes}, WITH_BUILT_IN)


@pytest.mark.parametrize("prefix", OUTSIDE)
def test_a_prefix_that_leaves_the_root_of_the_batch_files_is_refused(prefix: str) -> None:
    batch = {"storage": {"root": "file:///srv", "prefix": prefix}}
    text = problems({**config("braze"), "batch_config": batch})
    assert "batch_config.storage.prefix" in text
    assert "canary" not in text


@pytest.mark.parametrize("prefix", ["", "part-", "folder/", "a/b/part-", "..part-", "v1..", "ä "])
def test_a_prefix_below_the_root_is_allowed(prefix: str) -> None:
    batch = {"storage": {"root": "file:///srv", "prefix": prefix}}
    assert complete({**config("braze"), "batch_config": batch})["batch_config"]["storage"]["prefix"] == prefix


def test_the_sdks_decimals_become_plain_numbers() -> None:
    result = complete(config("apsis", window_days=Decimal("0.5"), lookback_minutes=Decimal("30.0")))
    assert result["apsis"]["window_days"] == 0.5
    assert type(result["apsis"]["window_days"]) is float
    assert type(result["apsis"]["lookback_minutes"]) is int


@pytest.mark.parametrize(
    "url",
    ["s3://bucket", "s3://bucket/a/b", "gs://bucket/", "az://container/a", "file:///srv/exports", "file:///"],
)
def test_a_bucket_may_be_in_every_store_or_a_folder(url: str) -> None:
    assert complete(config("braze", bucket_url=url))["braze"]["bucket_url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket/a",
        "s3://",
        "s3:///a",
        "file://host/a",
        "file:a",
        "/srv",
        "http://bucket",
        "ftp://bucket",
        "memory://x",
        "s3://canary:canary@bucket",
        "s3://bucket?canary",
        "s3://bucket#canary",
        "simplecache::s3://bucket",
        "s3://bucket::file:///etc",
        "file:///srv/../etc",
        "s3://[",
    ],
)
def test_an_invalid_bucket_url_is_refused_without_being_shown(url: str) -> None:
    text = problems(config("braze", bucket_url=url))
    assert "braze.bucket_url" in text
    assert "canary" not in text
