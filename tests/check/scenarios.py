"""What the sandbox plays so that each unknown fact has both outcomes: options, faults, settings, and what follows."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

from tap_cdp_export.sandbox.braze.export_users import NOBODY

JSON: Final = {"content-type": "application/json"}
NONE = "none/users.json$"
ASK_APSIS, APSIS_FILE = "/audience/profiles/exports$", "/audience/profiles/exports/"
ASK_BRAZE, ARCHIVE = "/users/export/segment$", r"\.zip$"


@dataclass(frozen=True)
class Scenario:
    """One way in which a vendor may answer.

    Attributes:
        name: of the scenario.
        options: of the vendor's sandbox.
        faults: answers in place of the sandbox's.
        settings: changes of the vendor's settings.
        confirmed: names of the facts that are confirmed then.
        refuted: names of those that are refuted.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    faults: tuple[dict[str, Any], ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    confirmed: str = ""
    refuted: str = ""


def answer(path: str, document: Any = None, *, status: int = 200, **more: Any) -> dict[str, Any]:
    """A fault that answers matching requests with a JSON document."""
    body = "" if document is None else json.dumps(document)
    return {"path": path, "status": status, "times": 0, "body": body, "headers": JSON, **more}


def _raw(member: dict[str, Any]) -> str:
    """The only member of an object, with its key, as text."""
    return json.dumps(member)[1:-1]


def _profile(key: str, section: dict[str, Any]) -> dict[str, Any]:
    return {key: {"sections": {"1187": section}}}


def _event(*, created: int, source: int, type_id: Any = "550001") -> dict[str, Any]:
    return {"typeId": type_id, "createdAt": created, "sourceEventTime": source, "data": {}}


def _bounce(day: int) -> dict[str, Any]:
    return {"email": "a@example.com", "hard_bounced_at": f"2024-03-0{day} 10:00:00 +0000"}


NOW: Final = round(time.time() * 1000) - 3_600_000
LONG_AGO: Final = 1_600_000_000_000
UUID: Final = "b7f0c2f4-5a3e-4b0c-8f51-2f6d5c1a9e10"
LAST_ORDER: Final = "9820544"  # the sandbox's only Timestamp
OTHER_USER: Final = {
    "userId": "x", "email": "a@b.example", "attributes": [1], "segments": "a|b", "geo": {}, "totalActions": 3,
}  # fmt: skip
OTHER_FILE: Final = {
    "profiles": {"17": {"sections": {"1187": {"attributes": {"x": {"value": 1}}, "topics": {}}, "1188": {}}}},
    "metadata": {},
}

PERSONALIZATION: Final = (
    Scenario(
        "as the sandbox is",
        confirmed="page-cap json-end order csv-end csv-key csv-dialect csv-length key email-address "
        "segments segment-names location total-actions window-fields unknown-segment unknown-dataset error-text "
        "accounts content-types first-byte",
        refuted="user-fields attributes gzip",
    ),
    Scenario(
        "plain and packed",
        {"unknown_fields": False, "attribute_list": False, "gzip": True},
        confirmed="user-fields attributes gzip",
    ),
    Scenario(
        "other CSV and a cap",
        {"csv_end": "empty", "csv_key": "userId", "csv_bom": True, "page_cap": 50},
        refuted="csv-end csv-key csv-dialect page-cap",
    ),
    Scenario(
        "a CSV without a length",
        faults=({"path": "/users.csv$", "kind": "unframed", "after_bytes": 10**6},),
        refuted="csv-length",
    ),
    Scenario(
        "other users",
        faults=(
            answer("/users.json$", [OTHER_USER], times=1),
            answer("/users.json$", [{**OTHER_USER, "totalActions": 1, "visits": 2}], skip=0, times=1),
            answer("/users.json$", None, body="null", times=1),
        ),
        refuted="key user-fields email-address attributes segments location total-actions window-fields json-end",
    ),
    Scenario(
        "other order and segment IDs",
        faults=(
            answer("/users.json$", [{"name": "a", "segments": ["1PPOO"]}, {"name": "b"}], times=1),
            answer("/users.json$", [{"name": "b"}, {"name": "a"}], times=1),
        ),
        refuted="order segment-names",
    ),
    Scenario(
        "nothing is unknown", {"unknown_segment": "empty", "accounts_status": 403}, refuted="unknown-segment accounts"
    ),
    Scenario(
        "refusals in JSON",
        faults=(answer(NONE, {"message": "no"}, status=400),),
        refuted="unknown-dataset error-text",
    ),
    Scenario(
        "slow text",
        faults=(
            {"path": "/users.json$", "kind": "slow", "seconds": 1.05},
            {"path": "/users.csv$", "status": 200, "body": "name\na\n"},
        ),
        refuted="first-byte content-types",
    ),
    Scenario("throttled", faults=({"path": "/users.json$", "status": 429},), refuted="throttled"),
    Scenario(
        "throttled for a while",
        faults=({"path": "/users.json$", "status": 429, "retry_after": 1},),
        confirmed="throttled",
    ),
)

APSIS: Final = (
    Scenario(
        "as the sandbox is",
        confirmed="items segment-filter poll-url-field poll-url-absolute poll-status poll-retry-after error-type "
        "profile-key file-fields section-fields empty-sections attribute-keys timestamp section-id tag-fields "
        "event-versions keyspace-fields list-paging",
        refuted="request-status",
    ),
    Scenario(
        "another answer",
        {"request_status": 202, "url_field": "poll_url", "relative_url": True, "poll_mode": "v2", "failing_exports": 1},
        confirmed="request-status failure",
        refuted="poll-url-field poll-url-absolute poll-status",
    ),
    Scenario(
        "only a header",
        {"url_field": ""},
        refuted="poll-url-field",
    ),
    Scenario(
        "an error in place of profiles",
        {"error_bodies": 1},
        faults=(answer(APSIS_FILE, {"message": "wait"}, status=404, retry_after=0, times=1),),
        refuted="failure poll-retry-after error-type",
    ),
    Scenario(
        "another filter",
        faults=({"path": ASK_APSIS, "status": 400},),
        confirmed="items refusal-status",
        refuted="segment-filter",
    ),
    Scenario("other items", faults=({"path": ASK_APSIS, "status": 422, "times": 2},), refuted="items refusal-status"),
    Scenario(
        "another file",
        faults=(answer(APSIS_FILE, OTHER_FILE),),
        refuted="profile-key file-fields section-fields empty-sections attribute-keys",
    ),
    Scenario(
        "events of createdAt",
        {
            "raw_profile": _raw(
                _profile(
                    UUID,
                    {
                        "attributes": {LAST_ORDER: {"value": "2024-03-01"}},
                        "events": [_event(created=NOW, source=LONG_AGO)],
                    },
                )
            )
        },
        confirmed="window-clock type-id",
        refuted="timestamp",
    ),
    Scenario(
        "events of sourceEventTime",
        faults=(
            answer(
                APSIS_FILE, {"profiles": _profile(UUID, {"events": [_event(created=LONG_AGO, source=NOW, type_id=5)]})}
            ),
        ),
        refuted="window-clock type-id",
    ),
    Scenario(
        "other lists",
        {"section_id_field": "number"},
        faults=(
            answer("/tags$", {"items": [{"id": 1, "label": "x"}], "next": "/2"}),
            answer("/events$", {"items": [{"versions": [{"id": "1", "fields": []}]}]}),
            answer("/keyspaces$", {"items": [{"discriminator": "x", "kind": "y"}]}),
        ),
        refuted="section-id tag-fields event-versions keyspace-fields list-paging",
    ),
)

BRAZE: Final = (
    Scenario(
        "as the sandbox is",
        confirmed="refusal unknown-fields presigned storage-error not-ready time-values created-from uninstalled-at "
        "in-control coordinates",
        refuted="url-archive sessions",
    ),
    Scenario(
        "a zip",
        {"archive": "zip", "mixed_types": False, "url_query": "?X-Amz-Signature=c0ffee", "not_ready_status": 404},
        confirmed="url-archive member-names sessions",
        refuted="presigned not-ready",
    ),
    Scenario(
        "other names",
        {"archive": "zip", "file_suffix": ".json", "unknown_field_names": "refuse"},
        refuted="member-names unknown-fields",
    ),
    Scenario(
        "an empty zip",
        {"archive": "zip"},
        settings={"segment_ids": [NOBODY.identifier]},
        confirmed="empty-segment",
    ),
    Scenario(
        "an empty file",
        {"archive": "zip", "empty_segment": "empty_member"},
        settings={"segment_ids": [NOBODY.identifier]},
        refuted="empty-segment",
    ),
    Scenario(
        "other users",
        {
            "raw_line": json.dumps(
                {
                    "braze_id": "x",
                    "created_from": 3,
                    "uninstalled_at": 1_700_000_000,
                    "custom_attributes": {"when": {"$time": "2024-03-01T00:00:00Z"}},
                    "canvases_received": [{"in_control": "false"}],
                    "apps": [{"sessions": "3"}],
                    "last_coordinates": [59.3, 118.1],
                }
            )
        },
        refuted="time-values created-from uninstalled-at in-control sessions coordinates",
    ),
    Scenario(
        "attributes one by one",
        settings={"custom_attributes_to_export": ["loyalty-id"]},
        confirmed="chosen-attributes",
    ),
    Scenario(
        "attributes at the top",
        {"raw_line": '{"braze_id": "x", "loyalty-id": "y"}'},
        settings={"custom_attributes_to_export": ["loyalty-id"]},
        refuted="chosen-attributes",
    ),
    Scenario(
        "other refusals",
        faults=(
            answer(ASK_BRAZE, ["no"], status=422, times=1),
            answer(ARCHIVE, {"error": "wait"}, status=403, times=1),
        ),
        refuted="refusal storage-error",
    ),
    Scenario(
        "busy",
        faults=(answer(ASK_BRAZE, {"message": "An export is already in progress"}, status=429, times=1),),
        confirmed="busy-text",
    ),
    Scenario(
        "busy in other words",
        faults=(answer(ASK_BRAZE, {"message": "Wait"}, status=429, times=1),),
        refuted="busy-text",
    ),
    Scenario(
        "lists as expected",
        faults=(
            answer("/campaigns/list$", {"campaigns": [{"id": "a"}]}, times=1),
            answer("/campaigns/list$", {"campaigns": []}),
            answer("/product_list$", {"products": ["a"]}, times=1),
            answer("/product_list$", {"products": []}),
            answer("/custom_attributes$", {"attributes": [{"data_type": "Array", "status": "Active"}]}),
            answer("/hard_bounces$", {"emails": [_bounce(day) for day in (3, 2, 2, 1)]}),
            answer("/purchases/", {"data": []}, headers={**JSON, "X-RateLimit-Limit": "1000"}),
        ),
        confirmed="list-end product-pages product-page-size data-types attribute-status suppression-order "
        "purchase-limit",
    ),
    Scenario(
        "other lists",
        faults=(
            answer("/campaigns/list$", {"campaigns": [{"id": "a"}]}),
            answer("/product_list$", {"products": ["a"] * 101}),
            answer("/custom_attributes$", {"attributes": [{"data_type": "Geo", "status": "Gone"}]}),
            answer("/hard_bounces$", {"emails": [_bounce(day) for day in (3, 1, 2)]}),
        ),
        refuted="list-end product-pages product-page-size data-types attribute-status suppression-order purchase-limit",
    ),
)

SCENARIOS: Final = {"personalization": PERSONALIZATION, "apsis": APSIS, "braze": BRAZE}
