"""Why a model server gave no answer: read from whatever it sends, for the log, without secrets and without what people wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.refusals import refusal_of
from tests.harness.cases import each_row
from tests.harness.logs import logged
from tests.harness.rest_server import RestServer, reply
from tests.harness.whole_bot import Person, StartBot

VLLM = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


@each_row(
    "status, body, kind",
    [
        (429, {"error": {"code": "rate_limit_exceeded"}}, "busy"),
        (503, "<html>Service Unavailable</html>", "busy"),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "busy"),
        (429, {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}, "quota"),
        (402, {"error": {"message": "Insufficient Balance"}}, "quota"),
        (400, {"error": {"message": "Your credit balance is too low to access the API"}}, "quota"),
        (
            400,
            {"error": {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            "filtered",
        ),
        (400, {"error": {"code": "context_length_exceeded"}}, "too long"),
        (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens."}, "too long"),
        (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}}, "too long"),
        (413, "", "too long"),
        (400, {"error": {"message": VLLM}}, "refused"),
        (401, {"error": {"message": "Incorrect API key provided"}}, "refused"),
        (404, {"error": {"message": "The model `x` does not exist"}}, "refused"),
        (422, {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, "refused"),
        (500, {"error": {"message": "boom"}}, "down"),
        (502, "<html>", "down"),
        (408, "", "down"),
        (200, {"error": {"code": 429, "message": "x"}}, "busy"),
        (200, {"error": {"type": "overloaded_error"}}, "busy"),
        (200, {"error": {"message": "x"}}, "down"),
        (200, {"error": {"code": 400, "message": "x"}}, "refused"),
    ],
)
def test_what_a_refusal_means(status: int, body: Any, kind: str) -> None:
    assert refusal_of(status, body if isinstance(body, str) else json.dumps(body)).kind == kind


@each_row(
    "body, told",
    [
        (
            {
                "error": {
                    "message": "Bad.",
                    "type": "invalid_request_error",
                    "param": "reasoning_effort",
                    "code": "unsupported_value",
                }
            },
            {"code": "unsupported_value", "param": "reasoning_effort", "type": "invalid_request_error", "said": "Bad."},
        ),
        (
            {"object": "error", "message": VLLM, "type": "BadRequestError", "param": None, "code": 400},
            {"code": "400", "type": "BadRequestError", "said": VLLM},
        ),
        (
            [{"error": {"code": 400, "message": "Missing a thought_signature", "status": "INVALID_ARGUMENT"}}],
            {"code": "400", "said": "Missing a thought_signature"},
        ),
        ({"error": "model not found"}, {"said": "model not found"}),
        ({"detail": "Not Found"}, {"said": "Not Found"}),
        (
            {"error": {"message": "Provider error", "code": 400, "metadata": {"raw": "roles must alternate"}}},
            {"code": "400", "said": "Provider error roles must alternate"},
        ),
        ("<html><h1>Bad\n Gateway</h1></html>", {"said": "Bad Gateway"}),
        ({"error": {"message": ["a"], "code": {"x": 1}, "type": 5.5}}, {"said": '["a"]'}),
        ([], {}),
        (None, {}),
        (5, {}),
    ],
)
def test_what_the_log_has_of_it(body: Any, told: dict[str, object]) -> None:
    sent = body if isinstance(body, str) else json.dumps(body)
    assert refusal_of(400, sent.encode()).for_log == {"status": 400, **told}


@each_row(
    "headers, body, after",
    [
        ({"retry-after": "8"}, {}, 8.0),
        ({"retry-after": "1.5"}, {}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, {}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:10 GMT"}, {}, 10.0),
        ({"retry-after": "soon"}, {}, None),
        ({}, {}, None),
        ({}, {"error": {"details": [{"@type": "x"}, {"retryDelay": "17s"}]}}, 17.0),
        ({"retry-after": "-5"}, {}, None),
    ],
)
def test_how_long_it_asks_to_wait(headers: dict[str, str], body: object, after: float | None) -> None:
    assert refusal_of(429, json.dumps(body), headers=headers, now=60.0).after == after


WRITTEN = [
    {"role": "system", "content": "Operations: call_rest_api"},
    {"role": "user", "content": "Fire Tom Berg (personal no. 4711), Müller says so.\nHis salary: 98,000. 王小明也是"},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": '{"url":"/users/zaphod"}'}}]},
    {"role": "tool", "content": '{"data": {"name": "Ford Prefect"}}'},
]
SHOWN_BY_NONE = ["Fire", "Tom", "Berg", "4711", "Müller", "salary", "98", "zaphod", "Ford", "Prefect", "王", "明"]


@each_row(
    "repeated",
    [
        "Invalid 'messages[1].content': 'Fire Tom Berg (personal no. 4711), Müller says so.'",
        json.dumps({"input": WRITTEN}),
        json.dumps(json.dumps({"input": WRITTEN}, ensure_ascii=False)),
        repr(WRITTEN).encode("unicode_escape").decode(),
        "1 validation error: input_value='Fire Tom Be...', input_type=str",
        "refused: TOM BERG and tom berg, 王小明",
        "...Prefect is no JSON; zaph...",
        "x" * 20 + " Tom " * 4_000,
    ],
)
def test_nothing_that_people_wrote_is_repeated(repeated: str) -> None:
    said = refusal_of(400, json.dumps({"error": {"message": repeated, "param": "Tom"}}), written=WRITTEN).for_log
    for word in SHOWN_BY_NONE:
        assert word.lower() not in json.dumps(said, ensure_ascii=False).lower()
    assert len(said["said"]) <= 500


def test_the_servers_own_words_stay() -> None:
    told = refusal_of(400, json.dumps({"error": {"message": f"{VLLM}, not 'Tom Berg'"}}), written=WRITTEN).message
    assert told == f"{VLLM}, not '…'"


def test_a_secret_is_masked_before_anything_is_cut() -> None:
    secret = "s3cret-" + "k" * 40
    for place in range(440, 520):
        body = json.dumps({"error": {"message": "e" * place + " " + secret + " and more" * 20}})
        assert "s3cret" not in refusal_of(401, body, secrets=[secret]).message


@pytest.mark.parametrize("key", ["sk-proj-abcdefghijk", "Bearer abc.def.ghi", "xoxb-123-456-abcdef", "AIzaSyA1234567"])
def test_what_looks_like_a_key_is_masked_although_it_is_not_ours(key: str) -> None:
    told = refusal_of(401, json.dumps({"error": {"message": f"Wrong key: {key} given"}})).message
    assert key.split()[-1] not in told
    assert told.startswith("Wrong key: ")


@given(
    st.binary(max_size=200) | st.text(max_size=50).map(lambda text: json.dumps({"error": {"message": text}}).encode())
)
def test_no_body_makes_it_fail(body: bytes) -> None:
    assert len(refusal_of(400, body, written=WRITTEN).message) <= 500


# --- through the front door -------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


REFUSALS: list[tuple[int, dict[str, Any], str, dict[str, Any]]] = [
    (
        400,
        {"message": VLLM, "code": 400, "type": "BadRequestError", "param": None},
        "refused this (HTTP 400)",
        {"status": 400, "code": "400", "type": "BadRequestError", "said": VLLM},
    ),
    (
        401,
        {"message": "Incorrect API key provided: sk-of-the-tests", "code": "invalid_api_key"},
        "my operators have to look into it",
        {"status": 401, "code": "invalid_api_key", "said": "Incorrect API key provided: [hidden]"},
    ),
    (
        404,
        {"message": "The model `m` does not exist", "code": "model_not_found"},
        "refused this (HTTP 404)",
        {"status": 404, "code": "model_not_found"},
    ),
    (
        400,
        {"message": "filtered", "code": "content_filter"},
        "provider filtered this request",
        {"status": 400, "code": "content_filter"},
    ),
    (
        400,
        {"message": "unknown field Zarniwoop", "param": "messages[1]"},
        "refused this (HTTP 400)",
        {"param": "messages[1]", "said": "unknown field …"},
    ),
]


@pytest.mark.parametrize(("status", "error", "told", "in_log"), REFUSALS, ids=range(len(REFUSALS)))
def test_a_refusal_has_its_reason_in_the_log_and_fitting_words_in_the_thread(
    start_bot: StartBot,
    server: RestServer,
    ann: Person,
    caplog: pytest.LogCaptureFixture,
    status: int,
    error: dict[str, Any],
    told: str,
    in_log: dict[str, Any],
) -> None:
    start_bot(with_model=None, openai_base_url=f"{server.url}/v1")
    server.always(reply(json.dumps({"error": error}), status))
    shown = ann.asks("Who is Zarniwoop?").answer()
    assert told in shown
    reference = shown.split("reference ")[1][:8]
    (entry,) = logged(caplog, event="turn failed")
    assert entry["reference"] == reference
    assert in_log.items() <= entry.items()
    assert "check --model" in entry["hint"]
    assert "Zarniwoop" not in json.dumps(entry, default=str)
