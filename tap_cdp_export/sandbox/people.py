"""People, each generated from the seed and the person's number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tap_cdp_export.sandbox.names import COMPANY_FIRST, COMPANY_FORM, COMPANY_SECOND, COUNTRIES, Country, plain

if TYPE_CHECKING:
    from random import Random

DAY = 86_400_000  # milliseconds

# Business people and anonymous visitors are at fixed positions in every block of 25 people,
# so that the nth member of a dataset or segment can be computed.
BLOCK = 25
BUSINESS = frozenset({4, 9, 14, 19, 24})
ANONYMOUS = frozenset({3, 11, 17})
ALSO_PRIVATE = 24  # business people who also buy for themselves

_PLAIN = {name: plain(name) for country in COUNTRIES for name in country.women + country.men + country.families}


class Person(Struct, frozen=True, gc=False):
    """Properties of a person that never change. Times are epoch milliseconds."""

    number: int
    joined: int
    key: int  # 128 random bits, from which the vendors' ids are made
    anonymous: bool
    business: bool
    woman: bool
    first_name: str
    last_name: str
    email: str
    country: Country
    city: tuple[str, str, float, float]
    company: int | None
    born: str
    club_joined: int | None

    @property
    def visitor_id(self) -> str:
        """ID of an anonymous user in Personalization, 16 hex digits."""
        return f"{self.key & 0xFFFFFFFFFFFFFFFF:016x}"

    @property
    def export_key(self) -> str:
        """APSIS profile export key, in the form of a UUID."""
        text = f"{self.key:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    @property
    def braze_id(self) -> str:
        """Braze ID, 24 hex digits."""
        return f"{self.key >> 32:024x}"

    @property
    def random_bucket(self) -> int:
        """Braze's random bucket number, 0 to 9999."""
        return (self.key >> 7) % 10_000

    @property
    def phone(self) -> int:
        """Mobile number with country code, above 32 bits."""
        return self.country.dial * 10**9 + 700_000_000 + (self.key >> 20) % 99_999_999


def is_business(number: int) -> bool:
    """Return True if this person buys for a company."""
    return number % BLOCK in BUSINESS


def is_anonymous(number: int) -> bool:
    """Return True if this person has no name and no e-mail address."""
    return number % BLOCK in ANONYMOUS


def person(number: int, joined: int, companies: int, random: Random) -> Person:
    """Generate the person with this number.

    Args:
        number: Position in the order of signing up.
        joined: Time of signing up.
        companies: Number of companies with an account at that time.
        random: Generator seeded for this person; the activities are drawn from it afterwards.
    """
    key = random.getrandbits(128)
    draw = random.random
    country = COUNTRIES[int(draw() * draw() * len(COUNTRIES))]
    woman = draw() < 0.5  # noqa: PLR2004 - equal odds
    first_names = country.women if woman else country.men
    first_name = first_names[int(draw() * len(first_names))]
    last_name = country.families[int(draw() * len(country.families))]
    club_draw = draw()
    return Person(
        number=number,
        joined=joined,
        key=key,
        anonymous=is_anonymous(number),
        business=is_business(number),
        woman=woman,
        first_name=first_name,
        last_name=last_name,
        email=f"{_PLAIN[first_name]}.{_PLAIN[last_name]}{number}@example.{'org' if key & 1 else 'com'}",
        country=country,
        city=country.cities[int(draw() * len(country.cities))],
        company=int(draw() * companies) if is_business(number) else None,
        born=f"{1940 + key % 66}-{1 + key % 12:02d}-{1 + (key >> 5) % 28:02d}",
        club_joined=joined + int(club_draw * 300 * DAY)
        if club_draw < _CLUB_SHARE and not is_anonymous(number)
        else None,
    )


_CLUB_SHARE = 0.3


def company_name(number: int) -> str:
    """Name of the nth company, in lower case as Personalization stores account names."""
    first, quotient = number % len(COMPANY_FIRST), number // len(COMPANY_FIRST)
    second, repetition = (quotient + first) % len(COMPANY_SECOND), quotient // len(COMPANY_SECOND)
    name = f"{COMPANY_FIRST[first]} {COMPANY_SECOND[second]} {COMPANY_FORM[number % len(COMPANY_FORM)]}"
    return f"{name} {repetition + 1}" if repetition else name
