"""What to set, or start otherwise, where a model server refuses the bot or offers it little. For `check --model`; more: docs/models.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from model.refusals import Failure, Refusal

_ROOM = 5  # a share of the context that stays for tools and the answer: one in five
_LEAST_ROOM = 2_000
_WINDOWS = (  # vLLM, OpenRouter, Groq, Mistral and LM Studio, LiteLLM, Google, llama.cpp
    "max_model_len",
    "context_length",
    "context_window",
    "max_context_length",
    "max_input_tokens",
    "inputTokenLimit",
    "n_ctx",
)
OLLAMA = (
    "this looks like Ollama, which silently truncates requests to its context window, by default 4,096 tokens where memory is small: start "
    "it with OLLAMA_CONTEXT_LENGTH=32768 or more, and set HISTORY_TOKENS below that"
)
NO_CALL = (
    "the model was asked for a call and made none: set OPENAI_MODEL to one that supports tools; start vLLM with "
    "--enable-auto-tool-choice and --tool-call-parser, llama.cpp with --jinja"
)
NOT_READ = (
    "the results of calls do not seem to reach the model; choose another model, or check the server's chat template"
)
NO_USAGE = "the server reports no tokens, so the journal, `errors` and token budgets count none"
_BY_WORDS = (
    (
        r"reasoning_effort|/v1/responses",
        'set MODEL_API=responses where the server has that API, else MODEL_OPTIONS={"reasoning_effort": "none"}',
    ),
    (
        r"enable-auto-tool-choice|tool-call-parser",
        "start vLLM with --enable-auto-tool-choice and the --tool-call-parser of this model (docs/models.md)",
    ),
    (r"--jinja", "start llama.cpp with --jinja"),
    (
        r"(does|do) not support (tool|function)|tools? (is|are) not supported|no endpoints found that support tool",
        "this model does not support tools: set OPENAI_MODEL to one that does",
    ),
    (
        r"unsupported (parameter|value)|unrecognized|extra inputs",
        "leave that parameter out of MODEL_OPTIONS, if it is there",
    ),
)
_BY_STATUS = {
    401: "the server refuses the key: correct OPENAI_API_KEY, or the file that OPENAI_API_KEY_FILE names",
    403: "the key lacks the rights, or something in between refuses the request: check the key's rights, HTTPS_PROXY and NO_PROXY",
    407: "the proxy requires a user and a password: set HTTPS_PROXY=http://user:password@host:port",
}
_BY_KIND = {
    "quota": "the account's credit or limit is used up: add credit, or use another account's key",
    "busy": "the server is busy: try again later; turns wait for up to MODEL_PATIENCE",
    "filtered": "the provider's filter refuses the check itself: loosen it, or use another deployment",
    "too long": "one question exceeds the server's context: lower PROMPT_BUDGET and HISTORY_TOKENS, or enlarge the context",
    "down": "the server has a fault of its own: look at its log",
    "refused": "the server does not accept what the bot sends: see docs/models.md",
}
_ELSEWHERE = "OPENAI_BASE_URL points to something other than a model server; it usually ends in /v1"
_BY_FAILURE = {
    Failure.TIME_OUT: "no answer in time: raise MODEL_TIMEOUT, or use a faster model",
    Failure.CERTIFICATE: "put the certificates of your network into a file and name it in SSL_CERT_FILE",
    Failure.PROXY: "correct HTTPS_PROXY or HTTP_PROXY, or name the server's host in NO_PROXY",
    Failure.UNREACHED: "check that the server is up, and OPENAI_BASE_URL; HTTPS_PROXY, HTTP_PROXY and NO_PROXY determine how it is reached",
    Failure.NOT_JSON: _ELSEWHERE,
    Failure.ODD: _ELSEWHERE,
}


def advice(failure: Failure, refusal: Refusal | None, model: str) -> str:
    """What to do about an answer that did not come."""
    if refusal is None:
        return _BY_FAILURE.get(failure, "look at the server's log")
    said = f"{refusal.code} {refusal.param} {refusal.message}"
    found = next((told for words, told in _BY_WORDS if re.search(words, said, re.I)), None)
    if found is not None:
        return found
    if refusal.status in (404, 405):
        is_model = re.search(r"model|deployment", said, re.I)
        return (
            f"the server does not know {model!r}: correct OPENAI_MODEL"
            if is_model
            else "this address has no such API: OPENAI_BASE_URL is what precedes /chat/completions, and usually ends in /v1"
        )
    return _BY_STATUS.get(refusal.status) or _BY_KIND[refusal.kind]


def window(about: object, model: str) -> int | None:
    """The context that a server tells of a model in its list (GET /models), in tokens."""
    for entry in _entries(about, model):
        meta = entry.get("meta")
        for place in (entry, meta if isinstance(meta, dict) else {}):
            sizes = (place.get(name) for name in _WINDOWS)
            found = next((one for one in sizes if isinstance(one, int) and one > 0), None)
            if found is not None:
                return found
    return None


def is_ollama(about: object, model: str) -> bool:
    """Ollama's list says of each model that the library owns it."""
    return any(entry.get("owned_by") == "library" for entry in _entries(about, model))


def fitting_history(context: int) -> int:
    """The HISTORY_TOKENS for a context: whole thousands, with room for the tools and the answer."""
    return max(1_000, (context - max(_LEAST_ROOM, context // _ROOM)) // 1_000 * 1_000)


def _entries(about: object, model: str) -> Iterator[dict[str, Any]]:
    listed = about.get("data") if isinstance(about, dict) else None
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    yield from (one for one in entries if one.get("id") in (model, f"{model}:latest") or len(entries) == 1)
