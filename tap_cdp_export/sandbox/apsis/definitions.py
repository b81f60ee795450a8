"""Sections, attributes, tags and events of APSIS One, with version IDs as decimal text."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from tap_cdp_export.sandbox import shopping


class Section(NamedTuple):
    """A section; the file uses its `number`, requests its discriminator (which may contain dots)."""

    number: str
    discriminator: str
    name: str


class Definition(Struct, frozen=True, eq=False):
    """An attribute, tag or event of a section; `old` is its deprecated version, `hidden` ones are in no list."""

    section: Section
    discriminator: str
    name: str
    kind: str
    version: str
    old: str | None = None
    hidden: bool = False


SHOP = Section("1187", "usercreated.sections.shop-r6tz73a27t", "Shop")
CLUB = Section("1188", "usercreated.sections.club_2.0-rppfuhvt6a", "Klubben 2.0")
BUSINESS = Section("2044", "usercreated.sections.business-k3v9c1x2m7", "Business")
SECTIONS = (SHOP, CLUB, BUSINESS)

_DEFAULT = "com.apsis1.attributes."
_USER_CREATED = "usercreated.attributes."

EMAIL = Definition(SHOP, _DEFAULT + "email", "Email", "text", "9820534", "9720534")
FIRST_NAME = Definition(SHOP, _DEFAULT + "firstname", "First name", "text", "9820535")
LAST_NAME = Definition(SHOP, _DEFAULT + "lastname", "Last name", "text", "9820536")
MOBILE = Definition(SHOP, _DEFAULT + "mobile", "Mobile", "number", "9820540")
NEWSLETTER = Definition(SHOP, _USER_CREATED + "newsletter-a1b2c3d4e5", "Newsletter", "boolean", "9820541")
ADDRESS = Definition(SHOP, _DEFAULT + "address", "Address", "address", "9820542")
BIRTHDAY = Definition(SHOP, _DEFAULT + "birthday", "Birthday", "date", "9820543")
LAST_ORDER = Definition(SHOP, _USER_CREATED + "last_order-f6g7h8i9j0", "Last order", "timestamp", "9820544")
SPENT = Definition(SHOP, _USER_CREATED + "spent-k1l2m3n4o5", "Spent, €", "decimal", "9820545", "9720545")
# In the file, but in no list of definitions: an ID that cannot be resolved.
SHOE_SIZE = Definition(SHOP, _USER_CREATED + "shoe_size-p6q7r8s9t0", "Shoe size", "number", "9820599", hidden=True)
CLUB_EMAIL = Definition(CLUB, _DEFAULT + "email", "Email", "text", "9831001")
CLUB_LEVEL = Definition(CLUB, _USER_CREATED + "level-u1v2w3x4y5", "Level", "text", "9831002")
CLUB_POINTS = Definition(CLUB, _USER_CREATED + "points-z6a7b8c9d0", "Points", "number", "9831003")
WORK_EMAIL = Definition(BUSINESS, _DEFAULT + "email", "Email", "text", "9842001")
COMPANY = Definition(BUSINESS, _USER_CREATED + "company-e1f2g3h4i5", "Företag", "text", "9842002")
ROLE = Definition(BUSINESS, _USER_CREATED + "role-j6k7l8m9n0", "Role", "text", "9842003")
ATTRIBUTES = (
    EMAIL, FIRST_NAME, LAST_NAME, MOBILE, NEWSLETTER, ADDRESS, BIRTHDAY, LAST_ORDER, SPENT, SHOE_SIZE,
    CLUB_EMAIL, CLUB_LEVEL, CLUB_POINTS, WORK_EMAIL, COMPANY, ROLE,
)  # fmt: skip

CUSTOMER = Definition(SHOP, "usercreated.tags.customer-o1p2q3r4s5", "Customer", "tag", "312460234")
GONE_QUIET = Definition(SHOP, "usercreated.tags.gone_quiet-t6u7v8w9x0", "Gone quiet", "tag", "312460235")
GOLD = Definition(CLUB, "usercreated.tags.gold-y1z2a3b4c5", "Gold", "tag", "312460301")
INVOICE = Definition(BUSINESS, "usercreated.tags.invoice-d6e7f8g9h0", "Pays by invoice", "tag", "312460401")
TAGS = (CUSTOMER, GONE_QUIET, GOLD, INVOICE)

_MAIL = "com.apsis1.events.email."
_CUSTOM = "com.apsis1.events.transaction.custom-"
SIGNED_UP = Definition(SHOP, _CUSTOM + "signed_up-i1j2k3l4m5", "Signed up", "event", "550001")
SENT = Definition(SHOP, _MAIL + "sent", "Email sent", "event", "550002", "540002")
OPENED = Definition(SHOP, _MAIL + "open", "Email opened", "event", "550003")
CLICKED = Definition(SHOP, _MAIL + "click", "Email clicked", "event", "550004")
VIEWED = Definition(SHOP, "com.apsis1.events.web.page-view", "Page viewed", "event", "550010")
CARTED = Definition(SHOP, _CUSTOM + "cart-n6o7p8q9r0", "Put into cart", "event", "550011")
ORDERED = Definition(SHOP, _CUSTOM + "order-s1t2u3v4w5", "Ordered", "event", "550012", "540012")
LEFT_LIST = Definition(SHOP, _MAIL + "unsubscribe", "Unsubscribed", "event", "550013")
EARNED = Definition(CLUB, _CUSTOM + "points-x6y7z8a9b0", "Points earned", "event", "560001")
EVENTS = (SIGNED_UP, SENT, OPENED, CLICKED, VIEWED, CARTED, ORDERED, LEFT_LIST, EARNED)

EVENT_OF_KIND = {
    shopping.SIGN_UP: SIGNED_UP,
    shopping.MAIL: SENT,
    shopping.OPEN: OPENED,
    shopping.CLICK: CLICKED,
    shopping.VIEW: VIEWED,
    shopping.CART: CARTED,
    shopping.ORDER: ORDERED,
    shopping.UNSUBSCRIBE: LEFT_LIST,
}

SEGMENTS = {
    "usercreated.segments.women-rjz6b8td2n": "Women",
    "usercreated.segments.club-h2k4m6p8q0": "Klubben",
}


def versions(definition: Definition) -> list[str]:
    """Version IDs of a definition, the current one first."""
    return [definition.version, *([definition.old] if definition.old else [])]


def items(definitions: tuple[Definition, ...]) -> list[dict[str, Any]]:
    """Request items for all versions of these definitions, in the form that the vendor page assumes."""
    return [
        {"section_discriminator": definition.section.discriminator, "version_id": version}
        for definition in definitions
        for version in versions(definition)
    ]
