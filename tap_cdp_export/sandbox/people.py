"""Who a person is: computed from the seed and the person's number alone, without any list of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tap_cdp_export.sandbox.names import COMPANY_FIRST, COMPANY_FORM, COMPANY_SECOND, COUNTRIES, Country, plain

if TYPE_CHECKING:
    from random import Random

DAY = 86_400_000  # milliseconds

# What a person's number says: business people, and anonymous visitors, stand at fixed places in every 25 people,
# so that the nth member of a data set or segment is found by arithmetic.
BLOCK = 25
BUSINESS = frozenset({4, 9, 14, 19, 24})
ANONYMOUS = frozenset({3, 11, 17})
ALSO_PRIVATE = 24  # business people who also buy for themselves

_PLAIN = {name: plain(name) for country in COUNTRIES for name in country.women + country.men + country.families}


class Person(Struct, frozen=True, gc=False):
    """What does not change about a person. Times are epoch milliseconds."""

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
        """The 16 hex digits Personalization gives to an anonymous user."""
        return f"{self.key & 0xFFFFFFFFFFFFFFFF:016x}"

    @property
    def export_key(self) -> str:
        """The APSIS profile export key, shaped like a UUID."""
        text = f"{self.key:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    @property
    def braze_id(self) -> str:
        """Braze's 24 hex digits."""
        return f"{self.key >> 32:024x}"

    @property
    def random_bucket(self) -> int:
        """Braze's random bucket number, 0 to 9999."""
        return (self.key >> 7) % 10_000

    @property
    def phone(self) -> int:
        """A mobile number with country code, above 32 bits."""
        return self.country.dial * 10**9 + 700_000_000 + (self.key >> 20) % 99_999_999


def is_business(number: int) -> bool:
    """Whether this person buys for a company."""
    return number % BLOCK in BUSINESS


def is_anonymous(number: int) -> bool:
    """Whether this person never left a name or an e-mail address."""
    return number % BLOCK in ANONYMOUS


def person(number: int, joined: int, companies: int, random: Random) -> Person:
    """Draw the person with this number from a generator that was seeded for them.

    Args:
        number: The person's place in the order of signing up.
        joined: When they signed up.
        companies: How many companies had an account then.
        random: Their generator; it goes on to draw their story.
    """
    key = random.getrandbits(128)
    draw = random.random
    country = COUNTRIES[int(draw() * draw() * len(COUNTRIES))]
    woman = draw() < 0.5  # noqa: PLR2004 - a coin
    first_names = country.women if woman else country.men
    first_name = first_names[int(draw() * len(first_names))]
    last_name = country.families[int(draw() * len(country.families))]
    club = draw()
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
        club_joined=joined + int(club * 300 * DAY) if club < _CLUB_SHARE and not is_anonymous(number) else None,
    )


_CLUB_SHARE = 0.3


def company_name(number: int) -> str:
    """The nth company's name, in lower case as Personalization keeps account names."""
    first, rest = number % len(COMPANY_FIRST), number // len(COMPANY_FIRST)
    second, again = (rest + first) % len(COMPANY_SECOND), rest // len(COMPANY_SECOND)
    name = f"{COMPANY_FIRST[first]} {COMPANY_SECOND[second]} {COMPANY_FORM[number % len(COMPANY_FORM)]}"
    return f"{name} {again + 1}" if again else name
