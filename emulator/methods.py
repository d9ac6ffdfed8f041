"""The Web API's methods: one small function each, in a table. Arguments were checked by limits.py before they come here.

A function gets the world, its lock held, and the decoded arguments; it returns the answer without `ok`, or raises
ApiError with the code that Slack documents for it. The families are in messages.py, streaming.py, conversations.py,
assistant.py and views.py. No HTTP here.
"""

from __future__ import annotations

from collections.abc import Callable

from emulator import assistant, conversations, messages, streaming, views
from emulator.errors import ApiError
from emulator.world import APP, BOT, BOT_USER, TEAM, TEAM_NAME, TEAM_URL, Json, World

Perform = Callable[[World, Json], Json]


def api_test(world: World, args: Json) -> Json:
    """Slack's `api.test`."""
    if "error" in args:
        raise ApiError(args["error"])
    return {"args": args}


def auth_test(world: World, args: Json) -> Json:
    """Slack's `auth.test`."""
    return {
        "url": TEAM_URL,
        "team": TEAM_NAME,
        "user": world.people[BOT_USER].name,
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "is_enterprise_install": False,
        **({"enterprise_id": world.enterprise} if world.enterprise else {}),
    }


def apps_connections_open(world: World, args: Json) -> Json:
    """A URL for one WebSocket; only in socket mode has the app the token for this."""
    return {"url": f"{world.socket_url}?ticket={world.new_ticket()}&app_id={APP}"}


METHODS: dict[str, Perform] = {
    "api.test": api_test,
    "auth.test": auth_test,
    "apps.connections.open": apps_connections_open,
    "chat.postMessage": messages.chat_post_message,
    "chat.postEphemeral": messages.chat_post_ephemeral,
    "chat.update": messages.chat_update,
    "chat.delete": messages.chat_delete,
    "chat.getPermalink": conversations.get_permalink,
    "chat.startStream": streaming.chat_start_stream,
    "chat.appendStream": streaming.chat_append_stream,
    "chat.stopStream": streaming.chat_stop_stream,
    "reactions.add": messages.reactions_add,
    "reactions.remove": messages.reactions_remove,
    "conversations.replies": conversations.conversations_replies,
    "conversations.history": conversations.conversations_history,
    "conversations.info": conversations.conversations_info,
    "conversations.members": conversations.conversations_members,
    "conversations.list": conversations.conversations_list,
    "conversations.open": conversations.conversations_open,
    "users.info": conversations.users_info,
    "bots.info": conversations.bots_info,
    "team.info": conversations.team_info,
    "usergroups.list": conversations.usergroups_list,
    "usergroups.users.list": conversations.usergroups_users_list,
    "assistant.threads.setStatus": assistant.set_status,
    "assistant.threads.setTitle": assistant.set_title,
    "assistant.threads.setSuggestedPrompts": assistant.set_suggested_prompts,
    "agents.sessions.setStatus": assistant.session_set_status,
    "agents.sessions.rename": assistant.session_rename,
    "views.open": views.views_open,
    "views.push": views.views_push,
    "views.update": views.views_update,
    "views.publish": views.views_publish,
}
