"""Small strict model servers over real HTTP, one for each rule that a family of real ones has; who breaks it is answered HTTP 400.

Each plays the same part: in a turn it makes the calls of its list, one reply for each, and then says "Removed.". What a reply has
besides (thoughts, signatures, odd forms) and what a request must have is the rule's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.harness.loopback import Loopback, Reply, Request, as_json

Json = dict[str, Any]
REMOVE = {"method": "DELETE", "url": "/api/users/7"}
SHOW = {"method": "GET", "url": "/api/users/3"}
ANSWER = "Removed."


def event_stream(events: Sequence[object], *, done: bool = True) -> Reply:
    """An answer as server-sent events."""
    lines = [f"data: {json.dumps(one)}\n\n" for one in events] + ["data: [DONE]\n\n"] * done
    return Reply(200, "".join(lines).encode(), {"Content-Type": "text/event-stream"})


def refusal(message: str, status: int = 400, **more: object) -> Reply:
    return as_json({"error": {"message": message, "type": "invalid_request_error", **more}}, status)


def call(arguments: object, number: int, name: str = "call_rest_api", **more: object) -> Json:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": text}, **more}


def of_turn(messages: Sequence[Json]) -> list[Json]:
    """The replies that call something since the last question."""
    last = max(i for i, one in enumerate(messages) if one["role"] == "user")
    return [one for one in messages[last:] if one.get("tool_calls")]


def earlier(messages: Sequence[Json]) -> list[Json]:
    """The replies of the turns before."""
    last = max(i for i, one in enumerate(messages) if one["role"] == "user")
    return [one for one in messages[:last] if one["role"] == "assistant"]


@dataclass
class Rule:
    """A server's rule. `says` gives the message that makes a call, or the last one; `wants` gives what is wrong about a request, or
    nothing; `streams` gives a message's deltas, where the server streams."""

    says: Callable[[Any, int], Json]
    wants: Callable[[Json], str] = lambda _body: ""
    streams: Callable[[Json], list[Json]] | None = None
    plan: Sequence[object] = (SHOW, REMOVE)
    refuses: Callable[[str, Json], Reply | None] = lambda _path, _body: None


