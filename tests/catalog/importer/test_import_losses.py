"""What an import takes over of descriptions as companies publish them, and how it tells what it could not: nothing goes missing unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.bad_call import BadCall
from catalog.calls import Call, resolve
from catalog.catalog import Catalog, load_catalog
from catalog.importer.fetching import Order, make
from catalog.importer.import_words import losses, remarks
from catalog.importer.openapi import Choice, read_api
from catalog.references import Documents
from catalog.schemas import fits
from model.prompt.prompt import find
from tests.harness.cases import each_row
from tests.harness.descriptions import VARIABLES, description, entry, get, imported, loaded, notes, post, query, written

Json = dict[str, Any]


def path_value(name: str, schema: Any = None, **more: Any) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema or {"type": "string"}, **more}


def called(catalog: Catalog, method: str, url: str, body: Any = None) -> Call:
    return resolve(catalog, {"method": method, "url": url} | ({"body": body} if body is not None else {}))


# --- references wherever they stand -----------------------------------------------------------------------------------

FILES = {
    "openapi.yaml": """
        openapi: 3.0.0
        info: {title: Droplets, version: '2'}
        servers: {$ref: parts/servers.yml}
        tags: [{name: Droplets, description: {$ref: 'parts/words.yml#/about'}}]
        paths:
          /v2/droplets:
            get: {$ref: resources/list.yml}
            post: {$ref: 'resources/create.yml'}
          /v2/droplets/{droplet_id}: {$ref: resources/item.yml}
        """,
    "parts/servers.yml": "[{url: 'https://api.example.com'}]",
    "parts/words.yml": "about: Machines.\nlist: Lists all droplets.",
    "parts/parameters.yml": """
        page: {name: page, in: query, schema: {$ref: 'schemas.yml#/number'}}
        size: {name: per_page, in: query, schema: {$ref: 'schemas.yml#/number'}}
        filters: [{name: tag_name, in: query, schema: {type: string}, description: {$ref: 'words.yml#/about'}}]
        id: [{name: droplet_id, in: path, required: true, schema: {type: integer}}]
        """,
    "parts/schemas.yml": """
        number: {type: integer, minimum: 1}
        fields: {name: {type: string}, region: {type: string, enum: {$ref: '#/regions'}}}
        regions: [ams3, fra1]
        needed: [name]
        """,
    "resources/list.yml": """
        summary: {$ref: '../parts/words.yml#/list'}
        tags: [Droplets]
        parameters: [{$ref: '../parts/parameters.yml#/page'}, {$ref: '../parts/parameters.yml#/size'}]
        responses: {$ref: 'answers.yml#/list'}
        """,
    "resources/answers.yml": """
        list: {'200': {$ref: '#/ok'}}
        ok:
          content: {$ref: '#/content'}
        content: {application/json: {schema: {properties: {droplets: {type: array, items: {type: object}}}}}}
        """,
    "resources/create.yml": """
        description: Creates a droplet.
        requestBody: {$ref: 'body.yml'}
        """,
    "resources/body.yml": """
        required: true
        content:
          application/json:
            schema: {type: object, properties: {$ref: '../parts/schemas.yml#/fields'}, required: {$ref: '../parts/schemas.yml#/needed'}}
        """,
    "resources/item.yml": """
        parameters: {$ref: '../parts/parameters.yml#/id'}
        get: {summary: Shows a droplet, parameters: {$ref: '../parts/parameters.yml#/filters'}}
        delete: {summary: Deletes a droplet}
        """,
}


def laid_out(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join(line.removeprefix("        ") for line in text.splitlines()))
    return folder / "openapi.yaml"


def test_references_are_resolved_wherever_they_may_stand(tmp_path: Path) -> None:
    made = make(Order(str(laid_out(tmp_path, FILES)), writes=True))

    assert "Remarks" not in "\n".join(made.report)
    assert yaml.safe_load(made.text)["endpoints"] == [
        {
            "method": "GET",
            "url": "/v2/droplets?page=[page]&per_page=[per_page]",
            "description": "Lists all droplets.",
            "parameters": {"page": {"type": "integer", "minimum": 1}, "per_page": {"type": "integer", "minimum": 1}},
            "pagination": {"style": "page", "parameter": "page", "size": "per_page", "items": "droplets"},
        },
        {
            "method": "POST",
            "url": "/v2/droplets",
            "description": "Creates a droplet.",
            "body": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "region": {"type": "string", "enum": ["ams3", "fra1"]}},
            },
        },
        {
            "method": "GET",
            "url": "/v2/droplets/[droplet_id]?tag_name=[tag_name]",
            "description": "Shows a droplet.",
            "parameters": {
                "droplet_id": {"type": "integer"},
                "tag_name": {"type": "string", "description": "Machines"},
            },
        },
        {
            "method": "DELETE",
            "url": "/v2/droplets/[droplet_id]",
            "description": "Deletes a droplet.",
            "parameters": {"droplet_id": {"type": "integer"}},
        },
    ]
    assert yaml.safe_load(made.text)["base_url"] == "https://api.example.com"


def test_a_property_that_is_called_ref_is_one(tmp_path: Path) -> None:
    body = {"type": "object", "properties": {"$ref": {"type": "string"}, "title": {"type": "string"}}}

    assert set(entry(description({"/a": post(body)}))["body"]["properties"]) == {"$ref", "title"}


def test_methods_beside_a_paths_reference_are_taken_too() -> None:
    paths = {"/a": {"$ref": "#/x-parts/a", "delete": {"summary": "Deletes it"}}}
    api = imported(description(paths, **{"x-parts": {"a": get()}}))

    assert [one["method"] for _, one in api.endpoints] == ["GET", "DELETE"]


def test_an_import_that_lost_much_says_so_first(tmp_path: Path) -> None:
    paths = {"/a": {"get": {"$ref": "gone.yml"}}, "/b": get(), "/c": {"get": {"$ref": "#/nowhere"}}}
    (tmp_path / "openapi.json").write_text(json.dumps(description(paths)))

    report = make(Order(str(tmp_path / "openapi.json"))).report

    assert report[0] == (
        "Much of the description was lost. Left out, of 3 operations: 2 operations, 2 references, 1 document. See the remarks."
    )
    assert report[1].startswith("Remarks (3")


def test_operations_of_which_nothing_is_known_are_told_first() -> None:
    api = imported(description({f"/{name}": {"get": {}} for name in "abc"} | {"/d": get()}))

    assert next(losses(api)).startswith("Of 3 of 4 operations only method and path were found")
    assert not list(losses(imported(description({"/d": get()}))))


# --- many parameters --------------------------------------------------------------------------------------------------


def many() -> Json:
    """A list that filters by 30 fields in ten ways each, in alphabetical order, as NetBox describes its devices."""
    fields = sorted([*(f"field_{number:02}" for number in range(27)), "q", "site", "status"])
    ends = ("", "__empty", "__ic", "__ie", "__iew", "__isw", "__n", "__nic", "__nie", "__niew")
    given = [query(f + end, {"type": "array", "items": {"type": "string"}}) for f in fields for end in ends]
    given.append(query("zone", {"type": "integer", "minimum": 1}, required=True))
    return description({"/devices": get(*given), "/sites": get()})


def test_of_many_parameters_the_telling_ones_are_described_and_all_can_be_given() -> None:
    api = imported(many())
    (_, devices), _ = api.endpoints

    names = [part.partition("=")[0] for part in devices["url"].partition("?")[2].split("&")]
    assert (len(names), names[:4]) == (301, ["zone", "q", "status", "field_00"])
    assert {"zone", "q", "site", "status", "field_26"} <= set(names[:31])
    assert devices["parameters"]["zone"] == {"required": True, "type": "integer", "minimum": 1}
    call = called(loaded(api), "GET", "/devices?zone=1&status__niew=a&status__niew=b&site__n=c")
    assert "site__n=c" in call.url


def test_parameters_known_by_name_alone_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ((place, words),) = notes(many())

    assert place == "#/paths/~1devices/get"
    assert words.startswith("it has 301 parameters; 200 are described, and these have only a name and a type: ")
    assert "status__niew" in words
    assert "site," not in words


def test_find_operations_lists_every_parameter_by_name() -> None:
    found = find(loaded(imported(many())), {"query": "devices"})

    assert "zone integer" in found
    assert "status each with __empty __ic __ie __iew __isw __n __nic __nie __niew" in found
    assert "field_26" in found


# --- operations of one shape ------------------------------------------------------------------------------------------


def mounts() -> Json:
    """Two operations whose paths differ in a placeholder's name alone, as Vault describes its ways to log in."""
    role = {
        "type": "object",
        "required": ["role_id"],
        "properties": {"role_id": {"type": "string"}, "ttl": {"type": "integer"}},
    }
    jwt = {"type": "object", "required": ["jwt"], "properties": {"jwt": {"type": "string"}, "ttl": {"type": "integer"}}}
    one = post(
        role,
        summary="Logs in with a role",
        parameters=[path_value("approle_mount", {"type": "string", "default": "approle"})],
    )
    other = post(
        jwt, summary="Logs in with a token", parameters=[path_value("jwt_mount", {"type": "string", "default": "jwt"})]
    )
    return description({"/auth/{approle_mount}/sessions": one, "/auth/{jwt_mount}/sessions": other})


