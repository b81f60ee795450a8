"""IDs and names that users' histories share with the lists and series of the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tap_cdp_export.sandbox import shopping

if TYPE_CHECKING:
    from tap_cdp_export.sandbox.people import Person
    from tap_cdp_export.sandbox.shop import Campaign

CANVAS: Final = "46972a9d-dc81-473f-aa03-e3473b4ed781"
CANVAS_STEP: Final = "43d1a349-c3c8-4be1-9fbe-ce708e4d1c39"
CANVAS_STEP_NAME: Final = "Hej!"
CANVAS_MESSAGE: Final = "9f0c2b51-6c6e-4d0e-8a55-1f3c5d7e9b02"
CANVAS_VARIANT: Final = "a7d1e5c3-2b4f-4c68-9d0a-6e8f1b3c5d72"
CANVAS_CONTROL: Final = "c2e4a6b8-1d3f-4507-8b9c-0a2d4f6e8c13"
VARIANT: Final = "Variant 1"
CONTROL: Final = "Kontroll"
EVENT_NAMES: Final = {shopping.VIEW: "Viewed product", shopping.CART: "Put into cart"}
ANDROID: Final = "3e1b5d7f-9a2c-4e6b-8d0f-2a4c6e8b1d35"
IOS: Final = "6c8e0a2d-4f6b-4813-9a5c-7d9f1b3e5c46"
APPS: Final = (ANDROID, IOS)


def campaign_id(campaign: Campaign) -> str:
    """ID of a campaign."""
    return f"d72fdc84-ddda-44f1-a0d5-{campaign.number:0>12}"


def variation_id(campaign: Campaign) -> str:
    """ID of the only message variation of a campaign."""
    return f"1bddc73a-a134-4784-9134-{campaign.number:0>12}"


def control_id(variation: str) -> str:
    """ID of the control group beside a message variation."""
    return variation.replace("1bdd", "c0bd", 1)


def is_in_control(person: Person) -> bool:
    """Whether a person is in the control group of a Canvas or campaign that has one, and gets no mail of it."""
    return person.key % 10 == 0


def app_of(person: Person) -> str | None:
    """The app that a person has; one of four has none."""
    if person.key % 4 == 0:
        return None
    return IOS if person.key % 3 == 0 else ANDROID
