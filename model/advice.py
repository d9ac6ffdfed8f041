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
    "this looks like Ollama, which cuts requests in silence at its window, 4,096 tokens by default where memory is small: start it with "
    "OLLAMA_CONTEXT_LENGTH=32768 or more, and set HISTORY_TOKENS below that"
)
NO_CALL = (
    "no call came although one was asked for: choose a model that is made for tools (OPENAI_MODEL); vLLM has to be started with "
    "--enable-auto-tool-choice and --tool-call-parser, llama.cpp with --jinja"
)
NOT_READ = "the results of calls do not seem to reach the model; choose another model, or look at the chat template of the server"
NO_USAGE = "tokens are not told, so the journal and `errors` count none"
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
        "this model takes no tools; name one in OPENAI_MODEL that does",
    ),
    (
        r"unsupported (parameter|value)|unrecognized|extra inputs",
        "leave that parameter out of MODEL_OPTIONS, if it is there",
    ),
)
_BY_STATUS = {
    401: "the server refuses the key: correct OPENAI_API_KEY, or the file that OPENAI_API_KEY_FILE names",
    403: "the key may not do this, or something on the way refuses it: look at the key's rights, HTTPS_PROXY and NO_PROXY",
    407: "the proxy wants a name and a password: HTTPS_PROXY=http://user:password@host:port",
}
_BY_KIND = {
    "quota": "the account is used up: add credit, or use the key of another one",
    "busy": "the server has no time now: try again later; turns wait for up to MODEL_PATIENCE",
    "filtered": "the provider's filter refuses the check itself: loosen it, or use another deployment",
    "too long": "the server's context is smaller than one question: set smaller PROMPT_BUDGET and HISTORY_TOKENS, or enlarge it",
    "down": "the server has trouble of its own: look at its log",
    "refused": "the server does not take what the bot sends; docs/models.md has what is known of it",
}
_ELSEWHERE = "OPENAI_BASE_URL points to something other than a model server; it usually ends in /v1"
_BY_FAILURE = {
    Failure.TIME_OUT: "nothing came in time: raise MODEL_TIMEOUT, or use a faster model",
    Failure.CERTIFICATE: "put the certificates of your network into a file and name it in SSL_CERT_FILE",
    Failure.PROXY: "correct HTTPS_PROXY or HTTP_PROXY, or name the server's host in NO_PROXY",
    Failure.UNREACHED: "is the server up, and OPENAI_BASE_URL right? HTTPS_PROXY, HTTP_PROXY and NO_PROXY determine how it is reached",
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
            else "there is no such API at this address: OPENAI_BASE_URL is what stands before /chat/completions, mostly ending in /v1"
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
