"""Products and mail campaigns of the synthetic shop."""

from __future__ import annotations

from typing import NamedTuple


class Product(NamedTuple):
    """A product; `cents` is its price."""

    sku: str
    name: str
    category: str
    cents: int


class Campaign(NamedTuple):
    """A mail campaign of the shop."""

    number: str
    name: str
    subject: str


class OrderLine(NamedTuple):
    """One product of an order."""

    product: Product
    quantity: int


PRODUCTS = (
    Product("TENT-2", "Tent Rimfrost 2P", "tents", 32900),
    Product("TENT-4", "Tent Skärgård 4P", "tents", 54900),
    Product("BAG-0", "Sleeping bag Ripa 0°C", "sleeping", 18900),
    Product("BAG-15", "Sleeping bag Järv -15 °C", "sleeping", 29900),
    Product("MAT-1", "Mat Mossa", "sleeping", 7990),
    Product("PACK-30", "Pack Tjäder 30 l", "packs", 9900),
    Product("PACK-65", "Pack Elg 65 l", "packs", 21900),
    Product("STOVE-1", "Stove Glöd", "kitchen", 6490),
    Product("POT-1", "Pot Kåsa 1 l", "kitchen", 3450),
    Product("MUG-1", "Mug “Fika”", "kitchen", 1290),
    Product("KNIFE-1", "Knife Øks & Co", "tools", 4590),
    Product("AXE-1", "Axe Hugin", "tools", 8490),
    Product("LAMP-1", "Headlamp Nordlys 400", "light", 5990),
    Product("LAMP-2", 'Lantern "Mårbacka"', "light", 3990),
    Product("BOOT-1", "Boots Fjällbäck", "shoes", 22900),
    Product("SOCK-3", "Socks Ull, 3 pairs", "clothes", 2490),
    Product("JACK-1", "Jacket Skur", "clothes", 19900),
    Product("WOOL-1", "Sweater Lopapeysa", "clothes", 14900),
    Product("KAJ-1", "Kayak Vågen 480", "water", 129000),
    Product("PADD-1", "Paddle Åra", "water", 11900),
    Product("SKI-1", "Skis Fjelltur 195", "snow", 38900),
    Product("SHOE-S", "Snowshoes Hare", "snow", 16900),
    Product("BUG-1", "Mosquito net Mygg", "small", 1990),
    Product("GIFT", "Gift card", "small", 5000),
)

WELCOME = Campaign("1001", "Welcome", "Välkommen! Welcome! Tervetuloa!")
CAMPAIGNS = (
    Campaign("1002", "Autumn packing list", "Höst i fjällen: 7 things to pack"),
    Campaign("1003", "Cart reminder", "You left something at the cabin"),
    Campaign("1004", "Winback", "Lenge siden sist / long time no see"),
    Campaign("1005", "Ski season", "Snön är här ❄"),
    Campaign("1006", "Members' night", "Klubbkväll: 20 % on kayaks"),
)


def order_lines(product: int, random_bits: int) -> list[OrderLine]:
    """Derive the one to three lines of an order from its first product and its random bits."""
    return [
        OrderLine(PRODUCTS[(product + 7 * line) % len(PRODUCTS)], 1 + (random_bits >> 3 * line) % 3)
        for line in range(1 + random_bits % 3)
    ]


def order_cents(product: int, random_bits: int) -> int:
    """Total price of the order that `order_lines` describes."""
    return sum(
        PRODUCTS[(product + 7 * line) % len(PRODUCTS)].cents * (1 + (random_bits >> 3 * line) % 3)
        for line in range(1 + random_bits % 3)
    )


def order_number(random_bits: int) -> int:
    """Number of the order, above 32 bits."""
    return 2**32 + random_bits % 10**10
