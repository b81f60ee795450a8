"""Statistics of campaigns and Canvases: which rows an answer gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.configurations import BRAZE_URL
from tests.vendors.braze.tables.test_series import ALWAYS, run
from tests.vendors.braze.tables.vendor import CampaignVendor

if TYPE_CHECKING:
    from requests_mock import Mocker


def sent_by_variation(requests_mock: Mocker, messages: str) -> dict[str, int]:
    CampaignVendor({"a": ALWAYS}).install(requests_mock)
    answer = f'{{"data": [{{"time": "2026-06-25", {messages}}}]}}'
    requests_mock.get(f"{BRAZE_URL}/campaigns/data_series", text=answer)
    one = run("2026-06-25T18:00:00Z", only={"braze_campaign_message_stats"})
    assert one.exit_code == 0, one.log
    return {row["message_variation_id"]: row["sent"] for row in one.records("braze_campaign_message_stats")}


@pytest.mark.parametrize(
    "messages",
    [
        '"messages": {"email": [V1], "email": [V2]}',
        '"messages": {"email": [V1]}, "messages": {"email": [V2]}',
        '"messages": {"email": [V1]}, "messages": {"sms": [V2]}',
    ],
)
def test_message_variations_under_a_repeated_key_are_all_rows(requests_mock: Mocker, messages: str) -> None:
    for number in (1, 2):
        messages = messages.replace(f"V{number}", f'{{"variation_api_id": "v{number}", "sent": {number}}}')
    assert sent_by_variation(requests_mock, messages) == {"v1": 1, "v2": 2}


@pytest.mark.parametrize(
    "parts",
    [
        '"PART": {"x": {"revenue": 1}}, "PART": {"y": {"revenue": 2}}',
        '"PART": {"x": {"revenue": 1}, "y": {"revenue": 3}}, "PART": {"y": {"revenue": 2}}',
        '"PART": {"x": {"revenue": 1}, "y": {"name": "Y"}, "y": {"revenue": 2}}',
    ],
)
@pytest.mark.parametrize("part", ["variant", "step"])
def test_variants_and_steps_under_a_repeated_key_are_all_rows(requests_mock: Mocker, part: str, parts: str) -> None:
    requests_mock.get(f"{BRAZE_URL}/canvas/list", [{"json": {"canvases": [{"id": "c"}]}}, {"json": {"canvases": []}}])
    requests_mock.get(f"{BRAZE_URL}/canvas/details", json={})
    day = '{"time": "2026-06-25", ' + parts.replace("PART", f"{part}_stats") + "}"
    requests_mock.get(f"{BRAZE_URL}/canvas/data_series", text=f'{{"data": {{"stats": [{day}]}}}}')
    stream = f"braze_canvas_{part}_stats"
    one = run("2026-06-25T18:00:00Z", only={stream})
    assert one.exit_code == 0, one.log
    assert {row[f"{part}_id"]: row["revenue"] for row in one.records(stream)} == {"x": 1, "y": 2}
