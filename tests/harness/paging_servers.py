"""Small servers that page their lists as real APIs do, each with the entry of a catalog as its own description imports, or as somebody
would write it by hand. They are served by rest_server.py; what each does is said with where that stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.harness.rest_server import Answer, Piece, Seen, kept, reply

Asked = dict[str, str]
Items = Sequence[dict[str, Any]]
Paged = Callable[[Items, Asked], tuple[Any, list[str]]]
SIZE = 10


def things(count: int) -> list[dict[str, Any]]:
    return [{"id": f"t{number}", "name": f"Thing {number}"} for number in range(1, count + 1)]


@dataclass(frozen=True)
class Server:
    """How a server pages: from its items and the query to an answer's data and headers. `query` is the url's in the catalog."""

    paged: Paged
    query: str
    more: str = ""  # of the catalog's entry
    path: str = "/things"

    def entry(self, more: str | None = None) -> str:
        """The entry of a catalog, with `more` in place of what it says of its paging."""
        said = self.more if more is None else more
        return f'  - {{method: GET, url: "{self.path}{self.query}", description: Lists things.{said}}}\n'

    def serving(self, items: Items) -> Answer:
        def answer(seen: Seen) -> list[Piece]:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(seen.target).query).items()}
            data, headers = self.paged(items, asked)
            return kept(data if isinstance(data, bytes) else reply(json.dumps(data), 200, *headers))

        return answer


def _cut(items: Items, at: int, size: int = SIZE) -> list[Any]:
    return list(items[at : at + size]) if at >= 0 else []


def github(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api: links lead to /repositories/ID."""
    page, size = int(asked.get("page", 1)), int(asked.get("per_page", SIZE))
    url = f"https://api.github.com/repositories/1300192/issues?per_page={size}&page={page + 1}"
    link = [f'Link: <{url}>; rel="next", <{url}>; rel="last"'] if page * size < len(items) else []
    return _cut(items, (page - 1) * size, size), link