def test_operations_of_one_shape_are_one_entry_that_takes_both() -> None:
    api = imported(mounts())

    ((_, found),) = api.endpoints
    assert found["url"] == "/auth/[approle_mount]/sessions"
    assert found["description"] == "Logs in with a role. Or: Logs in with a token."
    for body in ({"role_id": "a"}, {"jwt": "b"}):
        assert json.loads(called(loaded(api), "POST", "/auth/mine/sessions", body).body or "") == body
    assert not fits(found["body"], {"ttl": 1})
    ((_, words),) = api.notes
    assert (
        "shares one entry with POST /auth/{approle_mount}/sessions, since calls to them could not be told apart; the entry takes both"
        in words
    )
    assert api.losses.lost == {}


def test_reads_of_one_shape_take_what_either_takes() -> None:
    paths = {
        "/a/{x}": get(path_value("x", {"type": "integer"}), query("size", {"type": "integer"}, required=True)),
        "/a/{y}": get(path_value("y"), query("size", {"type": "integer"}), query("x", {"type": "boolean"})),
    }
    api = imported(description(paths))

    ((_, found),) = api.endpoints
    assert found["url"] == "/a/[x]?size=[size]&x=[x_2]"
    assert found["parameters"] == {"size": {"type": "integer"}, "x_2": {"type": "boolean"}}
    assert called(loaded(api), "GET", "/a/seven?x=true").url == "https://shop.example/a/seven?x=true"


