"""How a model's answer ended, by the word that its server gives: `finish_reason`, of which there are more than OpenAI's five.

Gemini's are https://ai.google.dev/api/generate-content#FinishReason, Anthropic's https://docs.anthropic.com/en/api/messages
(stop_reason), Mistral's `model_length`; what proxies make of them is not always one of OpenAI's.
"""

from __future__ import annotations

import re
from typing import Literal

Meaning = Literal["whole", "cut", "filtered", "unknown"]

CUT = "length"  # OpenAI's word

_WHOLE = frozenset(
    {"", "stop", "tool_calls", "function_call", "end_turn", "tool_use", "stop_sequence", "eos", "eos_token", "complete"}
) | {"completed", "done", "end", "finished"}
_CUT = frozenset({CUT, "max_tokens", "model_length", "max_output_tokens", "max_completion_tokens"})
_FILTERED = frozenset(
    {"content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content", "spii", "refusal"}
)


def meaning(ending: str) -> Meaning:
    """Whether the answer is whole, was cut at a length, was filtered, or ended in a way that is not known here."""
    word = ending.strip().lower()
    word = word.removeprefix("finish_reason_")
    return "whole" if word in _WHOLE else "cut" if word in _CUT else "filtered" if word in _FILTERED else "unknown"


def shown(ending: str) -> str:
    """The server's word as people may see it."""
    return re.sub(r"[^\w.-]+", " ", ending, flags=re.ASCII).strip()[:40] or "?"
