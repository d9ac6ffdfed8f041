"""An API's long list, in every usual way of paging; it is served by rest_server.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.harness.rest_server import Answer, Piece, Seen, kept, reply

SIZE = 100  # items on a page

# Each way of paging as an entry of the catalog, for a list at /<style>.
LISTS = """
  - method: GET
    url: /page?page=[page]&team=[team]
    description: Lists people.
    pagination: {{style: page, parameter: page, items: data, total: total}}
  - method: GET
    url: /offset?offset=[offset]
    description: Lists people.
    pagination: {{style: offset, parameter: offset, items: data}}
  - method: GET
    url: /cursor?after=[after]
    description: Lists people.
    pagination: {{style: cursor, parameter: after, items: data, next: meta.next}}
  - method: GET
    url: /link?at=[at]
    description: Lists people.
    pagination: {{style: link}}
  - method: GET
    url: /next_url?at=[at]
    description: Lists people.
    pagination: {{style: next_url, items: data, next: next}}
  - method: GET
    url: /header?token=[token]
    description: Lists people.
    pagination: {{style: header, parameter: token, header: X-Next-Token}}
  - method: GET
    url: /from_header
    description: Lists people.
    parameters: {{X-Token: {{in: header}}}}
    pagination: {{style: header, parameter: X-Token, header: X-Next-Token}}
"""
STYLES = ("page", "offset", "cursor", "link", "next_url", "header", "from_header")


def person(number: int) -> dict[str, Any]:
    return {"id": number, "name": f"Person {number}", "email": f"p{number}@example.com", "city": "Bern"}


def shelf(count: int) -> Answer:
    """A server of `count` people; the path says how they are paged."""
    people = [person(number) for number in range(1, count + 1)]

    def answer(seen: Seen) -> list[Piece]:
        path = urlsplit(seen.target).path.strip("/")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(seen.target).query).items()}
        at = _start(path, asked, seen.headers)
        page, end = people[at : at + SIZE], at + SIZE
        return kept(_page(path, page, end if end < count else None, count))

    return answer


def _start(path: str, asked: Mapping[str, str], headers: Mapping[str, str]) -> int:
    match path:
        case "page":
            return (int(asked.get("page", 1)) - 1) * SIZE
        case "from_header":
            return int(headers.get("x-token", 0))
    return int(asked.get({"offset": "offset", "cursor": "after", "header": "token"}.get(path, "at"), 0))


def _page(path: str, page: list[Any], following: int | None, count: int) -> bytes:
    match path:
        case "page":
            return reply(json.dumps({"data": page, "total": count}))
        case "offset":
            return reply(json.dumps({"data": page}))
        case "cursor":
            return reply(json.dumps({"data": page, "meta": {"next": following}}))
        case "next_url":
            return reply(json.dumps({"data": page, "next": following and f"/next_url?at={following}"}))
        case "link":
            link = [f'Link: </link?at=0>; rel="first", </link?at={following}>; rel="next"'] if following else []
            return reply(json.dumps(page), 200, *link)
    token = [f"X-Next-Token: {following}"] if following else []
    return reply(json.dumps(page), 200, *token)