def test_bodies_that_travel_in_different_ways_stay_apart_and_that_is_told() -> None:
    paths = {"/a/{x}": post({"type": "object"}), "/a/{y}": post({"type": "object"}, "multipart/form-data")}
    api = imported(description(paths))

    assert [words for _, words in api.notes] == [
        "POST /a/{y} is left out: a call to it could not be told from one to POST /a/{x}"
    ]
    assert api.losses.lost == {"operations": 1}


# --- what does something else than its method says --------------------------------------------------------------------


@each_row(
    "path, more",
    [
        ("/auth.revoke", {}),
        ("/auth/revoke/{id}", {}),
        ("/user/logout", {"summary": "Gets logged out"}),
        ("/users/{id}/log-out", {}),
        ("/pods/{name}/exec", {}),
        ("/pods/{name}/proxy", {}),
        ("/pods/{name}/proxy/{path}", {}),
        ("/jobs/{id}/restart", {}),
        ("/keys/{id}", {"summary": "Revokes a key"}),
        ("/keys/{id}", {"operationId": "deleteKey", "summary": "A key"}),
        ("/views.update", {"operationId": "views_update", "summary": "Update an existing view"}),
    ],
)
def test_a_get_that_acts_comes_switched_off_with_a_remark(path: str, more: Json) -> None:
    api = imported(description({path: get(**more), "/b": get()}))

    assert [one.url for one in loaded(api).operations] == ["/b"]
    ((_, words),) = api.notes
    assert words.startswith(f"GET {path} comes switched off: ")


@each_row(
    "path, more",
    [
        ("/deletions", {}),
        ("/events/start", {"summary": "Gets the first event"}),
        ("/backups/{id}/restore", {"operationId": "backups_get_restore_status", "summary": "Status of a restore"}),
        ("/updates", {"summary": "Update history"}),
        ("/settings", {"summary": "Enables an app to find its settings"}),
        ("/users/{revoke}", {}),
        ("/proxies", {}),
        ("/batch", {"summary": "Lists batches"}),
    ],
)
def test_a_get_that_reads_stays_on(path: str, more: Json) -> None:
    assert notes(description({path: get(**more)})) == []


