"""What the app is to Slack, as its manifest says: scopes, event subscriptions, and which agent surface it
has; and its token for socket mode.

Reads manifest.yaml and nothing else: https://docs.slack.dev/reference/app-manifest.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

MANIFEST = Path(__file__).resolve().parent.parent / "manifest.yaml"

View = Literal["", "assistant_view", "agent_view"]
VIEWS: tuple[View, ...] = get_args(View)

# Every event of this workspace, and the scope without which Slack does not send it.
EVENT_SCOPES = {
    "app_mention": "app_mentions:read",
    "app_home_opened": "",
    "app_context_changed": "",
    "message.im": "im:history",
    "assistant_thread_started": "assistant:write",
    "assistant_thread_context_changed": "assistant:write",
    "agent_session_stopped": "",
    "agent_session_title_changed": "",
}
EVERY_EVENT = frozenset(EVENT_SCOPES)
EVERY_SCOPE = frozenset({
    *("app_mentions:read", "assistant:write", "commands", "reactions:write", "team:read", "usergroups:read"),
    *("channels:history", "groups:history", "im:history", "mpim:history"),
    *("channels:read", "groups:read", "im:read", "mpim:read", "im:write"),
    *("chat:write", "chat:write.customize", "users:read", "users:read.email"),
})  # fmt: skip


@dataclass(frozen=True)
class App:
    """`view` is "" for an app that is no agent, else the surface that its manifest declares.

    `shortcuts` are those in the menu of a message: callback_id and name. They need the scope `commands`.
    """

    scopes: frozenset[str] = EVERY_SCOPE
    events: frozenset[str] = EVERY_EVENT
    view: View = "agent_view"
    shortcuts: Mapping[str, str] = field(default_factory=dict)

    def offered(self) -> Mapping[str, str]:
        """The shortcuts that Slack shows."""
        return self.shortcuts if "commands" in self.scopes else {}

    def hears(self, event: str) -> bool:
        """Whether Slack sends this event (`message.im`, `app_mention` ...) to the app."""
        scope = EVENT_SCOPES[event]
        return event in self.events and (not scope or scope in self.scopes)


@dataclass(frozen=True)
class AppToken:
    """What the app opens WebSockets with, and what that may do."""

    text: str = "xapp-local"
    scopes: frozenset[str] = frozenset({"connections:write"})


@functools.cache
def own_app() -> App:
    """The app of the project's own manifest, read once."""
    return read_manifest()


def read_manifest(path: Path = MANIFEST) -> App:
    """The app that a manifest describes. Raises OSError without the file."""
    manifest: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    features = manifest.get("features", {})
    shortcuts = [entry for entry in features.get("shortcuts", []) if entry["type"] == "message"]
    return App(
        frozenset(manifest["oauth_config"]["scopes"]["bot"]),
        frozenset(manifest["settings"].get("event_subscriptions", {}).get("bot_events", [])),
        next((view for view in VIEWS if view and view in features), ""),
        {entry["callback_id"]: entry["name"] for entry in shortcuts},
    )