def kinto(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://docs.kinto-storage.org/en/stable/api/1.x/pagination.html: a URL in Next-Page, behind a public name."""
    at = int(asked.get("_token", 0))
    url = f"https://kinto.example.org/v1/buckets/a/collections/b/records?_limit={SIZE}&_token={at + SIZE}"
    more = [f"Next-Page: {url}"] if at + SIZE < len(items) else []
    return {"data": _cut(items, at)}, [f"Total-Records: {len(items)}", *more]


def nomad(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://developer.hashicorp.com/nomad/api-docs#pagination: a token in X-Nomad-NextToken."""
    at = int(asked.get("next_token", 0))
    return _cut(items, at), [f"X-Nomad-NextToken: {at + SIZE}"] if at + SIZE < len(items) else []


def kubernetes(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks."""
    at = int(asked.get("continue", 0))
    left = len(items) - at - SIZE
    more = {"continue": str(at + SIZE), "remainingItemCount": left} if left > 0 else {"continue": ""}
    pods = [{"metadata": {"name": one["name"], "uid": one["id"]}} for one in _cut(items, at)]
    return {"kind": "PodList", "metadata": {"resourceVersion": "10245", **more}, "items": pods}, []


def stripe(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://docs.stripe.com/api/pagination: the last object's id in starting_after."""
    ids = [one["id"] for one in items]
    at = ids.index(asked["starting_after"]) + 1 if "starting_after" in asked else 0
    return {"object": "list", "url": "/v1/things", "has_more": at + SIZE < len(items), "data": _cut(items, at)}, []


def openai(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://platform.openai.com/docs/api-reference/files/list: after takes last_id."""
    ids = [one["id"] for one in items]
    at = ids.index(asked["after"]) + 1 if "after" in asked else 0
    page = _cut(items, at)
    edges = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return {"object": "list", "data": page, **edges, "has_more": at + SIZE < len(items)}, []


def datadog(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://docs.datadoghq.com/api/latest/monitors/: pages from 0; without one, everything at once, as its page says."""
    return (_cut(items, int(asked["page"]) * SIZE) if "page" in asked else list(items)), []


def from_zero(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """Pages from 0, of which nothing tells."""
    return {"things": _cut(items, int(asked.get("page", 0)) * SIZE)}, []


def from_one(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """Pages from 1, and a page 0 that is the same as 1: Rails' Kaminari, for one."""
    return {"things": _cut(items, (max(1, int(asked.get("page", 1))) - 1) * SIZE)}, []


def strict_from_one(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """Pages from 1, and an error for a page 0: Django's paginator."""
    page = int(asked.get("page", 1))
    return ({"things": _cut(items, (page - 1) * SIZE)} if page else reply('{"error": "page 0"}', 400)), []


def digitalocean(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://docs.digitalocean.com/reference/api/intro: links.pages.next and meta.total."""
    page = int(asked.get("page", 1))
    more = page * SIZE < len(items)
    links = (
        {"pages": {"next": f"https://api.digitalocean.com/v2/things?page={page + 1}", "last": "..."}} if more else {}
    )
    return {"things": _cut(items, (page - 1) * SIZE), "links": links, "meta": {"total": len(items)}}, []


def directus(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://directus.io/docs/guides/connect/query-parameters: limit, offset and page; counts only with meta."""
    at = (int(asked.get("page", 1)) - 1) * SIZE if "page" in asked else int(asked.get("offset", 0))
    return {"data": _cut(items, at)}, []


def keycloak(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://www.keycloak.org/docs-api/latest/rest-api: first and max."""
    return _cut(items, int(asked.get("first", 0)), int(asked.get("max", SIZE))), []


def spring(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://docs.spring.io/spring-data/commons/reference/repositories/core-extensions.html: page.totalPages, from 0."""
    number = int(asked.get("page", 0))
    told = {"size": SIZE, "number": number, "totalElements": len(items), "totalPages": -(-len(items) // SIZE)}
    return {"content": _cut(items, number * SIZE), "page": told}, []


def json_api(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://jsonapi.org/format/#fetching-pagination: links.next is a URL, an object with one, or null."""
    page = int(asked.get("page[number]", 1))
    url = f"https://api.example.com/things?page%5Bnumber%5D={page + 1}&page%5Bsize%5D={SIZE}"
    following = ({"href": url} if page % 2 else url) if page * SIZE < len(items) else None
    things = [
        {"type": "things", "id": one["id"], "attributes": {"name": one["name"]}}
        for one in _cut(items, (page - 1) * SIZE)
    ]
    return {"data": things, "included": [{"type": "users", "id": "1"}], "links": {"next": following}}, []


def odata(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://docs.oasis-open.org/odata/odata-json-format/v4.01/: @odata.nextLink."""
    at = int(asked.get("$skiptoken", 0))
    more = (
        {"@odata.nextLink": f"https://graph.example.com/v1.0/things?$skiptoken={at + SIZE}"}
        if at + SIZE < len(items)
        else {}
    )
    return {"@odata.context": "...", **more, "value": _cut(items, at)}, []


def hal(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://datatracker.ietf.org/doc/html/draft-kelly-json-hal: _links.next.href below _embedded."""
    at = int(asked.get("cursor", 0))
    following = {"next": {"href": f"/things?cursor={at + SIZE}"}} if at + SIZE < len(items) else {}
    return {"_links": {"self": {"href": "/things"}, **following}, "_embedded": {"things": _cut(items, at)}}, []


def slack(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://api.slack.com/docs/pagination: response_metadata.next_cursor, empty at the end."""
    at = int(asked.get("cursor", 0))
    following = str(at + SIZE) if at + SIZE < len(items) else ""
    return {"ok": True, "members": _cut(items, at), "response_metadata": {"next_cursor": following}}, []


def rabbitmq(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """https://www.rabbitmq.com/docs/management#pagination: without page a mere list of all, with it an object around a page."""
    if "page" not in asked:
        return [{"name": one["name"]} for one in items], []
    page = int(asked["page"])
    if page > max(1, -(-len(items) // SIZE)):
        return reply('{"error": "page_out_of_range"}', 400), []
    told = {"page": page, "page_count": -(-len(items) // SIZE), "filtered_count": len(items), "total_count": 900}
    return {**told, "items": [{"name": one["name"]} for one in _cut(items, (page - 1) * SIZE)]}, []


def scim(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """RFC 7644, 3.4.2.4: startIndex counts from 1, and what is less means 1."""
    at = max(1, int(asked.get("startIndex", 1)))
    page = _cut(items, at - 1)
    return {"totalResults": len(items), "itemsPerPage": len(page), "startIndex": at, "Resources": page}, []


def text_flags(items: Items, asked: Asked) -> tuple[Any, list[str]]:
    """Says "true" and "false" as text, as servers do that translate from XML."""
    at = int(asked.get("offset", 0))
    return {"results": _cut(items, at), "moreResults": "true" if at + SIZE < len(items) else "false"}, []


SERVERS = {
    "GitHub": Server(github, "?page=[page]&per_page=[per_page]", ", pagination: {style: link, size: per_page}"),
    "Kinto": Server(kinto, "?_token=[_token]&_limit=[_limit]", ", pagination: {style: header, header: Next-Page, items: data}"),
    "Nomad": Server(
        nomad, "?next_token=[next_token]", ", pagination: {style: header, header: X-Nomad-NextToken, parameter: next_token}"
    ),
    "Kubernetes": Server(
        kubernetes, "?continue=[continue]", ", pagination: {style: cursor, parameter: continue, items: items, next: metadata.continue}"
    ),
    "Stripe": Server(
        stripe,
        "?starting_after=[starting_after]",
        ", pagination: {style: cursor, parameter: starting_after, items: data, next: '[-1].id', more: has_more}",
    ),
    "OpenAI": Server(
        openai, "?after=[after]&limit=[limit]", ", pagination: {style: cursor, parameter: after, next: last_id, more: has_more}"
    ),
    "Datadog": Server(datadog, "?page=[page]", ", pagination: {style: page, parameter: page}"),
    "pages from 0": Server(from_zero, "?page=[page]", ", pagination: {style: page, parameter: page}"),
    "pages from 1": Server(from_one, "?page=[page]", ", pagination: {style: page, parameter: page}"),
    "pages from 1, strictly": Server(strict_from_one, "?page=[page]", ", pagination: {style: page, parameter: page}"),
    "DigitalOcean": Server(digitalocean, "?page=[page]", ", pagination: {style: next_url, next: links.pages.next}"),
    "Directus": Server(directus, "?page=[page]&offset=[offset]&limit=[limit]", ", pagination: {style: offset, parameter: offset}"),
    "Keycloak": Server(keycloak, "?first=[first]&max=[max]", ", pagination: {style: offset, parameter: first, size: max}"),
    "Spring": Server(
        spring, "?page=[page]", ", pagination: {style: page, parameter: page, items: content, pages: page.totalPages}"
    ),
    "JSON:API": Server(
        json_api, "?page%5Bnumber%5D=[number]&page%5Bsize%5D=[size]",
        ", pagination: {style: next_url, next: links.next, items: data}",
    ),
    "OData": Server(odata, "?$skiptoken=[token]", """, pagination: {style: next_url, next: '"@odata.nextLink"', items: value}"""),
    "HAL": Server(hal, "?cursor=[cursor]", ", pagination: {style: next_url, next: _links.next, items: _embedded.things}"),
    "Slack": Server(
        slack, "?cursor=[cursor]", ", pagination: {style: cursor, parameter: cursor, next: response_metadata.next_cursor}"
    ),
    "RabbitMQ": Server(rabbitmq, "?page=[page]&page_size=[page_size]", ", pagination: {style: page, parameter: page, pages: page_count}"),
    "SCIM": Server(
        scim, "?startIndex=[startIndex]&count=[count]", ", pagination: {style: offset, parameter: startIndex, size: count}"
    ),
    "texts for flags": Server(
        text_flags, "?offset=[offset]", ", pagination: {style: offset, parameter: offset, items: results, more: moreResults}"
    ),
}  # fmt: skip
