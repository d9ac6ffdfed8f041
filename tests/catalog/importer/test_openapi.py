"""The import: what a description says becomes what the catalog says, or a remark with its place."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from catalog import references
from catalog.bad_call import BadCall
from catalog.calls import resolve
from catalog.documents import BadDocument, read_text
from catalog.importer.compact_schemas import compact
from catalog.importer.openapi import Choice, operations
from catalog.references import Documents, Node
from gate.preview import showing
from tests.harness.cases import each_row
from tests.harness.descriptions import (
    VARIABLES,
    description,
    entry,
    everything,
    get,
    imported,
    loaded,
    notes,
    post,
    query,
    written,
)


def path(name: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema or {"type": "string"}, **more}


def header(name: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": schema or {"type": "string"}, **more}


# --- a whole description ----------------------------------------------------------------------------------------------


def test_a_description_becomes_a_catalog_that_the_bot_starts_with() -> None:
    catalog = loaded(imported(everything()))

    assert [operation.name for operation in catalog.operations] == [
        "GET /pets",
        "POST /pets",
        "GET /pets/[pet-id]",
        "DELETE /pets/[pet-id]",
        "PUT /pets/[pet-id]/photo",
    ]
    assert (catalog.apis[0].name, catalog.apis[0].base_url) == ("Shop", "https://shop.example")


def test_an_imported_operation_can_be_called() -> None:
    catalog = loaded(imported(everything()))

    call = resolve(
        catalog, {"method": "GET", "url": "/pets?q=tom&ids=1,2&created[after]=2024&page=2", "headers": {"X-Trace": "t"}}
    )

    assert call.url.startswith("https://shop.example/pets?")
    assert "created%5Bafter%5D=2024" in call.url
    with pytest.raises(BadCall, match="q"):
        resolve(catalog, {"method": "GET", "url": "/pets"})


def test_the_catalog_reads_as_a_person_would_write_it() -> None:
    text = written(imported(everything()), writes=False)

    assert (
        """\
  - method: DELETE
    url: /pets/[pet-id]
    description: Deprecated. Removes a pet for good.
    enabled: false