class StrictServer(Loopback):
    """Answers by a rule. `refused` has what was wrong about requests, in order; `bodies` all requests that were taken."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.refused: list[str] = []
        self.bodies: list[Json] = []
        super().__init__(self._by_rule)

    def __enter__(self) -> StrictServer:
        super().__enter__()
        return self

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def _by_rule(self, request: Request) -> Reply:
        body = request.json()
        if (other := self._rule.refuses(request.path, body)) is not None:
            self.refused.append(f"{request.path} {other.status}")
            return other
        if request.path != "/v1/chat/completions":
            return refusal("no such route", 404)
        if wrong := self._rule.wants(body):
            self.refused.append(wrong)
            return refusal(wrong)
        self.bodies.append(body)
        return self._play(body)

    def _play(self, body: Json) -> Reply:
        made = len(of_turn(body["messages"]))
        is_last = made >= len(self._rule.plan) or body.get("tool_choice") == "none"
        message = {"role": "assistant", "content": ANSWER} if is_last else self._rule.says(self._rule.plan[made], made)
        ending = "tool_calls" if message.get("tool_calls") else "stop"
        if self._rule.streams is None or not body.get("stream"):
            return as_json({"choices": [{"index": 0, "message": message, "finish_reason": ending}]})
        deltas = [{"content": ANSWER}] if is_last else self._rule.streams(message)
        chunks = [{"choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in deltas]
        return event_stream([*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": ending}]}])


# --- members that have to come back -----------------------------------------------------------------------------------


def gemini() -> Rule:
    """Gemini 3: the first call of each step carries a signature, and has to carry it when it is sent back."""

    def signed(arguments: object, number: int) -> Json:
        extra = {"google": {"thought_signature": f"c2ln{number}=="}}
        return {"role": "assistant", "content": None, "tool_calls": [call(arguments, number, extra_content=extra)]}

    def wants(body: Json) -> str:
        for number, one in enumerate(of_turn(body["messages"])):
            extra = one["tool_calls"][0].get("extra_content")
            if extra != {"google": {"thought_signature": f"c2ln{number}=="}}:
                return "Function call is missing a thought_signature in functionCall parts."
        return ""

    return Rule(signed, wants, lambda message: [{"tool_calls": [{"index": 0, **message["tool_calls"][0]}]}])


def deepseek(*, streams: bool = True) -> Rule:
    """DeepSeek and Kimi thinking: a reply's thoughts go back with its calls, within the turn."""

    def thinks(arguments: object, number: int) -> Json:
        thoughts = f"Step {number}: I look at the person, and then ... \N{GRINNING FACE}"
        return {
            "role": "assistant",
            "content": "",
            "reasoning_content": thoughts,
            "tool_calls": [call(arguments, number)],
        }

    def wants(body: Json) -> str:
        for number, one in enumerate(of_turn(body["messages"])):
            if one.get("reasoning_content") != f"Step {number}: I look at the person, and then ... \N{GRINNING FACE}":
                return "The `reasoning_content` in the thinking mode must be passed back to the API."
        return (
            "no reasoning_content of older turns"
            if any("reasoning_content" in m for m in earlier(body["messages"]))
            else ""
        )

    def pieces(message: Json) -> list[Json]:
        text = message["reasoning_content"]
        return [
            {"role": "assistant", "content": None, "reasoning_content": ""},
            *({"content": None, "reasoning_content": text[i : i + 5]} for i in range(0, len(text), 5)),
            {"tool_calls": [{"index": 0, **message["tool_calls"][0]}]},
        ]

    return Rule(thinks, wants, pieces if streams else None)


def openrouter() -> Rule:
    """OpenRouter: a list of details, streamed in pieces with an index, goes back unchanged."""

    def details(number: int) -> list[Json]:
        return [
            {
                "type": "reasoning.text",
                "text": f"First I look {number}.",
                "signature": "sig==",
                "index": 0,
                "format": "f1",
            },
            {"type": "reasoning.encrypted", "data": "b64" * 20, "id": f"rs_{number}", "index": 1, "format": "f1"},
        ]

    def says(arguments: object, number: int) -> Json:
        made = [call(arguments, number)]
        return {"role": "assistant", "content": None, "reasoning_details": details(number), "tool_calls": made}

    def wants(body: Json) -> str:
        for number, one in enumerate(of_turn(body["messages"])):
            if one.get("reasoning_details") != details(number):
                return f"reasoning_details were changed: {one.get('reasoning_details')}"
        return ""

    def pieces(message: Json) -> list[Json]:
        text, secret = message["reasoning_details"]
        return [
            {"reasoning_details": [{**text, "text": text["text"][:6], "signature": None}]},
            {"reasoning_details": [{**text, "text": text["text"][6:], "signature": None}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "sig=="}]},
            {"reasoning_details": [{**secret, "data": secret["data"][:30]}]},
            {"reasoning_details": [{**secret, "data": secret["data"][30:]}]},
            {"tool_calls": [{"index": 0, **message["tool_calls"][0]}]},
        ]

    return Rule(says, wants, pieces)


def litellm() -> Rule:
    """Anthropic behind LiteLLM: thinking_blocks, whose pieces have no index, go back with their signature."""

    def says(arguments: object, number: int) -> Json:
        blocks = [{"type": "thinking", "thinking": "I look at Tom first.", "signature": "EqQB"}]
        return {
            "role": "assistant",
            "content": None,
            "thinking_blocks": blocks,
            "tool_calls": [call(arguments, number)],
        }

    def wants(body: Json) -> str:
        expected = [{"type": "thinking", "thinking": "I look at Tom first.", "signature": "EqQB"}]
        bad = [one for one in of_turn(body["messages"]) if one.get("thinking_blocks") != expected]
        return "Expected `thinking` or `redacted_thinking`, but found `tool_use`." if bad else ""

    def pieces(message: Json) -> list[Json]:
        return [
            {"thinking_blocks": [{"type": "thinking", "thinking": "I look at ", "signature": ""}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "Tom first.", "signature": ""}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "EqQB"}]},
            {"tool_calls": [{"index": 0, **message["tool_calls"][0]}]},
        ]

    return Rule(says, wants, pieces)


