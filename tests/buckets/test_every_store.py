"""Exports in the company's own bucket: the same tests for every kind of store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_cdp_export.errors import CredentialsRefused, IncompleteAnswer, SettingsError
from tap_cdp_export.files.object_store import ObjectStore
from tests.buckets.stores import STORES, Store
from tests.helpers.archives import gzipped, zipped
from tests.helpers.configurations import BRAZE_URL, config
from tests.helpers.in_process import sync

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests_mock import Mocker

PREFIX = "e739ed46-9cd7-4142-b70f-843b89c5ac80-1592424870"  # requested on 2020-06-17
OTHER_PREFIX = "e739ed46-9cd7-4142-b70f-843b89c5ac80-1592424871"
SEGMENT = "segment-export/segment-1"


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A bucket with an export of four archives and unrelated objects around them."""
    with STORES[request.param](tmp_path_factory.mktemp("bucket")) as made:
        made.put(f"{SEGMENT}/2020-06-18/{PREFIX}/b.zip", zipped({"x.txt": users("b1", "b2"), "y.txt": users("b3")}))
        made.put(f"{SEGMENT}/2020-06-18/{PREFIX}/a.gz", gzipped(users("a1")))
        made.put(f"{SEGMENT}/2020-06-17/{PREFIX}/d.zip", zipped({"x.json": users("d1")}))
        made.put(f"{SEGMENT}/2020-06-20/{PREFIX}/c.zip", zipped({}))
        for path in (
            f"{SEGMENT}/2020-06-18/{OTHER_PREFIX}/e.zip",
            f"{SEGMENT}/2020-06-18/users-f.zip",
            f"{SEGMENT}/g.zip",
            f"{SEGMENT}-2/2020-06-18/{PREFIX}/h.zip",
            f"{SEGMENT}/2020-06-18/{PREFIX}-1/i.zip",
            f"{SEGMENT}/2020-06-18/{PREFIX}/deeper/j.zip",
        ):
            made.put(path, b"none of ours")
        yield made


def users(*braze_ids: str) -> bytes:
    return b"".join(json.dumps({"braze_id": braze_id}).encode() + b"\n" for braze_id in braze_ids)


def settings(store: Store, **changes: Any) -> dict[str, Any]:
    return config(
        "braze",
        bucket_url=store.url,
        bucket_options=store.options,
        bucket_quiet_seconds=0.05,
        poll_initial_seconds=0.02,
        **changes,
    )


def test_exactly_the_archives_below_our_prefix_are_read_in_a_stable_order(store: Store, requests_mock: Mocker) -> None:
    requests_mock.post(f"{BRAZE_URL}/users/export/segment", json={"message": "success", "object_prefix": PREFIX})
    run = sync(settings(store))
    assert run.exit_code == 0, run.log
    assert [row["braze_id"] for row in run.records("braze_users")] == ["d1", "a1", "b1", "b2", "b3"]
    resumed = sync(settings(store), state=run.states[2])
    assert [row["braze_id"] for row in resumed.records("braze_users")] == ["b1", "b2", "b3"]
    assert requests_mock.call_count == 1  # the second run resumes the export of the first


def test_an_object_that_changes_while_it_is_read_is_noticed(store: Store) -> None:
    store.put("changing/x.zip", b"before")
    client = ObjectStore(store.url, store.options)
    (listed,) = client.objects("changing")
    with client.fetch(listed) as spool:
        assert spool.head(9) == b"before"
    store.put("changing/x.zip", b"after!")
    with pytest.raises(IncompleteAnswer, match=r"changing/x\.zip"):
        client.fetch(listed)
    assert client.objects("changing") != [listed]


def test_a_folder_that_is_not_there_yet_is_empty(store: Store) -> None:
    client = ObjectStore(store.url, store.options)
    client.check("nothing")
    assert client.folders("nothing/here") == []
    assert client.objects("nothing/here") == []


def test_a_bucket_that_is_not_there_is_a_mistake_in_the_settings(store: Store) -> None:
    missing = store.url.replace("bucket", "bucket-of-nobody")
    with pytest.raises(SettingsError, match="bucket_url"):
        ObjectStore(missing, store.options).check("nothing")


def test_wrong_credentials_are_refused_without_being_shown() -> None:
    with STORES["s3"](Path()) as store, pytest.raises(CredentialsRefused) as refusal:
        ObjectStore(store.url, {"endpoint_url": store.options["endpoint_url"], "key": "canary"}).check("nothing")
    assert "canary" not in str(refusal.value)