"""
        in text
    )
    assert "    pagination: {style: page, parameter: page, items: items, total: total}\n" in text


def test_swagger_2_is_read() -> None:
    document = {
        "swagger": "2.0",
        "info": {"title": "Old"},
        "host": "old.example",
        "basePath": "/v1/",
        "schemes": ["http", "https"],
        "consumes": ["application/json"],
        "securityDefinitions": {"b": {"type": "basic"}},
        "paths": {
            "/things": {
                "get": {
                    "parameters": [
                        {
                            "name": "ids",
                            "in": "query",
                            "type": "array",
                            "items": {"type": "integer"},
                            "collectionFormat": "multi",
                        },
                        {"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}},
                        {"name": "pipes", "in": "query", "type": "array", "collectionFormat": "pipes"},
                        {"name": "limit", "in": "query", "type": "integer", "maximum": 50},
                    ]
                },
                "post": {"parameters": [{"name": "body", "in": "body", "schema": {"$ref": "#/definitions/Thing"}}]},
                "put": {
                    "consumes": ["multipart/form-data"],
                    "parameters": [
                        {"name": "file", "in": "formData", "type": "file", "required": True},
                        {"name": "note", "in": "formData", "type": "string"},
                    ],
                },
            }
        },
        "definitions": {"Thing": {"type": "object", "properties": {"size": {"type": "integer", "x-nullable": True}}}},
    }
    api = imported(document)
    reads, writes, forms = (one for _, one in api.endpoints)

    assert loaded(api).apis[0].base_url == "https://old.example/v1"
    assert api.credentials.auth == {"basic": {"username": "${OLD_USERNAME}", "password": "${OLD_PASSWORD}"}}
    assert reads["parameters"] == {
        "ids": {"type": "array", "items": {"type": "integer"}},
        "tags": {"type": "array", "explode": False, "items": {"type": "string"}},
        "pipes": {"type": "array", "style": "pipeDelimited"},
        "limit": {"type": "integer", "maximum": 50},
    }
    assert writes["body"] == {"type": "object", "properties": {"size": {"type": ["integer", "null"]}}}
    assert forms["body_type"] == "multipart"
    assert forms["body"]["properties"] == {"file": {"type": "string", "format": "binary"}, "note": {"type": "string"}}


def test_openapi_3_1_says_null_as_a_type() -> None:
    document = description(
        {"/a": post({"type": "object", "properties": {"x": {"type": ["string", "null"]}, "y": {"const": 3}}})}
    )
    document["openapi"] = "3.1.0"

    assert entry(document)["body"]["properties"] == {"x": {"type": ["string", "null"]}, "y": {"enum": [3]}}


# --- what is no description -------------------------------------------------------------------------------------------


@each_row(
    "text, words",
    [
        ("", "not an API description"),
        ("[]", "not an API description"),
        ("just words", "not an API description"),
        ("asyncapi: 2.0.0", "AsyncAPI"),
        ("{item: [], info: {}}", "Postman"),
        ("{endpoints: [], base_url: x}", "a catalog already"),
        ("swagger: '1.2'\npaths: {}", "version '1.2'"),
        ("openapi: 4.0.0\npaths: {/a: {get: {}}}", "version '4.0.0'"),
        ("openapi: 3.0.0", "no paths"),
        ("{openapi: 3.0.0, paths: []}", "no paths"),
        ("{openapi: 3.0.0, paths: {/a: {}}}", "no operation"),
        ("{openapi: 3.0.0, paths: {/a: 7}}", "no operation"),
        ("{openapi: 3.0.0, paths: {/a#b: {get: {}}}}", "The catalog cannot express any operation"),
    ],
)
def test_what_is_no_description_is_refused_in_clear_words(text: str, words: str) -> None:
    with pytest.raises(BadDocument, match=words.replace("(", r"\(")):
        imported(read_text(text, "x")[0])


# --- url and parameters -----------------------------------------------------------------------------------------------


def test_placeholders_get_names_that_the_catalog_takes() -> None:
    found = entry(
        description(
            {"/a/{user.id}/{9lives}/{id}": get(path("user.id", {"type": "integer"}), query("vote.gte"), query("id"))}
        )
    )

    assert found["url"] == "/a/[user_id]/[_9lives]/[id]?vote.gte=[vote_gte]&id=[id_2]"
    assert found["parameters"] == {"user_id": {"type": "integer"}}


def test_other_methods_of_a_path_call_its_placeholders_alike_so_that_previews_find_the_get() -> None:
    document = description(
        {
            "/a/{id}": get(path("id")),
            "/a/{name}": {"put": {"parameters": [path("name", {"type": "integer"})], "responses": {}}},
        }
    )
    api = imported(document)
    catalog = loaded(api)

    assert [one["url"] for _, one in api.endpoints] == ["/a/[id]", "/a/[id]"]
    found = showing(catalog, catalog.operations[1])
    assert found is not None
    assert found.read is catalog.operations[0]
    assert catalog.operations[1].parameters == {"id": {"type": "integer"}}


def test_two_paths_that_differ_in_a_placeholders_name_alone_are_one_and_the_second_is_told() -> None:
    document = description({"/a/{id}": get(), "/a/{name}": get()})

    assert len(imported(document).endpoints) == 1
    assert notes(document) == [
        (
            "#/paths/~1a~1{name}/get",
            "GET /a/{name} shares one entry with GET /a/{id}, since calls to them could not be told apart; the entry takes both",
        )
    ]


@each_row("bad", ["/a#b", "/a//b", "/a/../b", "/a/{}", "/a/{x}{x", "/a\\b", "/a/{x}/b{"])
def test_a_path_that_the_catalog_cannot_say_is_told_with_its_place(bad: str) -> None:
    api = imported(description({"/fine": get(), bad: get()}))

    assert [one["url"] for _, one in api.endpoints] == ["/fine"]
    assert len(loaded(api).operations) == 1
    assert [place for place, _ in api.notes] == [f"#/paths/{bad.replace('/', '~1')}/get"]


def test_a_path_keeps_its_blanks_and_letters_encoded_and_its_own_query() -> None:
    document = description({"/räume/a b?kind=x": get(query("q")), "no/slash": get()})

    assert entry(document)["url"] == "/r%C3%A4ume/a%20b?kind=x&q=[q]"
    assert entry(document, 1)["url"] == "/no/slash"


@each_row(
    "given, said",
    [
        (query("a"), None),
        (query("a", {"type": "string", "description": "a"}), None),
        (query("a", {"type": "string", "format": "date"}), {"type": "string", "format": "date"}),
        (query("a", {"type": "integer", "minimum": 1, "default": 1}), {"type": "integer", "minimum": 1, "default": 1}),
        (query("a", {"type": "string", "enum": ["x", "y"]}), {"type": "string", "enum": ["x", "y"]}),
        (query("a", {"type": "string", "nullable": True}), None),
        (query("a", None, required=True), {"required": True, "type": "string"}),
        (
            query("a", None, description="The *colour* of it. Or so."),
            {"type": "string", "description": "The colour of it"},
        ),
        (query("a", {"type": "array", "items": {"type": "string"}}), {"type": "array", "items": {"type": "string"}}),
        (query("a", {"type": "array"}, explode=False), {"type": "array", "explode": False}),
        (query("a", {"type": "array"}, style="pipeDelimited"), {"type": "array", "style": "pipeDelimited"}),
        (query("a", {"oneOf": [{"type": "string"}, {"type": "integer"}]}), {"type": ["string", "integer"]}),
        (
            query("a", {"oneOf": [{"type": "string", "format": "uuid"}, {"type": "array", "items": {}}]}),
            {"type": "string", "format": "uuid"},
        ),
        ({"name": "a", "in": "query", "content": {"application/json": {"schema": {}}}}, {"description": "JSON text"}),
    ],
)
def test_a_query_parameter_says_what_it_says(given: dict[str, Any], said: dict[str, Any] | None) -> None:
    found = entry(description({"/a": get(given)}))

    assert found["url"] == "/a?a=[a]"
    assert found.get("parameters", {}).get("a") == said


def test_an_object_in_the_query_becomes_its_fields() -> None:
    fields = {"type": "object", "properties": {"gt": {"type": "integer"}, "in": {"type": "array", "items": {}}}}
    document = description(
        {
            "/deep": get(query("date", {"anyOf": [fields, {"type": "integer"}]}, style="deepObject", explode=True)),
            "/flat": get(query("date", fields)),
            "/neither": get(query("date", fields, explode=False)),
            "/list": get(query("expand", {"type": "array", "items": {"type": "string"}}, style="deepObject")),
        }
    )

    urls = [one["url"] for _, one in imported(document).endpoints]
    assert urls == [
        "/deep?date%5Bgt%5D=[date_gt]&date=[date]",
        "/flat?gt=[gt]",
        "/neither",
        "/list?expand%5B%5D=[expand]",
    ]
    assert [(place, words.partition("'")[2].partition("'")[0]) for place, words in notes(document)] == [
        ("#/paths/~1deep/get/parameters/0", "date[in]"),
        ("#/paths/~1flat/get/parameters/0", "in"),
        ("#/paths/~1neither/get/parameters/0", "date"),
    ]
    assert len(loaded(imported(document)).operations) == 4


def test_the_needed_fields_of_a_needed_object_in_the_query_are_needed() -> None:
    scope = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"type": "string"}, "user": {"type": "string"}},
    }
    given = query("scope", scope, style="deepObject", required=True)

    assert entry(description({"/a": get(given)}))["parameters"] == {"scope_kind": {"required": True, "type": "string"}}
    assert "parameters" not in entry(description({"/a": get({**given, "required": False})}))


def test_headers_become_parameters_save_those_that_are_the_bots_own() -> None:
    names = [
        "X-Region",
        "Accept",
        "Authorization",
        "X-Api-Key",
        "Host",
        "X-HTTP-Method-Override",
        "x_region",
        "not a header",
    ]
    document = description(
        {"/a": get(*(header(name, {"type": "string", "enum": ["eu"]}, required=name == "X-Region") for name in names))},
        security=[{"key": []}],
        components={"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}},
    )

    assert entry(document)["parameters"] == {
        "X-Region": {"in": "header", "required": True, "type": "string", "enum": ["eu"]}
    }
    assert len(notes(document)) == 3


def test_a_placeholder_that_nobody_describes_is_one_nevertheless_and_a_described_one_that_is_nowhere_is_told() -> None:
    document = description({"/a/{id}": get(path("ID", {"type": "integer"}))})

    assert entry(document)["url"] == "/a/[id]"
    assert [words for _, words in notes(document)] == ["'ID' is not a placeholder of /a/{id}; it is left out"]


def test_labels_and_matrices_in_a_path_are_spelled_out() -> None:
    document = description(
        {"/a{id}": get(path("id", style="matrix")), "/b{format}": get(path("format", style="label"))}
    )

    assert [one["url"] for _, one in imported(document).endpoints] == ["/a;id=[id]", "/b.[format]"]
    assert len(loaded(imported(document)).operations) == 2


def test_the_operations_parameter_wins_over_the_paths() -> None:
    item = get(query("a", {"type": "integer"})) | {"parameters": [query("a", {"type": "boolean"}), query("b")]}

    assert entry(description({"/a": item}))["parameters"] == {"a": {"type": "integer"}}


def test_deprecated_and_merely_decorative_parameters_cost_no_tokens() -> None:
    given = [
        query("old", deprecated=True),
        query("pretty", {"type": "boolean"}),
        query("needed", deprecated=True, required=True),
    ]

    assert entry(description({"/a": get(*given)}))["url"] == "/a?needed=[needed]"


def test_a_name_of_300_characters_still_makes_a_catalog() -> None:
    long = "x" * 300
    document = description(
        {f"/{long}/{{{long}}}": get(query(long), header("h" * 300), summary=long, operationId=long, tags=[long])}
    )
    found = entry(document)

    assert len(found["url"]) < 800
    assert len(found["description"]) <= 200


# --- words ------------------------------------------------------------------------------------------------------------


@each_row(
    "summary, text, said",
    [
        ("List pets", "", "List pets."),
        ("", "Lists **all** <b>pets</b>, see [here](http://x). Slowly.", "Lists all pets, see here. Slowly."),
        ("List pets", "Lists pets", "List pets."),
        ("List pets", "Lists pets of a person.", "Lists pets of a person."),
        ("List pets", "Newest first.\n\n# Heading\n\n- point\n\n> [!NOTE]\n> quoted", "List pets. Newest first."),
        ("", "For example e.g. this. Required scope: x. See also y.", "For example e.g. this."),
        ("", "", "Find pets by status."),
        ("Stops &amp; starts", "```\ncode\n```", "Stops & starts."),
    ],
)
def test_a_description_is_short_and_plain(summary: str, text: str, said: str) -> None:
    item = get(summary=summary, description=text, operationId="findPetsByStatus")

    assert entry(description({"/a": item}))["description"].rstrip(".") == said.rstrip(".")


def test_without_any_words_the_operation_is_called_what_it_is() -> None:
    assert entry(description({"/a": {"get": {}}}))["description"] == "GET /a"


def test_a_long_description_ends_between_words() -> None:
    found = entry(description({"/a": get(summary="", description="word " * 500)}))["description"]

    assert len(found) <= 200
    assert found.endswith("word...")


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_json_is_taken_before_a_form_and_a_form_before_multipart() -> None:
    kinds = ["multipart/form-data", "application/x-www-form-urlencoded", "application/json; charset=utf-8"]
    contents = [
        {kind: {"schema": {"type": "object", "properties": {"a": {}}}} for kind in kinds[:count]} for count in (1, 2, 3)
    ]
    document = description(
        {f"/{number}": {"post": {"requestBody": {"content": one}}} for number, one in enumerate(contents)}
    )

    assert [one.get("body_type", "json") for _, one in imported(document).endpoints] == ["multipart", "form", "json"]
    assert len(loaded(imported(document)).operations) == 3


def test_a_body_that_cannot_be_sent_leaves_the_operation_out_where_it_is_needed() -> None:
    content = {"content": {"text/csv": {"schema": {"type": "string"}}}}
    document = description(
        {
            "/needed": {"post": {"requestBody": {**content, "required": True}}},
            "/optional": {"post": {"requestBody": content}},
            "/word": post({"type": "string"}),
        }
    )
    api = imported(document)

    assert [one["url"] for _, one in api.endpoints] == ["/optional"]
    assert [place for place, _ in api.notes] == [
        "#/paths/~1needed/post",
        "#/paths/~1optional/post/requestBody",
        "#/paths/~1word/post",
    ]


def test_a_media_type_of_json_is_sent_as_it_is_called() -> None:
    document = description({"/a": post({"type": "object"}, "application/merge-patch+json")})

    assert entry(document)["body"] == {"type": "object"}
    assert entry(document)["body_type"] == "application/merge-patch+json"
    assert notes(document) == []


def test_a_get_has_no_body_and_an_empty_form_is_none() -> None:
    empty = {"type": "object", "properties": {}, "additionalProperties": False}
    document = description(
        {"/a": get(**post({"properties": {"x": {}}})["post"]), "/b": post(empty, "application/x-www-form-urlencoded")}
    )

    assert all("body" not in one and "body_type" not in one for _, one in imported(document).endpoints)
    assert [words for _, words in notes(document)] == ["the body of a GET is left out"]


def test_a_forms_lists_say_how_they_are_written() -> None:
    kind = "application/x-www-form-urlencoded"
    schema = {"type": "object", "properties": {name: {"type": "array"} for name in ("plain", "deep", "commas")}}
    encoding = {"deep": {"style": "deepObject", "explode": True}, "commas": {"style": "form", "explode": False}}
    document = description(
        {"/a": {"post": {"requestBody": {"content": {kind: {"schema": schema, "encoding": encoding}}}}}}
    )

    assert entry(document)["body"]["properties"] == {
        "plain": {"type": "array", "style": "form"},
        "deep": {"type": "array"},
        "commas": {"type": "array", "style": "form", "explode": False},
    }


def test_swagger_2_parts_a_forms_lists_by_commas_unless_it_says_multi() -> None:
    given = [{"name": "a", "in": "formData", "type": "array"}]
    given.append({"name": "b", "in": "formData", "type": "array", "collectionFormat": "multi"})
    document = {"swagger": "2.0", "host": "h.example", "paths": {"/a": {"post": {"parameters": given}}}}

    assert entry(document)["body"]["properties"] == {
        "a": {"type": "array", "style": "form", "explode": False},
        "b": {"type": "array", "style": "form"},
    }


def test_operations_that_ask_for_another_key_are_told() -> None:
    schemes = {
        "key": {"type": "apiKey", "in": "query", "name": "k"},
        "token": {"type": "http", "scheme": "bearer"},
        "other": {"type": "apiKey", "in": "header", "name": "Other"},
    }
    paths = {
        "/a": get(),
        "/b": get(),
        "/either": get(security=[{"key": []}, {"token": []}]),
        "/open": get(security=[]),
        "/odd": get(security=[{"key": []}]),
        "/odder": get(security=[{"key": []}]),
        "/both": get(security=[{"token": [], "other": []}]),
    }
    document = description(paths, security=[{"token": []}], components={"securitySchemes": schemes})

    assert [(place, words.partition(";")[0]) for place, words in notes(document)] == [
        ("#/paths/~1odd/get", "this and 1 more operations ask for key, but auth says token"),
        ("#/paths/~1both/get", "this asks for token and other, but auth says token"),
    ]


def test_no_credential_is_a_matter_of_the_model() -> None:
    schemes = {
        "token": {"type": "http", "scheme": "bearer"},
        "query": {"type": "apiKey", "in": "query", "name": "k"},
        "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
    }
    found = entry(
        description(
            {"/a": get(query("k"), header("x_key"), query("X-Key"), header("k"))},
            security=[{"token": []}],
            components={"securitySchemes": schemes},
        )
    )

    assert found["url"] == "/a?X-Key=[X-Key]"
    assert found["parameters"] == {"k": {"in": "header", "type": "string"}}


# --- servers and credentials ------------------------------------------------------------------------------------------


@each_row(
    "servers, source, base, remarks",
    [
        ([{"url": "https://a.example/v1/"}], "", "https://a.example/v1", 0),
        (
            [{"url": "https://{r}.example/{v}", "variables": {"r": {"default": "eu"}, "v": {"default": 2}}}],
            "",
            "https://eu.example/2",
            0,
        ),
        ([{"url": "https://a.example"}, {"url": "https://b.example"}], "", "https://a.example", 1),
        ([{"url": "/v1"}], "https://c.example/docs/openapi.json", "https://c.example/v1", 0),
        ([{"url": "/v1"}], "", "${API_URL}/v1", 1),
        ([], "", "${API_URL}", 1),
        (None, "", "${API_URL}", 1),
        ([{"url": "https://user:pw@a.example"}], "", "${API_URL}", 1),
        ([{"url": "https://{region}.example"}], "", "${API_URL}", 1),
        ([{"url": "ftp://a.example"}], "", "${API_URL}", 1),
        ([{"url": 7}], "", "${API_URL}", 1),
        ("https://a.example", "", "${API_URL}", 1),
    ],
)
def test_the_first_server_is_the_base_url(servers: Any, source: str, base: str, remarks: int) -> None:
    api = imported(description({"/a": get()}, servers=servers), source=source)

    assert (api.base_url, len(api.notes)) == (base, remarks)
    assert loaded(api).operations


def test_a_base_url_that_is_given_wins() -> None:
    api = imported(description({"/a": get()}, servers=None), base_url="https://mine.example/")

    assert (api.base_url, api.notes) == ("https://mine.example", ())


def test_an_operation_at_another_server_is_left_out_and_one_below_the_base_is_not() -> None:
    elsewhere, below = {"servers": [{"url": "https://up.example"}]}, {"servers": [{"url": "https://shop.example/v2"}]}
    document = description({"/a": get(), "/b": get(**elsewhere), "/c": get() | below})

    assert [one["url"] for _, one in imported(document).endpoints] == ["/a", "/v2/c"]
    assert "import it into a separate catalog" in notes(document)[0][1]


@each_row(
    "schemes, required, auth, headers",
    [
        ({"s": {"type": "http", "scheme": "Bearer"}}, [["s"]], {"bearer": "${SHOP_TOKEN}"}, {}),
        ({"s": {"type": "oauth2", "flows": {}}}, [["s"]], {"bearer": "${SHOP_TOKEN}"}, {}),
        ({"s": {"type": "openIdConnect"}}, [["s"]], {"bearer": "${SHOP_TOKEN}"}, {}),
        ({"s": {"type": "oauth2", "flows": {"authorizationCode": {}}}}, [["s"]], {"bearer": "${SHOP_TOKEN}"}, {}),
        (
            {"s": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://login.example/token"}}}},
            [["s"]],
            {
                "client_credentials": {
                    "token_url": "https://login.example/token",
                    "client_id": "${SHOP_CLIENT_ID}",
                    "client_secret": "${SHOP_CLIENT_SECRET}",
                }
            },
            {},
        ),
        (
            {"s": {"type": "oauth2", "flow": "application", "tokenUrl": "/oauth/{tenant}/token"}},
            [["s"]],
            {
                "client_credentials": {
                    "token_url": "${SHOP_TOKEN_URL}",
                    "client_id": "${SHOP_CLIENT_ID}",
                    "client_secret": "${SHOP_CLIENT_SECRET}",
                }
            },
            {},
        ),
        (
            {"s": {"type": "http", "scheme": "basic"}},
            [["s"]],
            {"basic": {"username": "${SHOP_USERNAME}", "password": "${SHOP_PASSWORD}"}},
            {},
        ),
        (
            {"s": {"type": "apiKey", "in": "query", "name": "key"}},
            [["s"]],
            {"query": {"name": "key", "value": "${SHOP_API_KEY}"}},
            {},
        ),
        ({"s": {"type": "apiKey", "in": "cookie", "name": "sid"}}, [["s"]], None, {"Cookie": "sid=${SHOP_API_KEY}"}),
        (
            {
                "a": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "b": {"type": "apiKey", "in": "header", "name": "App-Key"},
            },
            [["a", "b"]],
            {"header": {"name": "X-Api-Key", "value": "${SHOP_X_API_KEY}"}},
            {"App-Key": "${SHOP_APP_KEY}"},
        ),
        (
            {"a": {"type": "apiKey", "in": "query", "name": "k"}, "b": {"type": "http", "scheme": "bearer"}},
            [["a"], ["b"]],
            {"bearer": "${SHOP_TOKEN}"},
            {},
        ),
        ({"s": {"type": "http", "scheme": "bearer"}}, [], {"bearer": "${SHOP_TOKEN}"}, {}),
        ({"s": {"type": "http", "scheme": "digest"}}, [["s"]], None, {}),
        ({"s": {"type": "apiKey", "in": "header", "name": "no header"}}, [["s"]], None, {}),
        ({"s": 7}, [["s"]], None, {}),
        ({}, [["nowhere"]], None, {}),
        ({}, [], None, {}),
    ],
)
def test_credentials_are_named_never_written(schemes: Any, required: Any, auth: Any, headers: Any) -> None:
    security: Any = [{name: [] for name in names} for names in required]
    api = imported(description({"/a": get()}, security=security, components={"securitySchemes": schemes}))

    assert (api.credentials.auth, api.credentials.headers) == (auth, headers)
    assert loaded(api).operations
    assert set(api.credentials.variables) <= set(VARIABLES)


def test_a_client_asks_for_the_scopes_that_its_operations_need_and_no_others() -> None:
    flow = {"tokenUrl": "https://login.example/token", "scopes": {"read": "", "write": "", "admin": ""}}
    schemes = {"s": {"type": "oauth2", "flows": {"clientCredentials": flow}}}
    paths = {"/a": get(), "/b": get(security=[{"s": ["write", "${EVIL}", 7]}])}
    api = imported(description(paths, security=[{"s": ["read"]}], components={"securitySchemes": schemes}))

    assert api.credentials.auth is not None
    assert api.credentials.auth["client_credentials"]["scopes"] == ["read", "write"]
    assert loaded(api).operations


def test_the_way_that_most_operations_take_is_taken() -> None:
    schemes = {"k": {"type": "apiKey", "in": "query", "name": "k"}, "b": {"type": "http", "scheme": "bearer"}}
    paths = {f"/{n}": get(security=[{"k": []}]) for n in range(3)} | {"/b": get(security=[{"b": []}])}

    assert imported(description(paths, components={"securitySchemes": schemes})).credentials.auth == {
        "query": {"name": "k", "value": "${SHOP_API_KEY}"}
    }


# --- paging -----------------------------------------------------------------------------------------------------------

NUMBER, TEXT, YES = {"type": "integer"}, {"type": "string"}, {"type": "boolean"}
THINGS = {"type": "array", "items": {"type": "object", "properties": {"id": TEXT}}}


def fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


PAGING: dict[str, tuple[list[Any], Any, dict[str, Any] | None]] = {
    "page and per_page": (
        [query("page", NUMBER), query("per_page", NUMBER)],
        THINGS,
        {"style": "page", "parameter": "page", "size": "per_page"},
    ),
    "page with totals": (
        [query("page", NUMBER)],
        fields(page=NUMBER, results=THINGS, total_pages=NUMBER, total_results=NUMBER),
        {"style": "page", "parameter": "page", "items": "results", "pages": "total_pages", "total": "total_results"},
    ),
    "page within meta": (
        [query("page[number]", NUMBER), query("page[size]", NUMBER)],
        fields(data=THINGS, meta=fields(total=NUMBER)),
        {"style": "page", "parameter": "page_number", "size": "page_size", "items": "data", "total": "meta.total"},
    ),
    "skip and top, the page's size, as OData has it": (
        [query("$top", NUMBER), query("$skip", NUMBER)],
        fields(value=THINGS),
        {"style": "offset", "parameter": "skip", "size": "top", "items": "value"},
    ),
    "a size alone": ([query("top", NUMBER)], fields(value=THINGS), None),
    "offset and limit": (
        [query("offset", NUMBER), query("limit", NUMBER)],
        fields(items=THINGS, total=NUMBER),
        {"style": "offset", "parameter": "offset", "size": "limit", "items": "items", "total": "total"},
    ),
    "startAt, as Jira has it": (
        [query("startAt", NUMBER), query("maxResults", NUMBER)],
        fields(issues=THINGS, total=NUMBER, startAt=NUMBER),
        {"style": "offset", "parameter": "startAt", "size": "maxResults", "items": "issues", "total": "total"},
    ),
    "a cursor and the next one": (
        [query("cursor"), query("limit", NUMBER)],
        fields(members=THINGS, response_metadata=fields(next_cursor=TEXT)),
        {
            "style": "cursor",
            "parameter": "cursor",
            "size": "limit",
            "items": "members",
            "next": "response_metadata.next_cursor",
        },
    ),
    "starting_after, as Stripe has it": (
        [query("limit", NUMBER), query("starting_after"), query("ending_before")],
        fields(data=THINGS, has_more=YES, url=TEXT),
        {
            "style": "cursor",
            "parameter": "starting_after",
            "size": "limit",
            "items": "data",
            "next": "data[-1].id",
            "more": "has_more",
        },
    ),
    "an offset token, as Asana has it": (
        [query("limit", NUMBER), query("offset")],
        fields(data=THINGS, next_page={"nullable": True, **fields(offset=TEXT, path=TEXT, uri=TEXT)}),
        {"style": "cursor", "parameter": "offset", "size": "limit", "items": "data", "next": "next_page.offset"},
    ),
    "after below paging.next, as HubSpot has it": (
        [query("after"), query("limit", NUMBER)],
        fields(results=THINGS, paging=fields(next=fields(after=TEXT, link=TEXT))),
        {"style": "cursor", "parameter": "after", "size": "limit", "items": "results", "next": "paging.next.after"},
    ),
    "pageToken, as Google has it": (
        [query("pageToken"), query("pageSize", NUMBER)],
        fields(files=THINGS, nextPageToken=TEXT),
        {"style": "cursor", "parameter": "pageToken", "size": "pageSize", "items": "files", "next": "nextPageToken"},
    ),
    "the next page's address": (
        [],
        fields(count=NUMBER, next={"type": "string", "format": "uri", "nullable": True}, results=THINGS),
        {"style": "next_url", "items": "results", "next": "next"},
    ),
    "the next page's address in HAL": (
        [],
        fields(_embedded=fields(orders=THINGS), _links=fields(next=fields(href=TEXT))),
        {"style": "next_url", "items": "_embedded.orders", "next": "_links.next.href"},
    ),
    "the next page's address in OData": (
        [],
        {"type": "object", "properties": {"value": THINGS, "@odata.nextLink": TEXT}},
        {"style": "next_url", "items": "value", "next": '"@odata.nextLink"'},
    ),
    "links.pages.next and a total, as DigitalOcean has it": (
        [query("per_page", NUMBER), query("page", NUMBER)],
        fields(orders=THINGS, links=fields(pages=fields(next=TEXT, last=TEXT)), meta=fields(total=NUMBER)),
        {"style": "page", "parameter": "page", "size": "per_page", "items": "orders", "total": "meta.total"},
    ),
    "continue within metadata, as Kubernetes has it": (
        [query("continue"), query("limit", NUMBER)],
        fields(
            items=THINGS, metadata={"type": "object", "properties": {"continue": TEXT, "remainingItemCount": NUMBER}}
        ),
        {"style": "cursor", "parameter": "continue", "size": "limit", "items": "items", "next": "metadata.continue"},
    ),
    "after and last_id, as OpenAI has it": (
        [query("after"), query("limit", NUMBER), query("order")],
        fields(object=TEXT, data=THINGS, first_id=TEXT, last_id=TEXT, has_more=YES),
        {
            "style": "cursor",
            "parameter": "after",
            "size": "limit",
            "items": "data",
            "next": "last_id",
            "more": "has_more",
        },
    ),
    "after and has_more": (
        [query("after")],
        fields(data=THINGS, has_more=YES),
        {"style": "cursor", "parameter": "after", "items": "data", "next": "data[-1].id", "more": "has_more"},
    ),
    "starting_after and a mere list": (
        [query("starting_after")],
        THINGS,
        {"style": "cursor", "parameter": "starting_after", "next": "[-1].id"},
    ),
    "first and max, as Keycloak has it": (
        [query("first", NUMBER), query("max", NUMBER), query("search")],
        THINGS,
        {"style": "offset", "parameter": "first", "size": "max"},
    ),
    "first alone": ([query("first", NUMBER)], THINGS, None),
    "from and size, as Elasticsearch has it": (
        [query("from", NUMBER), query("size", NUMBER)],
        fields(hits=fields(total=fields(value=NUMBER), hits=THINGS)),
        {"style": "offset", "parameter": "from", "size": "size", "items": "hits.hits"},
    ),
    "page.totalPages, as Spring has it": (
        [query("page", {"type": "integer", "minimum": 0}), query("size", NUMBER)],
        fields(content=THINGS, page=fields(size=NUMBER, number=NUMBER, totalElements=NUMBER, totalPages=NUMBER)),
        {
            "style": "page",
            "parameter": "page",
            "size": "size",
            "items": "content",
            "pages": "page.totalPages",
            "total": "page.totalElements",
        },
    ),
    "a count after filters, as Directus and RabbitMQ have it": (
        [query("page", NUMBER)],
        fields(items=THINGS, total_count=NUMBER, filtered_count=NUMBER, page_count=NUMBER),
        {"style": "page", "parameter": "page", "items": "items", "pages": "page_count", "total": "filtered_count"},
    ),
    "no list": ([query("page", NUMBER)], fields(id=TEXT, title=TEXT), None),
    "a thing with lists in it": ([query("page", NUMBER)], fields(sha=TEXT, parents=THINGS, changed=THINGS), None),
    "a page that is a name": ([query("page")], THINGS, None),
    "a cursor that no answer names": ([query("cursor")], THINGS, None),
    "a list without pages": ([query("q")], THINGS, None),
}


@each_row("name", PAGING)
def test_paging_is_recognised(name: str) -> None:
    parameters, answer, wanted = PAGING[name]
    document = description({"/orders": get(*parameters, answer=answer)})

    assert entry(document).get("pagination") == wanted


def test_a_link_header_tells_the_pages() -> None:
    item = get(query("per_page", NUMBER), query("page", NUMBER), answer=THINGS)
    item["get"]["responses"]["200"]["headers"] = {"Link": {"schema": TEXT}}

    assert entry(description({"/a": item}))["pagination"] == {"style": "link", "size": "per_page"}


@each_row(
    "header, parameters, wanted",
    [
        ("Next-Page", [query("_token")], {"style": "header", "header": "Next-Page", "parameter": "token"}),  # Kinto
        ("Next-Page", [query("q")], {"style": "header", "header": "Next-Page"}),
        (
            "X-Nomad-NextToken",
            [query("next_token"), query("per_page", NUMBER)],
            {"style": "header", "header": "X-Nomad-NextToken", "parameter": "next_token", "size": "per_page"},
        ),
        ("X-Next-Page", [query("page", NUMBER)], {"style": "header", "header": "X-Next-Page", "parameter": "page"}),
        ("X-Request-Id", [query("q")], None),
    ],
)
def test_a_header_with_a_token_or_url_tells_the_pages(header: str, parameters: list[Any], wanted: Any) -> None:
    item = get(*parameters, answer=THINGS)
    item["get"]["responses"]["200"]["headers"] = {header: {"schema": TEXT}}

    assert entry(description({"/a": item})).get("pagination") == wanted


@each_row(
    "words, schema, said",
    [
        ("Page number, zero-based.", NUMBER, {"type": "integer", "minimum": 0}),
        ("The page to start from, starting at 0", NUMBER, {"type": "integer", "minimum": 0}),
        ("0-indexed page", NUMBER, {"type": "integer", "minimum": 0}),
        ("Page numbers begin with 0.", NUMBER, {"type": "integer", "minimum": 0}),
        ("Specific page number to return.", {"type": "integer", "default": 0}, {"type": "integer", "default": 0}),
        ("The first page is 0.", {"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 0}),
        ("The page to fetch", NUMBER, {"type": "integer"}),
        ("Starts at 10", NUMBER, {"type": "integer"}),
    ],
)
def test_pages_that_are_counted_from_0_are_said_to_be(words: str, schema: Any, said: Any) -> None:
    document = description({"/a": get(query("page", schema, description=words), answer=THINGS)})

    assert entry(document)["parameters"] == {"page": said}


@each_row(
    "name, is_told",
    [("a cursor that no answer names", True), ("a page that is a name", True), ("a list without pages", False),
     ("no list", False), ("page and per_page", False)],
)  # fmt: skip
def test_a_list_whose_pages_are_not_recognised_is_told(name: str, is_told: bool) -> None:
    parameters, answer, _ = PAGING[name]
    told = [note for _, note in notes(description({"/orders": get(*parameters, answer=answer)}))]

    assert [note for note in told if "its paging is not recognised" in note] == told
    assert bool(told) is is_told


def test_what_turns_the_pages_needs_no_words() -> None:
    given = query("page", NUMBER, description="Which page of the results you want")

    assert entry(description({"/a": get(given, answer=THINGS)}))["parameters"] == {"page": {"type": "integer"}}


# --- choosing ---------------------------------------------------------------------------------------------------------

MANY = description(
    {
        "/users": get(tags=["People"]) | post({"type": "object"}, tags=["People"]),
        "/users/{id}": get(tags=["People", "One"]),
        "/orders": get() | {"head": {}},
    }
)


@each_row(
    "choice, names",
    [
        (Choice(), ["GET /users", "POST /users", "GET /users/[id]", "GET /orders", "HEAD /orders"]),
        (Choice(only=("GET /users*",)), ["GET /users", "GET /users/[id]"]),
        (Choice(only=("* /users", "get /orders")), ["GET /users", "POST /users", "GET /orders"]),
        (Choice(only=("/users/[user]",)), ["GET /users/[id]"]),
        (Choice(only=("GET /users/{whatever}",)), ["GET /users/[id]"]),
        (Choice(tags=("one",)), ["GET /users/[id]"]),
        (Choice(tags=("People",), read_only=True), ["GET /users", "GET /users/[id]"]),
    ],
)
def test_operations_are_chosen_by_pattern_tag_and_kind(choice: Choice, names: list[str]) -> None:
    assert [one.name for one in loaded(imported(MANY, choice)).operations] == names


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(only=("GET /nothing*",)), "--only 'GET /nothing\\*' matches no operation"),
        (Choice(tags=("Nobody",)), "there are: People, One"),
        (Choice(only=("POST *",), read_only=True), "No operation matches all"),
    ],
)
def test_a_choice_of_nothing_says_so(choice: Choice, words: str) -> None:
    with pytest.raises(BadDocument, match=words):
        imported(MANY, choice)


# --- schemas ----------------------------------------------------------------------------------------------------------


def test_a_pattern_is_told_in_words_and_never_run() -> None:
    evil = {"type": "string", "pattern": "^(a+)+$", "description": "How it is booked."}
    long = {"type": "string", "pattern": "a" * 61}
    found = entry(description({"/a": post({"type": "object", "properties": {"code": evil, "long": long}})}))

    assert found["body"]["properties"] == {
        "code": {"type": "string", "description": "How it is booked. Written as ^(a+)+$"},
        "long": {"type": "string"},
    }


KINDS = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
LEAVES = st.one_of(
    st.just({}),
    st.builds(lambda kind: {"type": kind}, KINDS),
    st.builds(lambda kinds: {"type": kinds}, st.lists(KINDS, min_size=1, max_size=3, unique=True)),
    st.builds(lambda values: {"enum": values}, st.lists(st.sampled_from(["a", "b", 1, 2.5, None, True]), min_size=1)),
    st.builds(lambda low, high: {"minimum": low, "maximum": high}, st.integers(-2, 2), st.integers(-1, 4)),
    st.builds(lambda low, high: {"minLength": low, "maxLength": high}, st.integers(0, 2), st.integers(0, 3)),
    st.just({"type": "string", "pattern": "^a"}),
    st.just({"type": "integer", "exclusiveMinimum": 0, "default": 1}),
    st.just({"const": "a"}),
)
NAMES = st.sampled_from(["a", "b", "password"])


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    fields = st.dictionaries(NAMES, inner, max_size=3)
    return st.one_of(
        st.builds(
            lambda kind, fields, required, others: kind | {"properties": fields, "required": required} | others,
            st.sampled_from([{}, {"type": "object"}, {"type": ["object", "null"]}]),
            fields,
            st.lists(NAMES, max_size=2, unique=True),
            st.one_of(st.just({}), st.builds(lambda one: {"additionalProperties": one}, inner | st.just(False))),
        ),
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(
            lambda key, several, base: base | {key: several}, st.sampled_from(["allOf", "anyOf", "oneOf"]), some, inner
        ),
    )


SCHEMAS = st.recursive(LEAVES, composed, max_leaves=8)
VALUES = st.recursive(
    st.sampled_from([None, True, 0, 1, 3, 2.5, "", "a", "ab", "b"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(SCHEMAS, VALUES, st.sampled_from([3_000, 150, 40]))
def test_what_a_schema_allows_is_never_refused(schema: Any, value: Any, limit: int) -> None:
    assume(Draft202012Validator(schema).is_valid(value))
    short = compact(Documents(description({"/a": get()})), Node(schema), limit)

    assert Draft202012Validator(short).is_valid(value), short


CIRCLES: dict[str, Any] = {
    "Item": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
    "All": {"allOf": [{"$ref": "#/components/schemas/All"}, {"type": "object", "properties": {"a": {}}}]},
    "Any": {
        "type": "object",
        "properties": {"x": {"anyOf": [{"$ref": "#/components/schemas/Any"}, {"type": "string"}]}},
    },
    "Map": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Map"}},
    "Ping": {"type": "object", "properties": {"pong": {"$ref": "#/components/schemas/Pong"}}},
    "Pong": {"type": "object", "required": ["ping"], "properties": {"ping": {"$ref": "#/components/schemas/Ping"}}},
}


@each_row("name", CIRCLES)
def test_schemas_within_themselves_end(name: str) -> None:
    ref = {"$ref": f"#/components/schemas/{name}"}
    document = description({"/a": post(ref) | get(query("q", ref), answer=ref)}, components={"schemas": CIRCLES})

    assert len(loaded(imported(document)).operations) == 2
    assert len(written(imported(document))) < 3_000


def test_references_in_a_circle_are_told_with_their_place() -> None:
    schemas = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
    document = description({"/a": post({"$ref": "#/components/schemas/A"})}, components={"schemas": schemas})

    assert "body" not in entry(document) or entry(document)["body"] == {}
    assert [words for _, words in notes(document)] == ["its $ref is circular; it is left out"]


def test_a_recursive_body_may_be_sent_as_deep_as_it_is_described_and_deeper() -> None:
    node = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    node["properties"]["next"] = {"$ref": "#/components/schemas/Node"}  # type: ignore[index]
    document = description({"/a": post({"$ref": "#/components/schemas/Node"})}, components={"schemas": {"Node": node}})
    catalog = loaded(imported(document))
    body = {"name": "a", "next": {"name": "b", "next": {"name": "c", "next": {"name": "d"}}}}

    assert resolve(catalog, {"method": "POST", "url": "/a", "body": body}).body
    with pytest.raises(BadCall, match="'name' is missing"):
        resolve(catalog, {"method": "POST", "url": "/a", "body": {}})


# --- broken and hostile -----------------------------------------------------------------------------------------------


def test_a_broken_reference_is_told_and_the_rest_imported() -> None:
    document = description(
        {
            "/a": get({"$ref": "#/components/parameters/Gone"}, query("q")),
            "/b": post(
                {
                    "type": "object",
                    "properties": {"x": {"$ref": "#/nowhere"}, "y": {"$ref": 7}, "z": {"$ref": "other.yaml#/a"}},
                }
            ),
            "/c": {"$ref": "#/paths/~1c"},
            "/d": {"$ref": "#/gone"},
        }
    )
    api = imported(document)

    assert [one["url"] for _, one in api.endpoints] == ["/a?q=[q]", "/b"]
    assert api.endpoints[1][1]["body"]["properties"] == {"x": {}, "y": {}, "z": {}}
    assert loaded(api).operations
    assert {place for place, _ in api.notes} == {
        "#/paths/~1a/get/parameters/0",
        "#/paths/~1b/post/requestBody/content/application~1json/schema/properties/x",
        "#/paths/~1b/post/requestBody/content/application~1json/schema/properties/y",
        "#/paths/~1b/post/requestBody/content/application~1json/schema/properties/z",
        "#/paths/~1c",
        "#/paths/~1d",
    }


def test_a_remark_holds_no_control_characters() -> None:
    (place, words), *_ = notes(description({"/ok": get(), "/a\x1b[31m#\u202e": get()}))

    assert place.isprintable()
    assert words.isprintable()


def test_operations_of_wrong_types_are_told() -> None:
    document = description({"/a": {"get": 7, "post": [], "options": {}, "x-thing": {}, "put": {}}, "/b": "text"})

    assert len(imported(document).endpoints) == 1
    assert [place for place, _ in notes(document)] == [
        "#/paths/~1a/get",
        "#/paths/~1a/post",
        "#/paths/~1a/options",
        "#/paths/~1b",
    ]


def test_too_many_operations_are_refused() -> None:
    document = description({f"/{number}": {"get": {}} for number in range(10_001)})

    with pytest.raises(BadDocument, match="10,001 operations"):
        operations(Documents(document))


def test_a_description_that_multiplies_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "_MAX_STEPS", references._MAX_STEPS // 50)  # the whole of it takes many seconds
    bomb: Any = {"type": "object", "properties": {"x": {"type": "string"}}}
    for _ in range(60):
        bomb = {"allOf": [bomb] * 9, "properties": {f"p{number}": bomb for number in range(9)}, "anyOf": [bomb, bomb]}

    with pytest.raises(BadDocument, match="aliases and references multiply"):
        imported(description({f"/{number}": post(bomb) | get(answer=bomb) for number in range(4)}))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["array", "object", "null", "$ref", "#/paths", "{x}", "${X}", "[a]", "\ud800", "x" * 300, "https://[", "/"]
    ),
    st.just([]),
    st.just({}),
    st.just([{}]),
    st.just({"$ref": "#/components/schemas/Pet"}),
    st.just({"allOf": [{"$ref": "#/components/schemas/Pet"}, 7]}),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return (
        [at, *(one for key, below in inner for one in places(below, (*at, key)))]
        if at
        else [one for key, below in inner for one in places(below, (key,))]
    )


def mutated(document: Any, changes: list[tuple[int, Any, bool]]) -> Any:
    """The document with junk at some of its places, or those taken away."""
    document = copy.deepcopy(document)
    for number, junk, is_gone in changes:
        there = places(document)
        if not there:
            break
        *way, last = there[number % len(there)]
        holder = document
        for step in way:
            holder = holder[step]
        if is_gone:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(junk)
    return document


@given(st.lists(st.tuples(st.integers(0, 10_000), JUNK, st.booleans()), min_size=1, max_size=6))
def test_whatever_is_wrong_with_a_description_it_makes_a_catalog_or_is_refused_in_words(
    changes: list[tuple[int, Any, bool]],
) -> None:
    try:
        api = imported(mutated(everything(), changes))
    except BadDocument:
        return
    assert loaded(api).operations
