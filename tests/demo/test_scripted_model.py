"""The scripted model over real HTTP: every intent in a small tool loop against the sample API, and its strictness."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from demo.hr_api import HrApi
from demo.scripted_model import CONFESSION, ScriptedModel, completed

Message = dict[str, Any]
Tool = Callable[[Message], object]

CALL_REST_API: Any = {
    "type": "function",
    "function": {
        "name": "call_rest_api",
        "description": "Calls the API.",
        "parameters": {
            "type": "object",
            "properties": {
                "method": {"type": "string"},
                "url": {"type": "string"},
                "body": {"type": "string", "description": "The JSON object, as text."},
            },
            "required": ["method", "url"],
        },
    },
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[HrApi]:
    api = HrApi(tmp_path / "hr.json")
    api.start()
    yield api
    api.stop()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(headers={"Authorization": "Bearer any"}) as http:
        yield http


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    model = ScriptedModel()
    model.start()
    yield model
    model.stop()


class Conversation:
    """A bot in thirty lines: the messages so far, and a loop over tool calls until the model has an answer."""

    def __init__(self, http: httpx2.Client, model: ScriptedModel, api: HrApi) -> None:
        self.http, self.model, self.api = http, model, api
        self.messages: list[Message] = [{"role": "system", "content": "You are an HR helper."}]
        self.replies: list[Message] = []

    def ask(self, question: str, write: Tool | None = None, **options: Any) -> str:
        """The answer to a question; `write` answers what is not a GET (as it stands: sends it)."""
        self.messages.append({"role": "user", "content": question})
        while True:
            reply = self.complete(**options)
            self.messages.append(reply)
            for call in reply.get("tool_calls", []):
                asked = json.loads(call["function"]["arguments"])
                result = self.send(asked) if write is None or asked["method"] == "GET" else write(asked)
                content = result if isinstance(result, str) else json.dumps(result)
                self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
            if not reply.get("tool_calls"):
                answer: str = reply["content"]
                assert answer.startswith(CONFESSION)
                return answer

    def complete(self, **options: Any) -> Message:
        body = {"model": "scripted", "messages": self.messages, "tools": [CALL_REST_API]} | options
        answer = self.http.post(f"{self.model.base_url}/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        message: Message = answer.json()["choices"][0]["message"]
        self.replies.append(message)
        return message

    def send(self, call: Message) -> object:
        answer = self.http.request(call["method"], self.api.url + call["url"], content=call.get("body"))
        return {"status": answer.status_code, "data": answer.json() if answer.content else None}

    def writes(self) -> list[tuple[str, str]]:
        return [(seen.method, seen.path) for seen in self.api.requests if seen.method != "GET"]

    def reads(self) -> list[str]:
        return [seen.path for seen in self.api.requests if seen.method == "GET"]

    def employee(self, number: int) -> dict[str, Any]:
        read: dict[str, Any] = self.http.get(f"{self.api.url}/api/users/{number}").json()
        return read


@pytest.fixture
def talk(http: httpx2.Client, model: ScriptedModel, api: HrApi) -> Conversation:
    return Conversation(http, model, api)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["list employees", "<@U1> who works here?", "Could you list everybody, please?"])
def test_everybody_is_listed_from_every_page(talk: Conversation, question: str) -> None:
    answer = talk.ask(question)
    assert "14 employees" in answer
    assert answer.count("\n| ") == 15  # fourteen and the head
    assert talk.reads() == ["/api/users?page=1", "/api/users?page=2", "/api/users?page=3"]


def test_the_pages_after_the_first_are_asked_for_in_one_reply(talk: Conversation) -> None:
    talk.ask("list employees")
    assert [len(reply.get("tool_calls", [])) for reply in talk.replies] == [1, 2, 0]


def test_one_page_at_a_time_where_parallel_calls_are_not_wanted(talk: Conversation) -> None:
    assert "14 employees" in talk.ask("list employees", parallel_tool_calls=False)
    assert [len(reply.get("tool_calls", [])) for reply in talk.replies] == [1, 1, 1, 0]


@pytest.mark.parametrize("question", ["who is Ann Lee?", "find ann", "What is Ann Lee's email?", "find #3"])
def test_a_person_is_found(talk: Conversation, question: str) -> None:
    answer = talk.ask(question)
    assert "**Ann Lee** (#3)" in answer
    assert "ann.lee@example.com" in answer


def test_several_people_of_one_name_are_listed(talk: Conversation) -> None:
    answer = talk.ask("who is daniel?")
    assert "Which one" in answer
    assert "Daniel Kim" in answer
    assert "Daniel Novak" in answer


def test_nobody_is_invented(talk: Conversation) -> None:
    assert 'nobody called "Zoe Park"' in talk.ask("who is Zoe Park?")


@pytest.mark.parametrize("question", ["who joined in March?", "Who joined in march 2026?"])
def test_those_who_joined_in_a_month_are_found(talk: Conversation, question: str) -> None:
    answer = talk.ask(question)
    assert "3 of 14 employees joined in March" in answer
    assert answer.index("Ann Lee") < answer.index("Daniel Novak") < answer.index("Priya Nair")


def test_a_month_of_another_year_is_empty(talk: Conversation) -> None:
    assert "Nobody joined in March 2019" in talk.ask("who joined in March 2019?")


def test_a_department_is_listed(talk: Conversation) -> None:
    answer = talk.ask("who is in engineering?")
    assert "4 of 14" in answer
    assert "Tom Berg" not in answer


def test_an_unknown_department_is_answered_with_those_that_exist(talk: Conversation) -> None:
    assert "Design, Engineering, Finance, Management, People, Sales" in talk.ask("who is in Legal?")


def test_a_failing_read_is_told_in_the_words_of_the_result(talk: Conversation) -> None:
    talk.messages.append({"role": "user", "content": "list employees"})
    first = talk.complete()
    talk.messages += [first, {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": ""}]
    for content, words in [
        ('{"error": "The API did not answer within 30 s."}', "did not answer within 30 s"),
        ('{"status": 503, "data": {"error": "down for repair"}}', "answered 503. down for repair"),
        ('{"result": {"status": 500, "data": "oops"}}', "answered 500. oops"),
        ('{"status": 200, "data": "<html>"}', "could not read the employees"),
        ("no JSON at all", "no JSON at all"),
    ]:
        talk.messages[-1]["content"] = content
        assert words in talk.complete()["content"]


def test_an_answer_with_all_pages_merged_needs_no_second_call(talk: Conversation) -> None:
    people = [{"id": n, "first_name": "P", "last_name": str(n)} for n in range(9)]
    talk.messages.append({"role": "user", "content": "list employees"})
    first = talk.complete()
    data = {"page": 1, "total_pages": 3, "total": 9, "data": people}
    content = json.dumps({"status": 200, "data": data, "note": "All 3 pages."})
    talk.messages += [first, {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": content}]
    answer = talk.complete()["content"]
    assert "9 employees" in answer
    assert "Note: All 3 pages." in answer


# --- writing ----------------------------------------------------------------------------------------------------------


def test_hiring_posts_the_name_and_the_job(talk: Conversation) -> None:
    answer = talk.ask("hire Zoe Park as designer")
    assert "Done: hired Zoe Park" in answer
    assert "#15" in answer
    assert talk.employee(15)["job"] == "designer"
    assert talk.writes() == [("POST", "/api/users")]


def test_hiring_into_a_department(talk: Conversation) -> None:
    talk.ask("please hire Ana de Souza as a recruiter in People")
    found = talk.employee(15)
    assert (found["last_name"], found["job"], found["department"]) == ("de Souza", "recruiter", "People")


def test_hiring_someone_without_a_last_name_asks_for_it(talk: Conversation) -> None:
    assert "first and a last name" in talk.ask("hire Zoe")
    assert talk.writes() == []


@pytest.mark.parametrize(
    "question",
    ["rename Marta Silva to Marta Costa", "change Marta\u2019s last name to Costa", "set the surname of #2 to Costa"],
)
def test_renaming_puts_the_whole_employee(talk: Conversation, api: HrApi, question: str) -> None:
    before = talk.employee(2)
    answer = talk.ask(question)
    assert "Done: changed **Marta Silva** (#2)" in answer
    assert talk.employee(2) == before | {"last_name": "Costa"}
    assert "id" not in json.loads(api.requests[-2].body)
    assert talk.writes() == [("PUT", "/api/users/2")]


def test_removing_deletes_by_id(talk: Conversation) -> None:
    assert "Done: removed **Tom Berg** (#7)" in talk.ask("remove Tom Berg")
    assert talk.writes() == [("DELETE", "/api/users/7")]


def test_two_people_are_removed_in_one_reply(talk: Conversation) -> None:
    answer = talk.ask("fire Tom Berg and Ann Lee!")
    assert [len(reply.get("tool_calls", [])) for reply in talk.replies] == [1, 2, 2, 0]
    assert talk.writes() == [("DELETE", "/api/users/7"), ("DELETE", "/api/users/3")]
    assert "**Tom Berg**" in answer
    assert "**Ann Lee**" in answer


def test_an_ambiguous_name_asks_and_the_next_message_answers(talk: Conversation) -> None:
    question = talk.ask("remove Daniel")
    assert "Which one" in question
    assert "Daniel Kim" in question
    assert talk.writes() == []
    assert "removed **Daniel Novak** (#8)" in talk.ask("Daniel Novak")
    assert talk.writes() == [("DELETE", "/api/users/8")]


def test_an_id_answers_which_one_too(talk: Conversation) -> None:
    talk.ask("change Daniel's job to Chef")
    talk.ask("#5")
    assert talk.employee(5)["job"] == "Chef"


def test_nothing_is_removed_while_one_of_the_names_is_unclear(talk: Conversation) -> None:
    assert "Which one" in talk.ask("remove Tom Berg and Daniel")
    assert talk.writes() == []
    talk.ask("Daniel Kim")
    assert talk.writes() == [("DELETE", "/api/users/7"), ("DELETE", "/api/users/5")]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"outcome": "denied", "note": "Grace said no: not this week."}, "denied. Grace said no: not this week."),
        ({"outcome": "expired", "note": "Nobody decided within 30 minutes."}, "Nobody decided within 30 minutes."),
        ({"error": "This endpoint is not in the catalog."}, "Not done: **Tom Berg** (#7)"),
        ({"status": 404, "data": {"error": "There is no employee with id 7."}}, "There is no employee with id 7."),
        ({"outcome": "unknown", "note": "The connection broke."}, "It is not known whether this was done"),
        ("Denied by Grace.", "Denied by Grace."),
    ],
)
def test_a_decision_is_told_in_its_own_words(talk: Conversation, result: object, words: str) -> None:
    answer = talk.ask("remove Tom Berg", write=lambda _: result)
    assert words in answer
    assert "Done:" not in answer
    assert talk.writes() == []


def test_one_yes_and_one_no_are_told_apart(talk: Conversation) -> None:
    def decide(call: Message) -> object:
        return {"outcome": "done", "status": 204} if call["url"].endswith("/7") else {"outcome": "denied"}

    answer = talk.ask("remove Tom Berg and Ann Lee", write=decide)
    assert "Done: removed **Tom Berg**" in answer
    assert "Not done: **Ann Lee**" in answer


def test_the_body_is_an_object_where_the_tool_wants_one(talk: Conversation) -> None:
    tool = json.loads(json.dumps(CALL_REST_API))
    tool["function"]["parameters"]["properties"]["body"] = {"anyOf": [{"type": "object"}, {"type": "null"}]}
    talk.messages.append({"role": "user", "content": "hire Zoe Park"})
    call = talk.complete(tools=[tool])["tool_calls"][0]["function"]
    assert json.loads(call["arguments"])["body"] == {"first_name": "Zoe", "last_name": "Park"}


# --- everything else --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["help", "hi", "sing a song", "don't remove Tom Berg", "what if I fire Tom Berg?"])
def test_what_it_cannot_do_is_answered_with_what_it_can(talk: Conversation, question: str) -> None:
    assert "remove Tom Berg" in talk.ask(question)
    assert talk.api.requests == []


def test_a_request_without_tools_is_summed_up(talk: Conversation) -> None:
    talk.ask("remove Tom Berg", write=lambda _: {"outcome": "denied", "note": "No."})
    talk.messages.append({"role": "user", "content": "Sum this up."})
    for options in ({"tools": None}, {"tool_choice": "none"}):
        summary = talk.complete(**options)["content"]
        assert summary.startswith(CONFESSION)
        assert "14 employees were read" in summary
        assert "DELETE /api/users/7: denied. No" in summary


def test_the_official_client_reads_a_streamed_answer(model: ScriptedModel) -> None:
    client = OpenAI(base_url=model.base_url, api_key="any")
    pieces = list(
        client.chat.completions.create(
            model="scripted",
            messages=[{"role": "user", "content": "help"}],
            tools=[CALL_REST_API],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text.startswith(CONFESSION)
    assert text.endswith('("remove Tom Berg")')
    assert len(pieces) > 20
    assert pieces[-2].choices[0].finish_reason == "stop"
    assert pieces[-1].usage is not None
    assert [model.id for model in client.models.list()] == ["scripted"]


def test_the_official_client_reads_streamed_tool_calls(model: ScriptedModel) -> None:
    client = OpenAI(base_url=model.base_url, api_key="any")
    with client.chat.completions.stream(
        model="scripted",
        messages=[{"role": "user", "content": "hire Zoe Park as designer"}],
        tools=[CALL_REST_API],
    ) as stream:
        message = stream.get_final_completion().choices[0]
    assert message.finish_reason == "tool_calls"
    assert message.message.tool_calls is not None
    assert json.loads(message.message.tool_calls[0].function.arguments)["url"] == "/api/users"


def post(http: httpx2.Client, model: ScriptedModel, body: object) -> httpx2.Response:
    return http.post(f"{model.base_url}/chat/completions", json=body)


USER = {"role": "user", "content": "help"}


def calling(*ids: str) -> Message:
    function = {"name": "call_rest_api", "arguments": "{}"}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": key, "type": "function", "function": function} for key in ids],
    }


def result(key: str) -> Message:
    return {"role": "tool", "tool_call_id": key, "content": "{}"}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "non-empty array"),
        ([USER, calling("a")], "did not have response messages: a"),
        ([USER, calling("a", "b"), result("a")], "did not have response messages: b"),
        ([USER, calling("a", "b"), result("a"), USER], "did not have response messages: b"),
        ([USER, calling("a", "b"), result("b"), result("a")], "is not the next one"),
        ([USER, calling("a"), result("x")], "'tool_call_id' of 'x'"),
        ([USER, calling("a"), result("a"), result("a")], "must be a response to a preceeding message"),
        ([USER, result("a")], "must be a response to a preceeding message"),
        ([USER, calling("a", "a"), result("a"), result("a")], "Duplicate id"),
        ([USER, calling()], "got null"),
        ([USER, calling("a"), result("a") | {"content": None}], "got null"),
        ([USER | {"content": "  "}], "last message is empty"),
        ([USER | {"content": None}], "got null"),
        ([USER | {"content": 7}], "expected a string"),
        ([USER | {"role": "robot"}], "Invalid value: 'robot'"),
        (["help"], "expected an object"),
    ],
)
def test_messages_that_openai_would_refuse_are_refused(
    http: httpx2.Client, model: ScriptedModel, messages: list[Message], words: str
) -> None:
    refused = post(http, model, {"model": "scripted", "messages": messages})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith("messages")


@pytest.mark.parametrize(
    "options",
    [
        {"model": None},
        {"tools": []},
        {"tools": [{"type": "function"}]},
        {"tools": [{"type": "function", "function": {"name": "no spaces"}}]},
        {"tool_choice": "auto"},
        {"stream_options": {"include_usage": True}},
        {"stream": "yes"},
        {"max_tools": 3},
    ],
)
def test_options_that_openai_would_refuse_are_refused(
    http: httpx2.Client, model: ScriptedModel, options: Message
) -> None:
    refused = post(http, model, {"model": "scripted", "messages": [USER]} | options)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"]


def test_a_body_that_is_no_object_is_refused(http: httpx2.Client, model: ScriptedModel) -> None:
    assert post(http, model, [USER]).status_code == 400


def test_a_request_without_a_key_is_refused(model: ScriptedModel) -> None:
    refused = httpx2.get(f"{model.base_url}/models")
    assert refused.status_code == 401
    assert "API key" in refused.json()["error"]["message"]


def test_an_unknown_route_is_told_in_json(http: httpx2.Client, model: ScriptedModel) -> None:
    refused = http.get(f"{model.base_url}/engines")
    assert refused.status_code == 404
    assert refused.json()["error"]["message"]


# --- time, and other APIs ---------------------------------------------------------------------------------------------


def test_a_long_answer_is_streamed_within_two_seconds_and_a_call_at_once(http: httpx2.Client, api: HrApi) -> None:
    """The demo's pause between two words is for the eye; fourteen employees are four hundred words."""
    model = ScriptedModel(pause=0.08)
    model.start()
    talk = Conversation(http, model, api)
    begun = time.monotonic()
    answer = talk.ask("who works here?")
    body = {"model": "scripted", "messages": talk.messages[:-1], "tools": [CALL_REST_API], "stream": True}
    pieces, calls = (
        [line for line in http.post(f"{model.base_url}/chat/completions", json=asked).text.splitlines() if line]
        for asked in (body, body | {"messages": talk.messages[:2]})
    )
    seconds = time.monotonic() - begun
    model.stop()
    assert len(pieces) > 150
    assert "14 employees" in answer
    assert len(calls) > 4
    assert len(pieces) * 0.08 > 10  # what it took when each word had its pause
    assert seconds < len(pieces) * 0.08


