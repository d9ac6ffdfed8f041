"""`check --model` against small servers of different kinds, over real HTTP: what it finds, what it says to set, and what it never does."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.advice import advice, fitting_history, is_ollama, window
from model.refusals import Failure, refusal_of
from tests.harness.cases import each_row
from tests.harness.forked_bot import command
from tests.harness.loopback import Loopback, Reply, Request, as_json

Json = dict[str, Any]
Answer = Callable[[Json], Reply]
BOT = Path(__file__).parents[2]
VLLM = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


def whole(message: Json, ending: str = "stop", usage: Json | None = None) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": ending}
    return as_json({"choices": [choice]} | ({"usage": usage} if usage else {}))


def streamed(message: Json, ending: str = "stop", usage: Json | None = None) -> Reply:
    chunk = {"choices": [{"index": 0, "delta": message, "finish_reason": ending}]} | ({"usage": usage} if usage else {})
    body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    return Reply(200, body, {"Content-Type": "text/event-stream"})


def refused(message: str, status: int = 400, **more: object) -> Reply:
    return as_json({"error": {"message": message, **more}}, status)


def call(number: int, url: str = "/api/users/1") -> Json:
    arguments = json.dumps({"method": "GET", "url": url})
    return {
        "index": number,
        "id": f"c{number}",
        "type": "function",
        "function": {"name": "call_rest_api", "arguments": arguments},
    }


def polite(request: Json, say: Callable[..., Reply], usage: Json | None, at_once: int = 2) -> Reply:
    """What a good model does: makes the calls that it is asked for, then tells the word of their results."""
    messages = request["messages"]
    if messages[-1]["role"] == "tool":
        word = json.loads(messages[-1]["content"])["data"]["word"]
        return say({"content": f"It says {word}."}, "stop", usage)
    if any(message["role"] == "tool" for message in messages):
        return say({"content": "I made a call."}, "stop", usage)
    return say({"content": None, "tool_calls": [call(i) for i in range(at_once)]}, "tool_calls", usage)


COUNTED = {"prompt_tokens": 3_000, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 2_048}}


def good(request: Json) -> Reply:
    return polite(request, streamed if request.get("stream") else whole, COUNTED)


def without_streams(request: Json) -> Reply:
    return (
        refused("stream is not supported", 422) if request.get("stream") else polite(request, whole, COUNTED, at_once=1)
    )


def vllm_without_switches(request: Json) -> Reply:
    error = {"object": "error", "message": VLLM, "type": "BadRequestError", "code": 400}
    return as_json(error, 400) if request.get("tools") else good(request)


def in_a_small_window(request: Json) -> Reply:
    return polite(request, streamed, {"prompt_tokens": 200, "completion_tokens": 5})


def talkative(request: Json) -> Reply:
    return streamed({"content": 'I would call {"method": "GET"} now.'})


def restless(request: Json) -> Reply:
    return streamed({"tool_calls": [call(0, f"/api/users/{len(request['messages'])}")]}, "tool_calls")


class ModelServer(Loopback):
    """A model server that has one model, `m`."""

    def __init__(self, answer: Answer, **model: object) -> None:
        super().__init__(self._serve)
        self._chat = answer
        self._model = model

    def _serve(self, request: Request) -> Reply:
        if request.path.endswith("/models"):
            return as_json({"data": [{"id": "m", **self._model}]}) if self._model else Reply(404, b"no")
        return self._chat(request.json())


def checked(server: Loopback, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """`python bot.py check --model` as an operator runs it. The catalog's API is at a port where nobody listens."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    given = {
        "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "0123456789abcdef0123456789abcdef", "SLACK_CHANNEL": "C0HR",
        "OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "sk-of-the-check", "OPENAI_MODEL": "m",
        "APIS_FILE": str(BOT / "apis.yaml"), "HR_API_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    return command(kept | given | more, folder, "check", "--model")


KINDS: dict[str, tuple[Answer, Json, int, list[str]]] = {
    "a good one": (
        good,
        {"max_model_len": 131_072},
        0,
        [
            "- Tools: work.",
            "- Streams: work.",
            "- Parallel calls: work.",
            "- Usage: reported (3,000 prompt tokens, 2,048 of them from the cache; 20 completion tokens).",
            "- Results of calls: work.",
            "- Summing up at MAX_MODEL_CALLS: works.",
            "- Context: 131,072 tokens.",
            "Model: turns can be finished.",
        ],
    ),
    "one that refuses streams and calls one at a time, with a small context": (
        without_streams,
        {"context_length": 16_384},
        0,
        [
            "- Streams: none; each answer appears when it is complete, which is fine.",
            "- Parallel calls: none; the model made one call at a time, which is fine.",
            "- Context: 16,384 tokens.",
            "To do: HISTORY_TOKENS=13000: with 60000, long threads do not fit.",
            "Model: turns can be finished.",
        ],
    ),
    "vLLM without its two switches": (
        vllm_without_switches,
        {"max_model_len": 131_072},
        1,
        [
            f'- Tools: HTTP 400, code 400, type BadRequestError, it says: "{VLLM}".',
            "To do: start vLLM with --enable-auto-tool-choice and the --tool-call-parser of this model (docs/models.md).",
            "Model: no turn can be finished, see above.",
        ],
    ),
    "one that silently truncates requests, like Ollama": (
        in_a_small_window,
        {"owned_by": "library"},
        0,
        [
            "- Context: not reported.",
            "it silently truncates requests.",
            "To do: this looks like Ollama, which silently truncates requests to its context window",
            "OLLAMA_CONTEXT_LENGTH=32768",
        ],
    ),
    "one that talks of calls": (
        talkative,
        {},
        1,
        ["- Tools: the model made no call.", "--enable-auto-tool-choice", "Model: no turn"],
    ),
    "one that never ends": (restless, {}, 1, ["- Answer: still none after 4 rounds of calls.", "Model: no turn"]),
    "one that refuses the key": (
        lambda _: refused("Incorrect API key provided: sk-of-the-check", 401, code="invalid_api_key"),
        {},
        1,
        [
            '- Tools: HTTP 401, code invalid_api_key, it says: "Incorrect API key provided: [hidden]".',
            "To do: the server refuses the key: correct OPENAI_API_KEY, or the file that OPENAI_API_KEY_FILE names.",
        ],
    ),
    "one that has another model": (
        lambda _: refused("The model `m` does not exist", 404, code="model_not_found"),
        {},
        1,
        ["To do: the server does not know 'm': correct OPENAI_MODEL."],
    ),
    "a page": (
        lambda _: Reply(200, b"<html>Welcome</html>", {"Content-Type": "text/html"}),
        {},
        1,
        ["To do: OPENAI_BASE_URL points to something other than a model server; it usually ends in /v1."],
    ),
    "a busy one": (
        lambda _: refused("slow down", 429),
        {},
        1,
        ["To do: the server is busy: try again later; turns wait for up to MODEL_PATIENCE."],
    ),
}


