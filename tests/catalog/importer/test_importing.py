"""The command `python bot.py import`: from a file or a URL, with the files that a description names, to a catalog on standard output."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from base.settings import Misconfigured
from bot import main
from catalog.catalog import load_catalog
from catalog.documents import BadDocument, read_text
from catalog.importer.fetching import Order, make
from tests.cli.test_command_line import run
from tests.harness.cases import each_row
from tests.harness.descriptions import description, everything, get, post, query
from tests.harness.loopback import Loopback, Reply, Request

Json = dict[str, Any]
SHOP = json.dumps(description({"/a": get(query("q")) | post({"type": "object"})}))


def command(where: Path, *arguments: str) -> Result:
    """`python bot.py import ...` in the directory `where`, in this process."""
    before = Path.cwd()
    os.chdir(where)
    try:
        return CliRunner().invoke(main, ["import", *arguments])
    finally:
        os.chdir(before)


def saying(files: dict[str, Reply]) -> Loopback:
    def answer(request: Request) -> Reply:
        return files.get(request.path.partition("?")[0], Reply(404))

    return Loopback(answer)


def text(content: str, **headers: str) -> Reply:
    return Reply(200, content.encode(), {"Content-Type": "text/plain", **headers})


# --- the command ------------------------------------------------------------------------------------------------------


def test_standard_output_is_the_catalog_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "openapi.yaml").write_text(yaml.safe_dump(everything()))

    done = run(tmp_path, "import", "openapi.yaml")

    assert done.returncode == 0
    assert load_catalog(done.stdout, {"SHOP_API_KEY": "only-for-this-test"}).apis[0].name == "Shop"
    assert "Shop: 2 reads, 3 writes." in done.stderr
    assert "Before the start set SHOP_API_KEY." in done.stderr
    (tmp_path / "apis.yaml").write_text(done.stdout)
    checked = run(
        tmp_path,
        "check",
        SHOP_API_KEY="only-for-this-test",
        SLACK_BOT_TOKEN="xoxb-1",
        SLACK_SIGNING_SECRET="s",
        SLACK_CHANNEL="#hr-bot",
    )
    assert (checked.returncode, "2 operations (3 more switched off), no mistakes found." in checked.stdout) == (0, True)


def test_the_command_at_the_catalogs_top_imports_again(tmp_path: Path) -> None:
    (tmp_path / "the shop.json").write_text(SHOP)
    made = command(tmp_path, "the shop.json", "--only", "GET /a*", "--base-url", "https://x.example", "--name", "It's")
    (tmp_path / "apis.yaml").write_text(made.stdout)
    (line,) = [one for one in made.stdout.splitlines() if "--into" in one]

    python, program, subject, *arguments = shlex.split(line, comments=False)[1:]
    assert (python, program, subject) == ("python", "bot.py", "import")
    assert "nothing changed" in command(tmp_path, *arguments).stderr


def test_into_a_file_that_is_not_there_makes_it_and_prints_no_catalog(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(SHOP)

    made = command(tmp_path, "openapi.json", "--into", "new.yaml")

    assert (made.exit_code, made.stdout) == (0, "")
    assert ": 1 read, 1 write." in made.stderr
    assert load_catalog((tmp_path / "new.yaml").read_text(), {}).operations


@each_row(
    "options, methods",
    [
        ([], ["GET"]),
        (["--writes"], ["GET", "POST"]),
        (["--writes", "--read-only"], ["GET"]),
        (["--writes", "--only", "POST *"], ["POST"]),
        (["--writes", "--tag", "things"], ["POST"]),
        (["--writes", "--tag", "things", "--tag", "others"], ["GET", "POST"]),
    ],
)
def test_options_choose(tmp_path: Path, options: list[str], methods: list[str]) -> None:
    paths = {"/a": get(tags=["Others"]) | post({"type": "object"}, tags=["Things"])}
    (tmp_path / "openapi.json").write_text(json.dumps(description(paths)))

    made = command(tmp_path, "openapi.json", *options)

    assert [one.method for one in load_catalog(made.stdout, {}).operations] == methods


@each_row(
    "content, words",
    [
        ("{}", "neither 'openapi: 3...' nor"),
        ('{"openapi": "3.0.0",\n"paths": {]}', "line 2: not valid JSON"),
        ("openapi: 3.0.0\npaths:\n  - [", "line 4: not valid YAML"),
        ("openapi: '3.0.0'\npaths: {/a: {get: {}}}\n---\na: b", "line 3: a second document begins here"),
        ("[" * 5000, "nest"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (SHOP, "--only 'GET /b' matches no operation"),
    ],
)
def test_what_cannot_be_imported_ends_with_one_line_and_prints_no_catalog(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    (tmp_path / "openapi.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())

    made = command(tmp_path, "openapi.yaml", "--only", "GET /b")

    assert (made.exit_code, made.stdout) == (2, "")
    assert words in made.stderr
    assert made.stderr.count("\n") == 1


def test_paths_that_stand_twice_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "openapi.yaml").write_text(
        "openapi: 3.0.0\nservers: [{url: 'https://x.example'}]\npaths:\n  /a: {get: {}}\n  /b: {get: {}}\n  /a: {post: {}}\n"
    )

    made = command(tmp_path, "openapi.yaml")

    assert "line 6: duplicate key '/a' in an object; only the last one is read" in made.stderr
    assert [one["method"] for one in yaml.safe_load(made.stdout)["endpoints"]] == ["POST", "GET"]


# --- from a URL -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_text", [json.dumps, yaml.safe_dump])
def test_a_description_is_fetched_and_its_servers_are_read_from_where_it_was(as_text: Any) -> None:
    document = description({"/a": get()}, servers=[{"url": "../v2"}])
    with saying({"/docs/openapi": text(as_text(document))}) as server:
        made = make(Order(f"{server.url}/docs/openapi"))

    assert load_catalog(made.text, {}).apis[0].base_url == f"{server.url}/v2"


def test_a_redirect_is_followed() -> None:
    with saying({"/old": Reply(302, b"", {"Location": "/new"}), "/new": text(SHOP)}) as server:
        assert load_catalog(make(Order(f"{server.url}/old")).text, {}).operations


@pytest.mark.parametrize("at", ["https://shop.example/v1", "/v1", "v1"])
def test_a_key_in_the_url_is_not_written_down(at: str) -> None:
    shop = json.dumps(json.loads(SHOP) | {"servers": [{"url": at}]})
    with saying({"/openapi": text(shop)}) as server:
        address = server.url.replace("http://", "http://user:pass-word@")
        made = make(Order(f"{address}/openapi?key=hush-hush"))

        assert [one.path for one in server.requests] == ["/openapi?key=hush-hush"]
    assert "hush-hush" not in made.text + "".join(made.report)
    assert "pass-word" not in made.text + "".join(made.report)


def test_a_header_goes_with_the_request_and_is_written_nowhere(tmp_path: Path) -> None:
    with saying({"/openapi": text(SHOP)}) as server:
        done = command(tmp_path, f"{server.url}/openapi", "--header", "X-Key: hush-hush", "--header", "x-team:  a b ")
        again = command(tmp_path, f"{server.url}/openapi", "--header", "X-Key: hush-hush", "--into", "apis.yaml")

        assert [(one.headers["x-key"], one.headers.get("x-team")) for one in server.requests] == [
            ("hush-hush", "a b"),
            ("hush-hush", None),
        ]
    assert (done.exit_code, again.exit_code) == (0, 0)
    assert "hush-hush" not in done.output + again.output + (tmp_path / "apis.yaml").read_text()
    assert "--into apis.yaml --header ..." in done.stdout
    assert "hush-hush" not in repr(Order("x", headers=(("X-Key", "hush-hush"),)))


def test_a_header_stays_behind_where_a_redirect_leads_to_another_server() -> None:
    with saying({"/openapi": text(SHOP)}) as other:
        moved = {
            "/old": Reply(302, b"", {"Location": "/new"}),
            "/new": Reply(302, b"", {"Location": f"{other.url}/openapi"}),
        }
        with saying(moved) as server:
            headers = (("X-Key", "hush-hush"), ("Authorization", "Bearer hush-hush"))
            assert make(Order(f"{server.url}/old", headers=headers)).text

            assert [(one.headers["x-key"], one.headers["authorization"]) for one in server.requests] == [
                ("hush-hush", "Bearer hush-hush")
            ] * 2
        assert [{"x-key", "authorization"} & set(one.headers) for one in other.requests] == [set()]


@each_row("given", ["hush-hush", ": hush-hush", "X Key: hush-hush", "X-Key:", "X-Key: hush\r\nA: hush-hush"])
def test_what_is_no_header_is_refused_and_not_repeated(tmp_path: Path, given: str) -> None:
    done = command(tmp_path, "http://127.0.0.1:9/x", "--header", given)

    assert done.exit_code == 2
    assert (
        done.output
        == "--header takes a header's name and value, for example 'Authorization: Bearer ...' (in quotes).\n"
    )


def test_a_header_for_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(SHOP)

    done = command(tmp_path, "openapi.json", "--header", "X-Key: hush-hush")

    assert (done.exit_code, done.output) == (2, "--header goes with a URL, and openapi.json is a file; leave it out.\n")


@pytest.mark.parametrize(
    ("headers", "words"), [((), "give it with --header"), ((("X-Key", "hush-hush"),), "is the key in --header right")]
)
def test_a_server_that_wants_a_key_is_told(headers: Any, words: str) -> None:
    with saying({"/openapi": Reply(401)}) as server, pytest.raises(Misconfigured, match=words) as caught:
        make(Order(f"{server.url}/openapi", headers=headers))
    assert "hush-hush" not in str(caught.value)


def test_redirects_in_a_circle_end() -> None:
    with (
        saying({"/a": Reply(302, b"", {"Location": "/a"})}) as server,
        pytest.raises(Misconfigured, match="TooManyRedirects"),
    ):
        make(Order(f"{server.url}/a"))


@each_row(
    "reply, words",
    [
        (Reply(404), "answered 404; give the address of the description itself"),
        (text("<!doctype html><html><body>Swagger UI</body></html>"), "not an API description|not valid YAML"),
        (Reply(200, b"\xff\xfe", {}), "not UTF-8 text"),
        (Reply(drop=True), "could not be read"),
        (Reply(302, b"", {"Location": "ftp://x/y"}), "could not be read"),
        (Reply(200, b"#" * 65_000_000, {}), "too large or too slow"),
    ],
)
def test_what_a_server_may_give_instead_is_refused_in_words(reply: Reply, words: str) -> None:
    with saying({"/openapi": reply}) as server, pytest.raises((Misconfigured, BadDocument), match=words):
        make(Order(f"{server.url}/openapi"))


def test_nobody_at_home_is_told_in_words() -> None:
    with pytest.raises(Misconfigured, match=r"http://127\.0\.0\.1:9/x could not be read"):
        make(Order("http://127.0.0.1:9/x"))


# --- several files ----------------------------------------------------------------------------------------------------


def several(folder: Path, ref: str) -> Path:
    (folder / "parts").mkdir()
    (folder / "parts" / "pet.yaml").write_text(
        "Pet:\n  type: object\n  properties:\n    tag: {$ref: 'tag.yaml#/Tag'}\n    parent: {$ref: '#/Pet'}\n"
    )
    (folder / "parts" / "tag.yaml").write_text("Tag: {type: string, enum: [a, b]}\n")
    file = folder / "openapi.yaml"
    file.write_text(yaml.safe_dump(description({"/pets": post({"$ref": ref})})))
    return file


def test_other_files_are_read_and_their_references_are_relative_to_themselves(tmp_path: Path) -> None:
    made = make(Order(str(several(tmp_path, "parts/pet.yaml#/Pet")), writes=True))

    (entry,) = yaml.safe_load(made.text)["endpoints"]
    assert entry["body"]["properties"]["tag"] == {"type": "string", "enum": ["a", "b"]}
    assert "Remarks" not in "".join(made.report)


def test_files_outside_of_the_descriptions_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("Key: {type: object, properties: {hush-hush: {}}}")
    (tmp_path / "inner").mkdir()
    for ref in ("../secret.yaml#/Key", f"{tmp_path}/secret.yaml#/Key", "gone.yaml#/Key"):
        file = tmp_path / "inner" / "openapi.yaml"
        file.write_text(yaml.safe_dump(description({"/pets": post({"$ref": ref})})))
        made = make(Order(str(file)))

        assert "hush-hush" not in made.text
        assert "does not resolve" in "".join(made.report)


def test_a_description_from_a_url_names_no_other_documents() -> None:
    document = json.dumps(description({"/a": post({"$ref": "/etc/passwd#/x"}) | get(query("q", {"$ref": "b.yaml"}))}))
    with saying({"/openapi": text(document), "/b.yaml": text("type: integer")}) as server:
        made = make(Order(f"{server.url}/openapi"))

        assert [one.path for one in server.requests] == ["/openapi"]
    (line,) = [line for line in made.report if "works only for files" in line]
    assert line.startswith("  /etc/passwd#: ")
    assert line.endswith("(1 more like it: b.yaml#)")


# --- YAML and JSON ----------------------------------------------------------------------------------------------------


def test_a_document_is_read_by_the_rules_of_yaml_1_2() -> None:
    content = "a: no\nb: 2024-01-02\nc: 0o17\nd: 1_000\ne: ~\nf: .inf\ng: true\n200: h\ni: 1e3\nj: 012\n"

    assert read_text(content, "x")[0] == {
        "a": "no",
        "b": "2024-01-02",
        "c": 15,
        "d": "1_000",
        "e": None,
        "f": ".inf",
        "g": True,
        "200": "h",
        "i": 1000.0,
        "j": 12,
    }


def test_aliases_and_merges_are_read() -> None:
    content = "base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  y: 3\nlist: [*b]\n"

    assert read_text(content, "x")[0] == {
        "base": {"x": 1, "y": 2},
        "more": {"y": 3, "x": 1},
        "list": [{"x": 1, "y": 2}],
    }


@pytest.mark.parametrize("content", ["a: 1\na: 2\n", '{"a": 1, "a": 2}'])
def test_a_key_that_stands_twice_is_told(content: str) -> None:
    document, twice = read_text(content, "x")

    assert document == {"a": 2}
    assert "duplicate key 'a' in an object; only the last one is read" in twice[0]


@each_row(
    "content, words",
    [
        ("a: &x {b: *x}", "is inside the node that it refers to"),
        ("a: *x", "is not defined|undefined alias"),
        ("? [a]\n: b", "a key has to be plain text"),
        ("a: {<<: 7}", "'<<' takes a mapping"),
        ("a: !!python/object:os.system x", None),
        ("a: \x00", "not valid YAML"),
        ("- " * 2000 + "a", "nested"),
        ("[" + "1" * 5000 + "]", None),
        ("\t- a", "not valid YAML"),
    ],
)
def test_odd_documents_are_refused_with_the_line_or_read_as_text(content: str, words: str | None) -> None:
    if words is None:
        assert read_text(content, "x")[0]
        return
    with pytest.raises(BadDocument, match=words):
        read_text(content, "x")


@each_row("form", ['{"a": "%s"}', 'a: "%s"'])
@each_row(
    "written, read",
    [
        ("\\ud800", "\ufffd"),
        ("x\\udc00y", "x\ufffdy"),
        ("\\ud83d\\ud83d\\ude00", "\ufffd\U0001f600"),
        ("\\\\ud800", "\\ud800"),
        ("caf\\u00e9", "café"),
    ],
)
def test_half_a_character_becomes_a_replacement_character(form: str, written: str, read: str) -> None:
    data, _ = read_text(form % written, "shop")

    assert data["a"].encode("utf-16", "surrogatepass").decode("utf-16") == read


def test_a_document_that_multiplies_itself_by_merges_is_refused() -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{n}: 1" for n in range(1000)) + "}"]
    lines += [f"b{n}: {{<<: *a0}}" for n in range(5_000)]

    with pytest.raises(BadDocument, match="too large"):
        read_text("\n".join(lines), "x")
