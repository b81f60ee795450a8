"""Synthetic names and places; none belongs to a real person or company."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

_LETTERS_WITHOUT_PARTS = str.maketrans(
    {"ø": "o", "æ": "ae", "ł": "l", "ð": "d", "þ": "th", "ß": "ss", "đ": "d", "ı": "i"}  # noqa: RUF001 - Turkish
)


class Country(NamedTuple):
    """A country the shop delivers to, with the names common there."""

    code: str
    language: str
    time_zone: str
    dial: int
    cities: tuple[tuple[str, str, float, float], ...]  # name, postal code, longitude, latitude
    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]


def plain(text: str) -> str:
    """Reduce text to lower-case ASCII letters and digits, as in an e-mail address."""
    parts = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS_WITHOUT_PARTS))
    return "".join(letter for letter in parts if letter.isascii() and letter.isalnum())


COUNTRIES = (
    Country(
        "SE", "sv", "Europe/Stockholm", 46,
        (("Göteborg", "411 03", 11.97, 57.71), ("Umeå", "903 26", 20.26, 63.83), ("Östersund", "831 31", 14.64, 63.18)),
        ("Åsa", "Märta", "Linnéa", "Saga", "Frida", "Ebba"),
        ("Björn", "Göran", "Love", "Håkan", "Elis", "Nils"),
        ("Sjögren", "Åkerlund", "Lindqvist", "Björkman", "Öberg", "Norrby", "Västerlund"),
    ),
    Country(
        "NO", "nb", "Europe/Oslo", 47,
        (("Tromsø", "9008", 18.96, 69.65), ("Ålesund", "6002", 6.15, 62.47), ("Bergen", "5003", 5.32, 60.39)),
        ("Solveig", "Ingrid", "Tuva", "Åshild", "Marit"),
        ("Sjur", "Øystein", "Torbjørn", "Håvard", "Lars"),
        ("Bakkehaug", "Sæther", "Øvrebø", "Tveit", "Haugland", "Nymoen"),
    ),
    Country(
        "FI", "fi", "Europe/Helsinki", 358,
        (("Jyväskylä", "40100", 25.75, 62.24), ("Hämeenlinna", "13100", 24.46, 61.0), ("Oulu", "90100", 25.47, 65.01)),
        ("Päivi", "Aino", "Venla", "Helmi", "Tyyne"),
        ("Väinö", "Eero", "Jukka", "Onni", "Pentti"),
        ("Mäkelä", "Hämäläinen", "Koskela", "Virtasalo", "Niemelä", "Törmänen"),
    ),
    Country(
        "DK", "da", "Europe/Copenhagen", 45,
        (("Århus", "8000", 10.2, 56.16), ("Ærøskøbing", "5970", 10.41, 54.89), ("Skagen", "9990", 10.58, 57.72)),
        ("Bodil", "Søs", "Karen", "Freja", "Signe"),
        ("Søren", "Jørgen", "Asger", "Villads", "Kjeld"),
        ("Højgaard", "Ravnkilde", "Brøndum", "Skovlund", "Mølgaard"),
    ),
    Country(
        "DE", "de", "Europe/Berlin", 49,
        (("Lübeck", "23552", 10.69, 53.87), ("Köln", "50667", 6.96, 50.94), ("Görlitz", "02826", 14.99, 51.15)),
        ("Jördis", "Anke", "Käthe", "Zeynep", "Swantje"),
        ("Jürgen", "Sönke", "Emre", "Lothar", "Götz"),
        ("Weißmüller", "Förster", "Großkopf", "Yıldırım", "Harms", "Krähenbühl"),  # noqa: RUF001 - Turkish
    ),
    Country(
        "PL", "pl", "Europe/Warsaw", 48,
        (("Łódź", "90-001", 19.46, 51.76), ("Gdańsk", "80-831", 18.65, 54.35), ("Zakopane", "34-500", 19.95, 49.3)),
        ("Zofia", "Małgorzata", "Kinga", "Jagoda"),
        ("Łukasz", "Wojciech", "Stanisław", "Jędrzej"),
        ("Wiśniowiecka", "Dąbrówka", "Zięba", "Źródło", "Kołodziej"),
    ),
    Country(
        "US", "en", "Eastern Time (US & Canada)", 1,
        (("Duluth", "55802", -92.1, 46.8), ("Portland", "04101", -70.3, 43.7), ("Nome", "99762", -165.4, 64.5)),
        ("Thảo", "Imani", "Grace", "Noor"),
        ("Kwame", "Mateo", "Hiroshi", "Seán"),
        ("O'Dell", "Nguyễn", "Okafor", "van der Meer", "Núñez", "Smith-Jónsdóttir"),
    ),
)  # fmt: skip

COMPANY_FIRST = (
    "nordlys", "fjellvind", "kajakhuset", "tundra & co", "skärgård", "rimfrost", "bålpladsen", "ytterö",
    "hytteliv", "myrull", "kompass", "isbjørn", "vandrarna", "polku", "strandvakt", "grane",
)  # fmt: skip
COMPANY_SECOND = ("guiding", "event", "skola", "utleie", "expeditions", "hotell", "kommune", "klubb")
COMPANY_FORM = ("ab", "as", "oy", "aps", "gmbh", "ehf")
INDUSTRIES = ("tourism", "education", "retail", "public sector", "hospitality")
ROLES = ("buyer", "guide", "owner", "assistant")
