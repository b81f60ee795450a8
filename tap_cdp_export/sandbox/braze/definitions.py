"""Definitions: custom attributes, custom events and products."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tap_cdp_export.sandbox.braze.access import Refused, page_of, parameters, whole_number
from tap_cdp_export.sandbox.braze.identifiers import EVENT_NAMES
from tap_cdp_export.sandbox.shop import PRODUCTS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from tap_cdp_export.sandbox.braze.access import Access
    from tap_cdp_export.sandbox.braze.workspace import Workspace

_CURSOR_PAGE: Final = 50
_NAME_PAGE: Final = 250
_PRODUCT_PAGE: Final = 20  # the vendor's size is not known
_ATTRIBUTES: Final = {
    "loyalty points": "Number",
    "loyalty-id": "String",
    "newsletter": "Boolean",
    "42": "Number",
    "member since": "Date/Time",
    "kr/år": "Number",
    "note": "String",
    "favourites": "Array",
    "tent": "Object",
    "trips": "Array",
    "$time.like": "String",
}


class Definitions:
    """Endpoints for what the company has defined."""

    def __init__(self, access: Access, workspace: Workspace) -> None:
        """Serve this workspace."""
        self._access = access
        self._workspace = workspace

    def routes(self) -> list[BaseRoute]:
        """Routes of the definitions; the vendor counts their requests together."""
        return [
            self._access.route(path, endpoint, pool="names")
            for path, endpoint in (
                ("/custom_attributes", self._custom_attributes),
                ("/events", self._events),
                ("/events/list", self._event_names),
                ("/purchases/product_list", self._products),
            )
        ]

    def _custom_attributes(self, request: Request) -> tuple[int, dict[str, Any], dict[str, str]]:
        self._access.require("custom_attributes.get")
        types = {**_ATTRIBUTES, **dict.fromkeys(self._more("Survey answer"), "String")}
        items: list[dict[str, Any]] = [
            {
                "name": name,
                "data_type": data_type,
                "description": "",
                "status": "Active",
                "tag_names": [],
                "array_length": 500 if data_type == "Array" else None,
            }
            for name, data_type in types.items()
        ]
        return self._cursor_page(request, "attributes", items)

    def _events(self, request: Request) -> tuple[int, dict[str, Any], dict[str, str]]:
        self._access.require("events.get")
        items: list[dict[str, Any]] = [
            {
                "name": name,
                "description": "",
                "status": "Active",
                "included_in_analytics_report": True,
                "tag_names": [None, "shop"],
            }
            for name in self.event_names()
        ]
        return self._cursor_page(request, "events", items)

    def _event_names(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("events.list")
        page = whole_number(parameters(request, "page"), "page", 0)
        names = page_of(self.event_names(), page, _NAME_PAGE, self._workspace.options.past_end)
        return 200, {"events": names, "message": "success"}

    def _products(self, request: Request) -> tuple[int, dict[str, Any]]:
        self._access.require("purchases.product_list")
        first = self._workspace.options.first_product_page
        page = max(0, whole_number(parameters(request, "page"), "page", first) - first)
        skus = [product.sku for product in PRODUCTS]
        products = page_of(skus, page, _PRODUCT_PAGE, self._workspace.options.past_end)
        return 200, {"products": products, "message": "success"}

    def event_names(self) -> list[str]:
        """Names of the custom events; those that an option adds never happened."""
        return self._workspace.kept([*EVENT_NAMES.values(), *self._more("Answered survey")])

    def _more(self, name: str) -> list[str]:
        return [f"{name} {number:03d}" for number in range(self._workspace.options.more_definitions)]

    def _cursor_page(
        self, request: Request, field: str, items: list[dict[str, Any]]
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Answer with a page of 50, and a link to the next one, whose cursor is opaque."""
        cursor = parameters(request, "cursor").get("cursor")
        start = 0 if cursor is None else _place(cursor)
        end = start + _CURSOR_PAGE
        headers = {}
        if end < len(items):
            following = quote(base64.b64encode(f"skip:{end}".encode()).decode(), safe="")
            headers["Link"] = f'<{request.scope["path"]}?cursor={following}>; rel="next"'
        return 200, {"message": "success", field: items[start:end]}, headers


def _place(cursor: str) -> int:
    try:
        word, _, place = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        word, place = "", ""
    if word != "skip" or not place.isdecimal():
        raise Refused(400, "Invalid cursor")
    return int(place)
