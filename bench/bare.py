"""What (b) is compared with: the same turn as a bare loop in memory. The same clients and servers; no store, no gate, no rules of Slack's.

`python -m bench.bare INSTANT SLACK_API TOKEN` makes one turn for each line `CHANNEL THREAD_TS` on its standard input and prints when it
began.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import httpx2
import openai
import yaml
from slack_sdk import WebClient

CATALOG = "apis.yaml"
_TOOL = {
    "type": "function",
    "function": {
        "name": "call_rest_api",
        "parameters": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("method", "url", "body")},
            "required": ["method", "url"],
        },
    },
}


def turn(model: openai.OpenAI, api: httpx2.Client, system: str) -> str:
    """The loop: ask, call, ask again, until there is an answer."""
    tools: list[Any] = [_TOOL]
    messages: list[Any] = [{"role": "system", "content": system}, {"role": "user", "content": "who are they?"}]
    while True:
        said = model.chat.completions.create(model="instant", messages=messages, tools=tools).choices[0].message
        if not said.tool_calls:
            return said.content or ""
        messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls:
            wanted = json.loads(call.function.arguments)  # type: ignore[union-attr]
            answer = api.request(wanted["method"], wanted["url"])
            result = json.dumps({"status": answer.status_code, "data": answer.json()})
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def main(instant: str, slack_api: str, token: str) -> None:
    with open(CATALOG, encoding="utf-8") as file:
        system = json.dumps(yaml.safe_load(file))
    model = openai.OpenAI(api_key="instant", base_url=f"{instant}/v1")
    slack = WebClient(token=token, base_url=slack_api)
    with httpx2.Client(base_url=instant, trust_env=False) as api:
        for line in sys.stdin:
            channel, ts = line.split()
            print(time.time(), flush=True)
            text = turn(model, api, system)
            blocks = [{"type": "markdown", "text": text}]
            slack.chat_postMessage(channel=channel, thread_ts=ts, text=text, blocks=blocks)


if __name__ == "__main__":
    main(*sys.argv[1:])