REQUEST = {"type": "object", "properties": {"method": {"type": "string"}, "relative_path": {"type": "string"}}}


@each_row(
    "path, schema",
    [
        ("/batch", {"type": "object"}),
        ("/v1/$batch", {}),
        ("/graphql", {"type": "object", "properties": {"query": {"type": "string"}}}),
        (
            "/many",
            {
                "type": "object",
                "properties": {"data": {"properties": {"actions": {"type": "array", "items": REQUEST}}}},
            },
        ),
        ("/many", {"type": "array", "items": {"oneOf": [REQUEST, {"type": "object", "properties": {"a": {}}}]}}),
        ("/pods/{name}/exec", {}),
    ],
)
def test_a_call_that_carries_calls_stays_off_even_where_writes_are_wanted(
    tmp_path: Path, path: str, schema: Json
) -> None:
    (tmp_path / "openapi.json").write_text(
        json.dumps(description({path: post(schema), "/b": post({"type": "object"})}))
    )

    made = make(Order(str(tmp_path / "openapi.json"), writes=True))

    assert [one.url for one in load_catalog(made.text, {}).operations] == ["/b"]
    assert f"POST {path} comes switched off: it carries other requests" in "\n".join(made.report)


def test_a_batch_of_things_is_a_write_like_others() -> None:
    things = {"type": "object", "properties": {"contacts": {"type": "array", "items": {"properties": {"name": {}}}}}}

    assert notes(description({"/contacts/batch": post(things)})) == []


# --- keys -------------------------------------------------------------------------------------------------------------


@each_row(
    "words, value",
    [
        ("The API Key with format `Token token=<API_KEY>`", "Token token=${SHOP_API_KEY}"),
        ('Write Token token="abc0123456789def0" there', 'Token token="${SHOP_API_KEY}"'),
        ('Token-based authentication with required prefix "Token"', "Token ${SHOP_API_KEY}"),
        ("Use `SSWS {API key}`", "SSWS ${SHOP_API_KEY}"),
        ("GenieKey YOUR_KEY", "GenieKey ${SHOP_API_KEY}"),
    ],
)
def test_the_format_of_a_key_in_authorization_is_taken_over(words: str, value: str) -> None:
    scheme = {"type": "apiKey", "in": "header", "name": "Authorization", "description": words}
    api = imported(description({"/a": get()}, components={"securitySchemes": {"key": scheme}}))

    assert api.credentials.auth == {"header": {"name": "Authorization", "value": value}}
    assert loaded(api).apis[0].auth is not None
    assert api.notes == ()


@pytest.mark.parametrize("words", ["Authorization: Bearer {token}", "Enter 'Bearer' [space] and then your token"])
def test_a_bearer_token_that_is_told_in_words_is_one(words: str) -> None:
    scheme = {"type": "apiKey", "in": "header", "name": "Authorization", "description": words}
    api = imported(description({"/a": get()}, components={"securitySchemes": {"key": scheme}}))

    assert api.credentials.auth == {"bearer": "${SHOP_TOKEN}"}


def test_a_key_in_authorization_of_which_no_format_is_said_is_told() -> None:
    scheme = {"type": "apiKey", "in": "header", "name": "Authorization"}
    api = imported(description({"/a": get()}, components={"securitySchemes": {"key": scheme}}))

    assert api.credentials.auth == {"header": {"name": "Authorization", "value": "${SHOP_API_KEY}"}}
    assert "does not say what comes before the key in the Authorization header" in api.notes[0][1]


def test_a_scheme_of_http_with_a_word_of_its_own_is_taken_over() -> None:
    scheme = {"type": "http", "scheme": "Token"}
    api = imported(description({"/a": get()}, components={"securitySchemes": {"key": scheme}}))

    assert api.credentials.auth == {"header": {"name": "Authorization", "value": "Token ${SHOP_API_KEY}"}}


# --- schemas ----------------------------------------------------------------------------------------------------------