@each_row("kind", KINDS)
def test_what_works_and_what_to_set_is_told(kind: str, tmp_path: Path) -> None:
    answer, model, code, told = KINDS[kind]
    with ModelServer(answer, **model) as server:
        ran = checked(server, tmp_path)
    for one in told:
        assert one in ran.stdout
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert "sk-of-the-check" not in ran.stdout


def test_the_turns_own_tools_are_offered_and_the_call_that_comes_is_answered_with_a_made_up_result(
    tmp_path: Path,
) -> None:
    with Loopback(lambda _: as_json({})) as api, ModelServer(good) as server:
        assert checked(server, tmp_path, HR_API_URL=api.url).returncode == 0
        asked = [request.json() for request in server.requests if request.path.endswith("/chat/completions")]
        assert api.requests == []
    assert [tool["function"]["name"] for tool in asked[0]["tools"]] == ["call_rest_api", "read_result"]
    results = [message for message in asked[1]["messages"] if message["role"] == "tool"]
    assert len(results) == 2
    assert "nothing was called" in results[0]["content"]


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with ModelServer(good) as server:
        ran = checked(server, tmp_path, OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert ran.returncode == 1
    assert "- Tools: connection failed." in ran.stdout
    assert "To do: check that the server is up, and OPENAI_BASE_URL;" in ran.stdout


def test_it_needs_the_environment() -> None:
    ran = command({}, BOT, "check", "--model", "--no-env")
    assert ran.returncode == 2
    assert "--model needs the environment; leave --no-env out." in ran.stderr


@each_row(
    "status, error, told",
    [
        (
            400,
            {"message": "tools are not supported with it, use /v1/responses", "param": "reasoning_effort"},
            "MODEL_API=responses",
        ),
        (400, {"message": "registry.ollama.ai/library/x does not support tools"}, "this model does not support tools"),
        (400, {"message": "tools param requires --jinja flag"}, "start llama.cpp with --jinja"),
        (404, {"message": "Not Found"}, "OPENAI_BASE_URL is what precedes /chat/completions"),
        (405, {}, "OPENAI_BASE_URL is what precedes /chat/completions"),
        (429, {"code": "insufficient_quota"}, "the account's credit or limit is used up"),
        (400, {"code": "context_length_exceeded"}, "lower PROMPT_BUDGET and HISTORY_TOKENS"),
        (500, {}, "the server has a fault of its own"),
        (400, {"message": "odd"}, "docs/models.md"),
    ],
)
def test_what_to_do_about_a_refusal(status: int, error: Json, told: str) -> None:
    assert told in advice(Failure.REFUSED, refusal_of(status, json.dumps({"error": error})), "m")


@each_row(
    "about, size",
    [
        ({"data": [{"id": "x", "max_model_len": 5}, {"id": "m", "max_model_len": 8_192}]}, 8_192),
        ({"data": [{"id": "m", "context_window": 131_072}]}, 131_072),
        ({"data": [{"id": "another", "meta": {"n_ctx": 4_096, "n_ctx_train": 131_072}}]}, 4_096),
        ({"data": [{"id": "m"}]}, None),
        ({"data": [{"id": "m", "max_model_len": "8192"}]}, None),
        ({"data": None}, None),
        (None, None),
        ([], None),
    ],
)
def test_the_context_is_read_from_the_list_of_models(about: object, size: int | None) -> None:
    assert window(about, "m") == size


def test_ollama_is_known_by_its_list() -> None:
    assert is_ollama({"data": [{"id": "m:latest", "owned_by": "library"}, {"id": "x"}]}, "m")
    assert not is_ollama({"data": [{"id": "m", "owned_by": "vllm"}]}, "m")


@pytest.mark.parametrize(("context", "history"), [(4_096, 2_000), (8_192, 6_000), (131_072, 104_000), (1_000, 1_000)])
def test_a_history_leaves_room_for_tools_and_answer(context: int, history: int) -> None:
    assert fitting_history(context) == history