def magistral() -> Rule:
    """Mistral's thinking models: the content is a list of parts, thoughts among them, and goes back as that."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Tom it is."}]},
        {"type": "text", "text": "Let me see."},
    ]

    def wants(body: Json) -> str:
        return "the thinking chunk is gone" if [m for m in of_turn(body["messages"]) if m["content"] != parts] else ""

    def pieces(message: Json) -> list[Json]:
        return [
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Tom "}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "it is."}]}]},
            {"content": "Let me "},
            {"content": "see."},
            {"tool_calls": [{"index": 0, **message["tool_calls"][0]}]},
        ]

    return Rule(lambda a, n: {"role": "assistant", "content": parts, "tool_calls": [call(a, n)]}, wants, pieces)


def think_tags() -> Rule:
    """vLLM or llama.cpp without the parser for thoughts: they stand in the content, and go back there."""
    text = "<think>\nTom is id 7.\n</think>\n\nLet me see."

    def wants(body: Json) -> str:
        return "the thoughts are gone" if [m for m in of_turn(body["messages"]) if m["content"] != text] else ""

    return Rule(lambda a, n: {"role": "assistant", "content": text, "tool_calls": [call(a, n)]}, wants)


MEMBERS: dict[str, Callable[[], Rule]] = {
    "Gemini 3": gemini,
    "DeepSeek thinking": deepseek,
    "Kimi thinking, whole": lambda: deepseek(streams=False),
    "OpenRouter": openrouter,
    "LiteLLM": litellm,
    "Mistral thinking": magistral,
    "thoughts in the content": think_tags,
}


# --- requests that are taken ------------------------------------------------------------------------------------------


def plainly(arguments: object, number: int) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": [call(arguments, number)]}


def mistral_template() -> Rule:
    """Mistral's and Gemma's templates behind vLLM, llama.cpp, TGI: user and assistant alternate, the user begins."""

    def wants(body: Json) -> str:
        spoken = [m["role"] for m in body["messages"][1:] if m["role"] != "tool" and not m.get("tool_calls")]
        expected = [("user", "assistant")[i % 2] for i in range(len(spoken))]
        return "" if spoken == expected else "After the optional system message, conversation roles must alternate"

    return Rule(plainly, wants)


def bedrock() -> Rule:
    """Bedrock, also through LiteLLM: a conversation with calls needs the tools, also where nothing more may be called."""

    def wants(body: Json) -> str:
        has_calls = any(m.get("tool_calls") for m in body["messages"])
        return (
            "The toolConfig field must be defined when using toolUse blocks"
            if has_calls and not body.get("tools")
            else ""
        )

    return Rule(plainly, wants)


def no_tool_choice() -> Rule:
    """A server that does not know `tool_choice`."""
    return Rule(plainly, lambda body: "tool_choice: extra inputs are not permitted" if "tool_choice" in body else "")


def takes_no_additions() -> Rule:
    """Groq and Cerebras, with some models: what they add themselves is refused when it comes back."""

    def says(arguments: object, number: int) -> Json:
        return {**plainly(arguments, number), "reasoning": "Tom it is."}

    def wants(body: Json) -> str:
        return (
            "messages.2: property 'reasoning' is unsupported" if any("reasoning" in m for m in body["messages"]) else ""
        )

    return Rule(says, wants)


def text_beside_calls(wanted: object) -> Rule:
    """Some servers refuse null as a content, some refuse an empty text."""

    def wants(body: Json) -> str:
        wrong = [m for m in body["messages"] if m.get("tool_calls") and m["content"] != wanted]
        return "messages.2.content: Input should be a valid string" if wrong else ""

    return Rule(plainly, wants)


def window(tokens: int, words: str, plan: Sequence[object] = (SHOW, REMOVE)) -> Rule:
    """A server with a small window. `words` with {limit} and {size}."""

    def refuses(_path: str, body: Json) -> Reply | None:
        size = len(json.dumps(body["messages"])) // 4
        return refusal(words.format(limit=tokens, size=size)) if size > tokens else None

    return Rule(plainly, refuses=refuses, plan=plan)


REQUESTS: dict[str, Callable[[], Rule]] = {
    "Mistral's template": mistral_template,
    "Bedrock": bedrock,
    "no tool_choice": no_tool_choice,
    "nothing back": takes_no_additions,
    "no null beside calls": lambda: text_beside_calls(""),
    "null beside calls": lambda: text_beside_calls(None),
}


# --- answers that are none --------------------------------------------------------------------------------------------


def as_text(form: str) -> Rule:
    """The call stands in the text; `form` with {name} and {arguments}."""

    def says(arguments: object, _number: int) -> Json:
        wanted = json.dumps(arguments)
        return {"role": "assistant", "content": form.replace("{arguments}", wanted).replace("{name}", "call_rest_api")}

    return Rule(says, streams=lambda message: [{"content": message["content"][i : i + 9]} for i in range(0, 400, 9)])


def with_arguments(change: Callable[[str], object], name: str = "call_rest_api") -> Rule:
    def says(arguments: object, number: int) -> Json:
        made = call(change(json.dumps(arguments)), number, name)
        return {"role": "assistant", "content": None, "tool_calls": [made]}

    return Rule(says)


def legacy() -> Rule:
    """`function_call`, as it was before there could be several."""

    def says(arguments: object, _number: int) -> Json:
        function = {"name": "call_rest_api", "arguments": json.dumps(arguments)}
        return {"role": "assistant", "content": None, "function_call": function}

    return Rule(says, streams=lambda message: [{"function_call": message["function_call"]}])


def one_index() -> Rule:
    """Both calls come with index 0 and an empty id."""

    def says(_arguments: object, number: int) -> Json:
        return {"role": "assistant", "content": None, "tool_calls": [call(SHOW, number), call(REMOVE, number)]}

    def pieces(message: Json) -> list[Json]:
        return [{"tool_calls": [{**one, "index": 0, "id": ""}]} for one in message["tool_calls"]]

    return Rule(says, streams=pieces, plan=(SHOW,))


ANSWERS: dict[str, Callable[[], Rule]] = {
    "a call in a tag": lambda: as_text('<tool_call>\n{"name": "{name}", "arguments": {arguments}}\n</tool_call>'),
    "a call as bare JSON": lambda: as_text('{"name": "{name}", "arguments": {arguments}}'),
    "a call in a fence": lambda: as_text('```json\n{"name": "{name}", "parameters": {arguments}}\n```'),
    "Mistral's mark": lambda: as_text('[TOOL_CALLS][{"name": "{name}", "arguments": {arguments}}]'),
    "thoughts, then a call": lambda: as_text(
        '<think>Hm.</think>\n<tool_call>{"name": "{name}", "arguments": {arguments}}</tool_call>'
    ),
    "arguments twice": lambda: with_arguments(lambda text: text + text),
    "arguments and an empty text": lambda: with_arguments(lambda text: f'{text}""'),
    "JSON within JSON": lambda: with_arguments(json.dumps),
    "functions.": lambda: with_arguments(lambda text: text, "functions.call_rest_api"),
    "default_api:": lambda: with_arguments(lambda text: text, "default_api:call_rest_api"),
    "function_call": legacy,
    "one index for all": one_index,
}


# --- reasoning models -------------------------------------------------------------------------------------------------


@dataclass
class ReasoningServer:
    """OpenAI's newer models: Chat Completions refuses tools with reasoning, the Responses API takes both, in its order, and wants each
    reasoning item back. Without `has_responses` there is only the first."""

    has_responses: bool = True
    not_there: int = 404
    taken: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def rule(self) -> Rule:
        return Rule(plainly, refuses=self._refuses)

    def _refuses(self, path: str, body: Json) -> Reply | None:
        if path.endswith("/chat/completions"):
            if body.get("reasoning_effort") == "none":
                self.taken.append("chat without reasoning")
                return None
            told = "Function tools with reasoning_effort are not supported in /v1/chat/completions. Use /v1/responses."
            return refusal(told, param="reasoning_effort")
        if not self.has_responses:
            return refusal("Not found", self.not_there)
        return self._respond(body)

    def _respond(self, body: Json) -> Reply:
        self.wrong += self._mistakes(body)
        if self.wrong:
            return refusal(self.wrong[-1])
        self.taken.append("responses")
        last = max(i for i, item in enumerate(body["input"]) if item.get("role") == "user")
        made = sum(item.get("type") == "function_call" for item in body["input"][last:])
        output = self._output(made, is_last=made >= 2 or body.get("tool_choice") == "none")
        return event_stream([*self._events(output)], done=False)

    def _mistakes(self, body: Json) -> Iterator[str]:
        if body.get("store") is not False or body.get("include") != ["reasoning.encrypted_content"]:
            yield "this organisation stores nothing"
        if "messages" in body or any("function" in tool for tool in body["tools"]):
            yield "this is no request of the Responses API"
        last = max(i for i, item in enumerate(body["input"]) if item.get("role") == "user")
        turn = body["input"][last + 1 :]
        kinds = [item.get("type") for item in turn]
        step = ["reasoning", "message", "function_call", "function_call_output"]
        if kinds != step * (len(kinds) // 4):
            yield f"items in another order: {kinds}"
        for number in range(len(kinds) // 4):
            thought, said, made, result = turn[4 * number : 4 * number + 4]
            if thought != self._thought(number):
                yield f"a reasoning item was changed: {thought}"
            if said["content"][0]["text"] != "Let me see." or said.get("phase") != "commentary":
                yield "a message was changed"
            if made["call_id"] != result["call_id"] or made["id"] != f"fc_{number}":
                yield "a call and its result do not belong together"

    @staticmethod
    def _thought(number: int) -> Json:
        return {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": f"gAAA{number}" * 9}

    def _output(self, made: int, *, is_last: bool) -> list[Json]:
        if is_last:
            return [{**self._thought(made), "content": None}, _message(ANSWER, made, "final_answer")]
        arguments = json.dumps((SHOW, REMOVE)[made])
        wanted = {"type": "function_call", "id": f"fc_{made}", "call_id": f"call_x{made}", "name": "call_rest_api"}
        calling = {**wanted, "arguments": arguments, "status": "completed"}
        return [{**self._thought(made), "content": None}, _message("Let me see.", made, "commentary"), calling]

    @staticmethod
    def _events(output: Sequence[Json]) -> Iterator[Json]:
        yield {"type": "response.created", "response": {"output": [], "error": None}}
        for place, item in enumerate(output):
            yield {"type": "response.output_item.added", "output_index": place, "item": {**item, "content": []}}
            if item["type"] == "message":
                text = item["content"][0]["text"]
                for i in range(0, len(text), 4):
                    yield {"type": "response.output_text.delta", "output_index": place, "delta": text[i : i + 4]}
            yield {"type": "response.output_item.done", "output_index": place, "item": item}
        usage = {"input_tokens": 70, "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 20}}
        yield {"type": "response.completed", "response": {"status": "completed", "output": output, "usage": usage}}


def _message(text: str, number: int, phase: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": f"msg_{number}",
        "role": "assistant",
        "status": "completed",
        "phase": phase,
        "content": content,
    }