def test_the_uploads_of_openapi_3_1_are_files() -> None:
    schema = {
        "type": "object",
        "properties": {
            "photo": {"type": "string", "contentMediaType": "image/png"},
            "raw": {"contentMediaType": "application/octet-stream"},
            "several": {"type": "array", "items": {"type": "string", "contentMediaType": "image/png"}},
            "scan": {"type": "string"},
            "note": {"type": "string", "contentMediaType": "text/plain"},
            "text64": {"type": "string", "contentMediaType": "image/png", "contentEncoding": "base64"},
        },
    }
    document = description({"/a": post(schema, "multipart/form-data")}) | {"openapi": "3.1.0"}
    content = document["paths"]["/a"]["post"]["requestBody"]["content"]["multipart/form-data"]
    content["encoding"] = {"scan": {"contentType": "application/pdf, image/png"}}

    found = entry(document)

    fields = found["body"]["properties"]
    assert found["body_type"] == "multipart"
    assert fields["photo"] == {"type": "string", "format": "binary", "contentMediaType": "image/png"}
    assert fields["raw"] == {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    assert fields["several"]["items"]["format"] == "binary"
    assert fields["scan"] == {"type": "string", "format": "binary", "contentMediaType": "application/pdf"}
    assert "format" not in fields["note"]
    assert "format" not in fields["text64"]


def pets(**discriminator: Any) -> Json:
    """A base with a discriminator, whose children are named nowhere but by what they build on."""
    pet = {
        "type": "object",
        "required": ["kind", "name"],
        "properties": {"kind": {"type": "string"}, "name": {"type": "string"}},
        "discriminator": {"propertyName": "kind", **discriminator},
        "additionalProperties": False,
    }
    base = {"$ref": "#/components/schemas/Pet"}
    schemas = {
        "Pet": pet,
        "Cat": {
            "allOf": [base, {"type": "object", "required": ["claws"], "properties": {"claws": {"type": "integer"}}}]
        },
        "Dog": {"allOf": [base], "type": "object", "properties": {"bark": {"type": "string"}, "friend": base}},
    }
    return description(
        {"/pets": post(base), "/dogs": post({"$ref": "#/components/schemas/Dog"})}, components={"schemas": schemas}
    )


MAPPING = {"cat": "#/components/schemas/Cat", "dog": "Dog"}


@pytest.mark.parametrize(
    ("discriminator", "names"), [({}, ["kind: Cat", "kind: Dog"]), ({"mapping": MAPPING}, ["kind: cat", "kind: dog"])]
)
def test_what_a_discriminator_chooses_among_is_described(discriminator: Json, names: list[str]) -> None:
    document = pets(**discriminator)
    body = entry(document)["body"]

    assert set(body["properties"]) == {"kind", "name"}
    assert [one["description"] for one in body["anyOf"]] == names
    assert [set(one["properties"]) for one in body["anyOf"]] == [{"claws"}, {"bark", "friend"}]
    for sent in ({"kind": "cat", "name": "a", "claws": 4}, {"kind": "dog", "name": "b", "bark": "loud"}):
        assert fits(body, sent)
    assert ("required" in body["anyOf"][0]) == bool(discriminator)


def test_a_schema_that_builds_on_one_with_a_discriminator_is_itself() -> None:
    body = entry(pets(), 1)["body"]

    assert set(body["properties"]) == {"kind", "name", "bark", "friend"}
    assert "anyOf" not in body


def test_a_parameter_that_is_json_says_its_fields() -> None:
    schema = {
        "type": "object",
        "required": ["name"],
        "properties": {"age": {"type": "integer"}, "name": {"type": "string"}, "sort": {"enum": ["up", "down"]}},
    }
    one = {
        "name": "where",
        "in": "query",
        "description": "What to find.",
        "content": {"application/json": {"schema": schema}},
    }

    assert entry(description({"/a": get(one)}))["parameters"]["where"] == {
        "description": "What to find. JSON text {name; age? integer; sort? up|down}"
    }


def test_objects_in_objects_of_the_query_become_their_fields_and_what_cannot_be_said_is_told() -> None:
    moment = {"anyOf": [{"type": "object", "properties": {"gte": {"type": "integer"}}}, {"type": "integer"}]}
    schema = {
        "type": "object",
        "properties": {"paid_at": moment, "ids": {"type": "array", "items": {"type": "string"}}},
    }
    api = imported(description({"/a": get(query("moves", schema, style="deepObject", explode=True))}))

    ((_, found),) = api.endpoints
    assert found["url"] == "/a?moves%5Bpaid_at%5D=[moves_paid_at]&moves%5Bpaid_at%5D%5Bgte%5D=[moves_paid_at_gte]"
    assert [words for _, words in api.notes] == [
        "the catalog cannot write the list or object 'moves[ids]' into a query; it is left out"
    ]
    assert api.losses.lost == {"parameters": 1}
    assert loaded(api).operations


def test_a_parameter_of_another_media_type_is_what_its_schema_says() -> None:
    one = {"name": "id", "in": "query", "content": {"text/plain": {"schema": {"type": "integer"}}}}

    assert entry(description({"/a": get(one)}))["parameters"]["id"] == {"type": "integer"}


@each_row(
    "schema, said, good, bad",
    [
        ({"type": ["string", "integer"]}, None, "a", None),
        ({"type": ["integer", "boolean"]}, {"type": ["integer", "boolean"]}, "7", "a"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, None, "a", None),
        (
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "enum": ["me"]}]},
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "enum": ["me"]}]},
            "me",
            "you",
        ),
        ({"type": ["string", "integer"], "enum": ["me", 1]}, {"type": "string", "enum": ["me", "1"]}, "1", "2"),
        ({"type": ["string", "integer"], "minLength": 3}, None, "7", None),
        (
            {"oneOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
            {"type": "integer"},
            "7",
            "a",
        ),
        (
            {"type": "array", "items": {"type": "integer"}},
            {"type": "string", "description": "comma-separated"},
            "1,2",
            None,
        ),
    ],
)
def test_a_path_takes_each_of_the_types_that_it_may_be(
    schema: Json, said: Json | None, good: str, bad: str | None
) -> None:
    document = description({"/a/{id}": get(path_value("id", schema))})
    catalog = loaded(imported(document))

    assert entry(document).get("parameters", {}).get("id") == said
    assert called(catalog, "GET", f"/a/{good}").values == {"id": good}
    if bad is not None:
        with pytest.raises(BadCall, match="id"):
            called(catalog, "GET", f"/a/{bad}")


