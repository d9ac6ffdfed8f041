"""The sample HR API over real HTTP: what it answers, what it refuses, and that its file is never half written."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo.hr_api import HrApi
from demo.intents import Change, Everybody, Hire, Joined, Remove, understood
from tests.harness.ports import free_port

ZOE = {"first_name": "Zoe", "last_name": "Park", "job": "Designer", "email": "zoe.park@example.com"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[HrApi]:
    api = HrApi(tmp_path / "hr.json")
    api.start()
    yield api
    api.stop()


@pytest.fixture
def http(api: HrApi) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=api.url) as client:
        yield client


def names(page: httpx2.Response) -> list[str]:
    return [user["first_name"] for user in page.json()["data"]]


def test_a_new_file_holds_fourteen_people(http: httpx2.Client) -> None:
    page = http.get("/api/users?page=1").json()
    assert (page["total"], page["total_pages"], page["per_page"], len(page["data"])) == (14, 3, 6, 6)
    assert list(page["data"][1]) == [
        *("id", "first_name", "last_name", "email", "job", "department", "joined", "manager_id")
    ]


def test_every_sample_employee_has_the_shape_that_the_api_itself_demands(http: httpx2.Client) -> None:
    for user in http.get("/api/users?per_page=100").json()["data"]:
        path = f"/api/users/{user.pop('id')}"
        assert http.put(path, json=user).status_code == 200


def test_the_pages_hold_everyone_once(http: httpx2.Client) -> None:
    ids = [user["id"] for page in (1, 2, 3) for user in http.get(f"/api/users?page={page}").json()["data"]]
    assert ids == list(range(1, 15))
    assert names(http.get("/api/users?page=4")) == []


def test_a_department_filters_whatever_its_case(http: httpx2.Client) -> None:
    page = http.get("/api/users?department=sales")
    assert names(page) == ["Helena", "Tom", "Daniel"]
    assert page.json()["total_pages"] == 1


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=", "per_page=101", "per_page=0", "sort=name"])
def test_a_query_it_does_not_understand_is_told(http: httpx2.Client, query: str) -> None:
    answer = http.get(f"/api/users?{query}")
    assert answer.status_code == 422
    assert query.split("=")[0] in answer.json()["error"]


def test_an_employee_is_created_read_and_removed(http: httpx2.Client) -> None:
    created = http.post("/api/users", json=ZOE)
    assert created.status_code == 201
    where = created.headers["Location"]
    assert where == "/api/users/15"
    read = http.get(where)
    assert read.json() == created.json() == {"id": 15, "department": None, "joined": None, "manager_id": None} | ZOE
    assert read.headers["ETag"] == created.headers["ETag"]
    removed = http.delete(where)
    assert (removed.status_code, removed.content) == (204, b"")
    assert http.get(where).status_code == 404


def test_the_id_of_a_removed_employee_is_not_given_again(http: httpx2.Client) -> None:
    http.delete(http.post("/api/users", json=ZOE).headers["Location"])
    assert http.post("/api/users", json=ZOE).headers["Location"] == "/api/users/16"


def test_put_replaces_and_patch_changes(http: httpx2.Client) -> None:
    patched = http.patch("/api/users/7", json={"last_name": "Bergman"}).json()
    assert (patched["last_name"], patched["job"]) == ("Bergman", "Account Manager")
    replaced = http.put("/api/users/7", json={"first_name": "Tom", "last_name": "Berg"}).json()
    assert (replaced["id"], replaced["last_name"], replaced["job"]) == (7, "Berg", None)


def test_nobody_reports_to_someone_who_left(http: httpx2.Client) -> None:
    http.delete("/api/users/6")
    assert http.get("/api/users/7").json()["manager_id"] is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"last_name": "Park"}, '"first_name" is required'),
        (ZOE | {"cascade": True}, 'Unknown field "cascade"; the fields are first_name'),
        (ZOE | {"id": 3}, 'Unknown field "id"'),
        (ZOE | {"email": "zoe"}, '"email" has to look like'),
        (ZOE | {"joined": "2026-02-30"}, '"joined" has to be a date'),
        (ZOE | {"manager_id": 99}, "id of an employee, not 99"),
        (ZOE | {"manager_id": True}, "id of an employee, not true"),
        (ZOE | {"first_name": None}, '"first_name" may not be empty'),
        (ZOE | {"job": 7}, '"job" has to be text'),
        (ZOE | {"job": " "}, '"job" has to be text'),
        ([ZOE], "JSON object"),
    ],
)
def test_a_wrong_body_is_refused_in_words_and_changes_nothing(http: httpx2.Client, body: object, words: str) -> None:
    answer = http.post("/api/users", json=body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert http.get("/api/users").json()["total"] == 14


def test_a_body_that_is_no_json_is_400(http: httpx2.Client) -> None:
    answer = http.put("/api/users/7", content=b'{"first_name": ')
    assert answer.status_code == 400
    assert "not valid JSON" in answer.json()["error"]


def test_unknown_places_and_methods_are_told_in_json(http: httpx2.Client) -> None:
    assert "id 99" in http.get("/api/users/99").json()["error"]
    assert http.get("/api/users/x").json()["error"]
    refused = http.delete("/api/users")
    assert refused.status_code == 405
    assert refused.json()["error"]
    assert "POST" in refused.headers["Allow"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_write_against_an_old_state_is_412(http: httpx2.Client, method: str) -> None:
    old = http.get("/api/users/7").headers["ETag"]
    http.patch("/api/users/7", json={"job": "Sales Lead"})
    refused = http.request(method, "/api/users/7", headers={"If-Match": old}, json={})
    assert refused.status_code == 412
    assert "changed" in refused.json()["error"]
    assert http.get("/api/users/7").json()["job"] == "Sales Lead"


def test_a_write_against_the_present_state_goes_through(http: httpx2.Client) -> None:
    now = http.get("/api/users/7").headers["ETag"]
    assert http.delete("/api/users/7", headers={"If-Match": now}).status_code == 204


def test_a_state_that_the_reader_has_is_304(http: httpx2.Client) -> None:
    now = http.get("/api/users/7").headers["ETag"]
    assert http.get("/api/users/7", headers={"If-None-Match": now}).status_code == 304


def test_a_repeated_idempotency_key_does_the_write_once(http: httpx2.Client) -> None:
    first, again = (http.post("/api/users", json=ZOE, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.status_code, first.json(), first.headers["Location"]) == (
        *(again.status_code, again.json(), again.headers["Location"]),
    )
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert http.get("/api/users").json()["total"] == 15


def test_repeats_at_the_same_moment_do_the_write_once_too(http: httpx2.Client) -> None:
    def send(_: int) -> int:
        return http.post("/api/users", json=ZOE, headers={"Idempotency-Key": "k0"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(8))) == [201] * 8
    assert http.get("/api/users").json()["total"] == 15


def test_a_repeated_delete_is_204_again(http: httpx2.Client) -> None:
    key = {"Idempotency-Key": "k2"}
    assert [http.delete("/api/users/7", headers=key).status_code for _ in range(2)] == [204, 204]


def test_an_idempotency_key_with_another_request_is_422(http: httpx2.Client) -> None:
    key = {"Idempotency-Key": "k3"}
    http.delete("/api/users/7", headers=key)
    refused = http.delete("/api/users/8", headers=key)
    assert refused.status_code == 422
    assert "Idempotency-Key" in refused.json()["error"]
    assert http.get("/api/users/8").status_code == 200


def test_a_refused_write_leaves_its_key_unused(http: httpx2.Client) -> None:
    key = {"Idempotency-Key": "k4"}
    assert http.post("/api/users", json={}, headers=key).status_code == 422
    assert http.post("/api/users", json=ZOE, headers=key).status_code == 201


def test_people_and_keys_outlive_a_restart(tmp_path: Path) -> None:
    statuses = []
    for _ in range(2):
        api = HrApi(tmp_path / "hr.json")
        api.start()
        removed = httpx2.delete(f"{api.url}/api/users/7", headers={"Idempotency-Key": "k5"})
        statuses.append((removed.status_code, httpx2.get(f"{api.url}/api/users/7").status_code))
        api.stop()
    assert statuses == [(204, 404), (204, 404)]
    assert [path.name for path in tmp_path.iterdir()] == ["hr.json"]


def test_requests_are_kept_as_they_arrived(api: HrApi, http: httpx2.Client) -> None:
    http.get("/api/users?page=2")
    http.patch("/api/users/7", json={"job": "Chef"}, headers={"X-Asked-By": "ann"})
    read, write = api.requests
    assert (read.method, read.path, read.body) == ("GET", "/api/users?page=2", "")
    assert (write.method, write.path, json.loads(write.body)) == ("PATCH", "/api/users/7", {"job": "Chef"})
    assert write.headers["x-asked-by"] == "ann"


def test_a_stopped_api_leaves_its_port_free(tmp_path: Path) -> None:
    port = free_port()
    first = HrApi(tmp_path / "hr.json", port=port)
    first.start()
    with httpx2.Client(base_url=first.url) as kept_alive:
        kept_alive.get("/api/users")
        first.stop()
        first.stop()
        second = HrApi(tmp_path / "hr.json", port=port)
        second.start()
        assert httpx2.get(second.url + "/api/users/1").status_code == 200
        second.stop()


def test_what_is_offered_to_ask_is_about_those_who_are_there(tmp_path: Path) -> None:
    """However often it is asked for and done: the model understands it, and it names nobody who left or is hired already."""
    api = HrApi(tmp_path / "hr.json")
    api.start()
    seen = []
    try:
        for _ in range(16):
            people = {
                f"{one['first_name']} {one['last_name']}"
                for one in json.loads((tmp_path / "hr.json").read_text())["users"]
            }
            asked = api.questions()
            seen.append(asked)
            for question in asked:
                match understood(question):
                    case Hire(name):
                        assert name not in people
                        first, last = name.split()
                        send(api, "POST", "/api/users", {"first_name": first, "last_name": last})
                    case Change(who):
                        assert who in people
                    case Remove((who,)):
                        assert who in people
                        gone = next(one for one in listed(api) if f"{one['first_name']} {one['last_name']}" == who)
                        send(api, "DELETE", f"/api/users/{gone['id']}")
                    case other:
                        assert isinstance(other, Joined | Everybody), question
        for one in listed(api):
            send(api, "DELETE", f"/api/users/{one['id']}")
        assert api.questions() == ["who works here?", "hire Zoe Park as designer"]
    finally:
        api.stop()
    assert seen[0] == [
        "who joined in March?",
        "hire Zoe Park as designer",
        "rename Marta Silva to Marta Costa",
        "remove Tom Berg",
    ]
    assert seen[1] != seen[0]


def send(api: HrApi, method: str, path: str, body: object = None) -> None:
    assert httpx2.request(method, api.url + path, json=body).status_code < 300


def listed(api: HrApi) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx2.get(f"{api.url}/api/users?per_page=100").json()["data"]
    return found