SPELLED = {
    "GET /api/users/7": ("GET", "/api/users/7", None),
    "get /api/users?page=2": ("GET", "/api/users?page=2", None),
    "<@U0BOT> `DELETE /api/users/7`": ("DELETE", "/api/users/7", None),
    '@hr-bot POST /api/users {"first_name": "A", "last_name": "B"}': ("POST", "/api/users", {"first_name": "A", "last_name": "B"}),
    "PUT <http://127.0.0.1:1/x> [1, 2]": ("PUT", "http://127.0.0.1:1/x", [1, 2]),
    "PATCH /a {&quot;b&quot;: 1}": ("PATCH", "/a", {"b": 1}),
}  # fmt: skip


@pytest.mark.parametrize("question", SPELLED)
@pytest.mark.parametrize("knows_hr", [True, False])
def test_a_call_that_is_spelled_out_is_made(question: str, knows_hr: bool) -> None:
    messages = [{"role": "user", "content": question}]
    made = completed({"messages": messages, "tools": [CALL_REST_API]}, knows_hr=knows_hr)
    (call,) = made["tool_calls"]
    found = json.loads(call["function"]["arguments"])
    body = json.loads(found["body"]) if "body" in found else None
    assert (found["method"], found["url"], body) == SPELLED[question]


def test_what_a_spelled_call_brought_is_shown_as_it_is(talk: Conversation) -> None:
    answer = talk.ask("GET /api/users/7")
    assert "`GET /api/users/7` brought:" in answer
    assert '"first_name": "Tom"' in answer
    assert "did not work: " in talk.ask("GET /api/users/700")


def test_a_spelled_call_that_is_answered_with_nothing_is_done(talk: Conversation) -> None:
    answer = talk.ask("DELETE /api/users/7", write=lambda _: {"status": 204, "outcome": "done"})
    assert answer.endswith("`DELETE /api/users/7` is done (204).")


@pytest.mark.parametrize(
    "question", ["who joined in March?", "remove Tom Berg", "help", "which devices are old?", "POST /x {"]
)
def test_of_another_api_it_says_what_it_cannot_do_without_a_key(question: str) -> None:
    made = completed({"messages": [{"role": "user", "content": question}], "tools": [CALL_REST_API]}, knows_hr=False)
    assert "tool_calls" not in made
    assert "set `OPENAI_API_KEY`" in made["content"]
    assert "Write a call, and I make it: `GET /things`" in made["content"]