# --- names and remarks ------------------------------------------------------------------------------------------------


@each_row(
    "base, name",
    [
        ("http://127.0.0.1:8080", "API"),
        ("http://10.0.0.7/v1", "API"),
        ("http://[::1]:8080", "API"),
        ("https://api.shop.example", "shop"),
        ("http://localhost:8080", "localhost"),
    ],
)
def test_an_address_is_no_name(base: str, name: str) -> None:
    document = description({"/a": get()}, info={"title": "API", "version": "1"})

    assert imported(document, base_url=base).name == name


def test_like_remarks_are_told_once_with_a_count() -> None:
    given = {"name": "X-Forwarded-For", "in": "header", "schema": {"type": "string"}}
    paths = {f"/{number}": {"options": {}, **get(given)} for number in range(30)} | {"/auth.revoke": get()}
    api = imported(description(paths))

    lines = list(remarks(api))
    assert len(api.notes) == 61
    assert lines[0] == "Remarks (61, of 3 kinds):"
    assert len(lines) == 4
    assert lines[1].startswith(
        "  #/paths/~10/options: OPTIONS is a method that the catalog does not have; it is left out (29 more like it: #/paths/~11/options, "
    )
    assert lines[1].endswith("#/paths/~120/options, and 9 more)")


def test_a_left_out_operation_is_named_among_its_like() -> None:
    elsewhere = {"servers": [{"url": "https://files.example"}]}
    api = imported(description({"/a": get(), "/b": get(**elsewhere), "/c": get(**elsewhere)}))

    (line,) = list(remarks(api))[1:]
    assert "GET /b is left out: it is at https://files.example" in line
    assert line.endswith("(1 more like it: GET /c)")
    assert list(losses(api)) == [
        "Much of the description was lost. Left out, of 3 operations: 2 operations. See the remarks."
    ]


def test_what_is_imported_again_with_new_remarks_changes_nothing() -> None:
    for document in (many(), mounts(), pets()):
        text = written(imported(document))
        assert written(imported(document)) == text
        assert isinstance(load_catalog(text, VARIABLES), Catalog)
        assert read_api(Documents(document), Choice()).endpoints
