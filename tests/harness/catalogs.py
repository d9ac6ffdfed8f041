"""Catalogs for tests of what the model is told: a small one with names as people choose them, and ones of any size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from catalog.catalog import Catalog, load_catalog

Json = dict[str, Any]

COMPANY: Json = {
    "name": "Company",
    "base_url": "https://company.example.com",
    "endpoints": [
        {"method": "GET", "url": "/employees?page=[page]&department=[department]", "description": "Lists employees."},
        {"method": "GET", "url": "/employees/[employee_id]", "description": "Shows an employee's master data."},
        {"method": "PATCH", "url": "/employees/[employee_id]", "description": "Changes an employee's master data."},
        {"method": "GET", "url": "/employees/[employee_id]/photo", "description": "Shows the photo of an employee."},
        {"method": "GET", "url": "/leaveRequests?state=[state]", "description": "Lists requests for absence."},
        {"method": "POST", "url": "/leaveRequests", "description": "Files a request for absence."},
        {"method": "GET", "url": "/teams", "description": "Lists teams."},
        {"method": "GET", "url": "/teams/[team_id]/members", "description": "Lists the members of a team."},
        {"method": "PUT", "url": "/teams/[team_id]/members/[employee_id]", "description": "Makes somebody a member."},
        {"method": "DELETE", "url": "/teams/[team_id]/members/[employee_id]", "description": "Ends a membership."},
        {"method": "GET", "url": "/invoices?customer=[customer]", "description": "Lists invoices."},
        {"method": "POST", "url": "/invoices/[invoice_id]/refunds", "description": "Returns the money of an invoice."},
        {"method": "GET", "url": "/search/customers?query=[query]", "description": "Finds customers by name."},
        {"method": "GET", "url": "/customers/[customer_id]/contacts", "description": "Lists a customer's contacts."},
        {"method": "GET", "url": "/servers", "description": "Lists machines."},
        {"method": "POST", "url": "/servers/[server_id]/actions/reboot", "description": "Restarts a machine."},
    ],
}

_THINGS = ("printer", "badge", "parcel", "contract", "meeting", "licence", "course", "vehicle", "budget", "warehouse")


def loaded(text: str, environ: Mapping[str, str] | None = None) -> Catalog:
    """A catalog's text as a start reads it; each text is read once, as a catalog never changes."""
    return _loaded(text, tuple(sorted((environ or {}).items())))


@lru_cache(maxsize=64)
def _loaded(text: str, environ: tuple[tuple[str, str], ...]) -> Catalog:
    return load_catalog(text, dict(environ), source="apis.yaml")


def load(*apis: Json, **top: Any) -> Catalog:
    return load_catalog(json.dumps({"apis": list(apis), **top}), {})


def large(count: int, base_url: str = "https://large.example.com", name: str = "Large") -> Json:
    """An API of `count` operations: five for each of things like `printers4`, and one that lists spaceships at the end."""
    endpoints: list[Json] = []
    for number in range(count):
        thing = f"{_THINGS[number // 5 % len(_THINGS)]}s{number // 5 // len(_THINGS)}"
        endpoints.append(_endpoint(number % 5, f"/{thing}", thing[:-1]))
    endpoints[-1] = {"method": "GET", "url": "/spaceships?crew=[crew]", "description": "Lists spaceships."}
    return {"name": name, "base_url": base_url, "endpoints": endpoints}


def _endpoint(kind: int, path: str, thing: str) -> Json:
    one = f"{path}/[{thing}_id]"
    method, url, does = (
        ("GET", f"{path}?page=[page]", "Lists all of them"),
        ("GET", one, "Shows one"),
        ("POST", path, "Adds one"),
        ("PUT", one, "Replaces one"),
        ("DELETE", one, "Removes one"),
    )[kind]
    body = {"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}}
    made: Json = {"method": method, "url": url, "description": f"{does} of the {thing}s that the company has."}
    return made | ({"body": body} if method in ("POST", "PUT") else {})
