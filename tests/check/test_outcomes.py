"""The sandbox plays both outcomes of each unknown fact that the check can tell, and the check tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_cdp_export.sandbox.options import Options, PopulationOptions
from tap_cdp_export.sandbox.server import Sandbox
from tap_cdp_export.tap import VENDORS
from tests.check.scenarios import SCENARIOS, Scenario
from tests.helpers.checking import outcomes

if TYPE_CHECKING:
    from tap_cdp_export.vendors.vendor import Vendor


@pytest.mark.parametrize(
    ("vendor", "scenario"),
    [(vendor, scenario) for vendor, scenarios in SCENARIOS.items() for scenario in scenarios],
    ids=lambda value: value.name.replace(" ", "-") if isinstance(value, Scenario) else value,
)
def test_the_answers_of_the_sandbox_tell(vendor: str, scenario: Scenario) -> None:
    options = Options(population=PopulationOptions(users=300, companies=20))
    options.update({vendor: scenario.options, "faults": list(scenario.faults)})
    with Sandbox(options) as sandbox:
        found = outcomes(sandbox, vendor, **scenario.settings)
    for outcome, names in (("confirmed", scenario.confirmed), ("refuted", scenario.refuted)):
        assert {name: found[f"{vendor}.{name}"] for name in names.split()} == dict.fromkeys(names.split(), outcome)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_both_outcomes_of_each_fact_are_played(vendor: Vendor) -> None:
    tellable = {unknown.id.partition(".")[2] for unknown in vendor.check.unknowns if not unknown.takes}
    scenarios = SCENARIOS[vendor.name]
    assert {name for scenario in scenarios for name in scenario.confirmed.split()} == tellable
    assert {name for scenario in scenarios for name in scenario.refuted.split()} == tellable


@pytest.mark.parametrize(
    ("vendor", "told"), [("personalization", set()), ("apsis", {"apsis.error-type"}), ("braze", set())]
)
def test_a_server_that_fails_tells_nothing(vendor: str, told: set[str]) -> None:
    with Sandbox(Options(population=PopulationOptions(users=100, companies=5))) as sandbox:
        sandbox.options.update({"faults": [{"path": "^(?!/oauth)", "status": 500, "times": 0}]})
        found = outcomes(sandbox, vendor)
    assert {identifier for identifier, outcome in found.items() if outcome != "open"} == told
