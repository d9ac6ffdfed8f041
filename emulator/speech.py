"""What a person types, made into what Slack sends: escaped text, rich_text blocks, and the events about it.

Rules: https://docs.slack.dev/messaging/formatting-message-text. No I/O.
"""

from __future__ import annotations

import mimetypes
import re
import uuid
from collections.abc import Iterator, Sequence

from emulator.world import APP, BOT_USER, TEAM, Json, World

_TOKEN = re.compile(r"<(?:@[UW][A-Z0-9]+|#C[A-Z0-9]+|!subteam\^S[A-Z0-9]+|!here|!channel|!everyone)(?:\|[^<>]*)?>")
_LINK = re.compile(r"https?://[^\s<>|]*[^\s<>|.,;:!?)\]}'\"]")
_MAIL = re.compile(r"(?<![\w.+@-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b")


def said(world: World, user: str, typed: str) -> Json:
    """A message of a person, without ts."""
    text = escaped(world, typed)
    return {
        "client_msg_id": str(uuid.uuid4()),
        "user": user,
        "text": text,
        "blocks": world.finished_blocks([_rich_text(text)]),
    }


def shared(world: World, user: str, names: Sequence[str]) -> Json:
    """What a message with files has besides; {} without any."""
    files = [_file(world, user, name) for name in names]
    return {"subtype": "file_share", "upload": False, "display_as_bot": False, "files": files} if files else {}


def _file(world: World, user: str, name: str) -> Json:
    ident, now = world.next_id("F"), int(world.clock())
    kind = name.rpartition(".")[2].lower()
    return {
        "id": ident,
        "created": now,
        "timestamp": now,
        "name": name,
        "title": name,
        "mimetype": mimetypes.guess_type(name)[0] or "application/octet-stream",
        "filetype": kind,
        "pretty_type": kind.upper(),
        "user": user,
        "size": 1024,
        "mode": "hosted",
        "is_external": False,
        "is_public": True,
        "url_private": f"https://files.slack.example/files-pri/{TEAM}-{ident}/{name}",
        "permalink": f"https://local.slack.example/files/{user}/{ident}/{name}",
    }


def mentions_bot(text: str) -> bool:
    """Whether a text mentions the bot."""
    return re.search(rf"<@{BOT_USER}(\|[^<>]*)?>", text) is not None


def escaped(world: World, typed: str) -> str:
    """Text as Slack sends it: &, < and > escaped, names and addresses turned into <...>.

    `<@U...>` and the like may also be typed as such, if whoever it names exists.
    """
    out, start = [], 0
    for found in _TOKEN.finditer(typed):
        out += [_escaped_plain(world, typed[start : found.start()]), found.group()]
        start = found.end()
    return "".join([*out, _escaped_plain(world, typed[start:])])


def _escaped_plain(world: World, typed: str) -> str:
    names = _names(world)
    # One pass over the alternatives, so that nothing is replaced within what was put in.
    parts = [_LINK.pattern, _MAIL.pattern, *(re.escape(name) + r"(?![\w-])" for name in names), "[&<>]"]
    words = {name.lower(): token for name, token in names.items()} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    return re.sub("|".join(parts), lambda found: _token(found.group(), words), typed, flags=re.IGNORECASE)


def _token(found: str, words: dict[str, str]) -> str:
    if found.lower() in words:
        return words[found.lower()]
    if found.lower().startswith("http"):
        return f"<{found.replace('&', '&amp;')}>"
    return f"<mailto:{found}|{found}>"


def _names(world: World) -> dict[str, str]:
    """What may be typed after @ or #, the longest first."""
    names = {"@here": "<!here>", "@channel": "<!channel>", "@everyone": "<!everyone>"}
    for person in world.people.values():
        names |= {f"@{person.real_name}": f"<@{person.id}>", f"@{person.name}": f"<@{person.id}>"}
    names |= {f"@{group.handle}": f"<!subteam^{group.id}>" for group in world.groups.values()}
    names |= {f"#{c.name}": f"<#{c.id}|{c.name}>" for c in world.channels.values() if c.name}
    return dict(sorted(names.items(), key=lambda pair: -len(pair[0])))


def _rich_text(text: str) -> Json:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(_leaves(text))}]}


def _leaves(text: str) -> Iterator[Json]:
    for part in re.split(r"(<[^<>]+>)", text):
        if part.startswith("<@"):
            yield {"type": "user", "user_id": part[2:-1].split("|")[0]}
        elif part.startswith("<#"):
            yield {"type": "channel", "channel_id": part[2:-1].split("|")[0]}
        elif part.startswith("<!subteam^"):
            yield {"type": "usergroup", "usergroup_id": part[10:-1].split("|")[0]}
        elif part.startswith("<!"):
            yield {"type": "broadcast", "range": part[2:-1].split("|")[0]}
        elif part.startswith("<"):
            url, _, label = part[1:-1].partition("|")
            yield {"type": "link", "url": unescaped(url)} | ({"text": unescaped(label)} if label else {})
        elif part:
            yield {"type": "text", "text": unescaped(part)}


def unescaped(text: str) -> str:
    """A text without Slack's escapes."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def app_mention(channel: str, message: Json) -> Json:
    """The inner event for a message that mentions the bot in a channel; of a subtype it says nothing."""
    event = {name: value for name, value in message.items() if name != "subtype"}
    return {**event, "type": "app_mention", "channel": channel, "event_ts": message["ts"]}


def app_home_opened(world: World, user: str, tab: str) -> Json:
    """The inner event for somebody who looks at the bot's `home` or `messages` tab."""
    direct = world.direct(user)
    event = {
        "type": "app_home_opened",
        "user": user,
        "channel": direct.id if direct else "",
        "tab": tab,
        "event_ts": world.next_ts(),
    }
    view = world.views.get(world.homes.get(user, ""))
    return event | ({"view": view} if view and tab == "home" else {})


def new_chat() -> Json:
    """The first message of a thread with an assistant, which Slack itself posts as the bot."""
    return {
        "user": BOT_USER,
        "subtype": "assistant_app_thread",
        "text": "New chat",
        "assistant_app_thread": {"title": "New chat", "title_blocks": [], "artifacts": []},
    }


def assistant_thread(world: World, kind: str, user: str) -> tuple[str, Json]:
    """The event about the assistant's thread that somebody has open, after its name."""
    direct = world.direct(user)
    viewed = world.viewing.get(user)
    context = {"channel_id": viewed, "team_id": TEAM, "enterprise_id": None} if viewed else {}
    thread = {
        "user_id": user,
        "context": context,
        "channel_id": direct.id if direct else "",
        "thread_ts": world.assistant_threads[user],
    }
    return kind, {"type": kind, "assistant_thread": thread, "event_ts": world.next_ts()}


def app_context(channel: str) -> Json:
    """What somebody has before them, as an agent is told."""
    return {"entities": [{"type": "slack#/types/channel_id", "value": channel, "team_id": TEAM}]}


def app_context_changed(world: World, channel: str) -> Json:
    """The event that tells of the channel that a person looks at."""
    return {"type": "app_context_changed", "context": app_context(channel), "event_ts": world.next_ts()}


def envelope(world: World, event: Json) -> Json:
    """What is posted to the bot's events URL: https://docs.slack.dev/apis/events-api."""
    return {
        "token": "verification_token",
        "team_id": TEAM,
        "context_team_id": TEAM,
        "context_enterprise_id": None,
        "api_app_id": APP,
        "event": event,
        "type": "event_callback",
        "event_id": world.next_id("Ev"),
        "event_time": int(world.clock()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM,
                "user_id": BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": world.next_id("EC"),
    }
