"""Payloads of what people do with blocks: press, submit, close, use a shortcut. Built from the world, no I/O.

Shapes: https://docs.slack.dev/reference/interaction-payloads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emulator.world import APP, TEAM, Json, ResponseUrl, World, interactive

_TEAM = {"id": TEAM, "domain": "local"}
_SELECTED = {
    "static_select": "selected_option",
    "external_select": "selected_option",
    "overflow": "selected_option",
    "radio_buttons": "selected_option",
    "users_select": "selected_user",
    "channels_select": "selected_channel",
    "conversations_select": "selected_conversation",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "checkboxes": "selected_options",
    "multi_static_select": "selected_options",
    "multi_users_select": "selected_users",
}


def block_actions(world: World, user: str, found: tuple[Json, Json], value: str | None) -> Json:
    """The part of a press that does not depend on where the element is."""
    block, element = found
    return _envelope(world, user, "block_actions") | {
        "trigger_id": world.new_trigger(user),
        "enterprise": None,
        "is_enterprise_install": False,
        "state": {"values": {}},
        "actions": [_action(world, block, element, value)],
    }


def pressed_in_message(world: World, payload: Json, channel: str, message: Json, base_url: str) -> Json:
    """A press in a message, which an ephemeral one is not shown in."""
    ephemeral = bool(message.get("is_ephemeral"))
    container = {"type": "message", "message_ts": message["ts"], "channel_id": channel, "is_ephemeral": ephemeral}
    if "thread_ts" in message:
        container["thread_ts"] = message["thread_ts"]
    user = payload["user"]["id"]
    return (
        payload
        | {
            "container": container,
            "channel": _place(world, channel),
            "response_url": response_url(world, user, channel, message, base_url),
        }
        | ({} if ephemeral else {"message": message})
    )


def pressed_in_view(payload: Json, view: Json) -> Json:
    """A press in a modal or in App Home."""
    return payload | {"container": {"type": "view", "view_id": view["id"]}, "view": view}


def view_submission(world: World, user: str, view: Json) -> Json:
    """The submission of a modal."""
    return _envelope(world, user, "view_submission") | {
        "trigger_id": world.new_trigger(user),
        "view": view,
        "response_urls": [],
        "enterprise": None,
        "is_enterprise_install": False,
    }


def view_closed(world: World, user: str, view: Json, *, cleared: bool) -> Json:
    """The closing of a modal."""
    return _envelope(world, user, "view_closed") | {
        "view": view,
        "is_cleared": cleared,
        "enterprise": None,
        "is_enterprise_install": False,
    }


def message_action(world: World, user: str, channel: str, message: Json, callback_id: str, base_url: str) -> Json:
    """A shortcut from a message's menu."""
    return _envelope(world, user, "message_action") | {
        "callback_id": callback_id,
        "action_ts": world.next_ts(),
        "trigger_id": world.new_trigger(user),
        "message_ts": message["ts"],
        "message": message,
        "channel": _place(world, channel),
        "enterprise": None,
        "is_enterprise_install": False,
        "response_url": response_url(world, user, channel, message, base_url),
    }


def response_url(world: World, user: str, channel: str, message: Json, base_url: str) -> str:
    """A new address where the app may answer this gesture."""
    ident = world.next_id("R")
    world.response_urls[ident] = ResponseUrl(channel, message["ts"], message.get("thread_ts", ""), user, world.clock())
    return f"{base_url}/actions/{TEAM}/{ident}"


def _envelope(world: World, user: str, kind: str) -> Json:
    person = world.people[user]
    return {
        "type": kind,
        "user": {"id": user, "username": person.name, "name": person.name, "team_id": person.team_id},
        "api_app_id": APP,
        "token": "verification_token",
        "team": dict(_TEAM),
    }


def _place(world: World, channel: str) -> Json:
    """A conversation as payloads name it: only a public channel by its own name."""
    place = world.channels[channel]
    return {"id": channel, "name": {"im": "directmessage", "groups": "privategroup"}.get(place.kind, place.name)}


def find_element(blocks: list[Json], action_id: str, value: str | None) -> tuple[Json, Json] | None:
    """The block and the element with this action_id; `value` decides between several of the same."""
    for block in blocks:
        for element in interactive(block):
            if element.get("action_id") == action_id and (value is None or value in _offered(element)):
                return block, element
    return None


def _offered(element: Json) -> list[str]:
    """Values that somebody can send with this element."""
    options = [option["value"] for option in element.get("options", [])]
    options += [option["value"] for group in element.get("option_groups", []) for option in group["options"]]
    for name in ("positive_button", "negative_button"):
        options += [element[name]["value"]] if name in element else []
    return [*options, element.get("value", "")]


def _action(world: World, block: Json, element: Json, value: str | None) -> Json:
    action = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "action_ts": world.next_ts(),
    }
    if element["type"] in ("button", "icon_button", "workflow_button"):
        return action | {name: element[name] for name in ("text", "value", "style", "url") if name in element}
    if element["type"] == "feedback_buttons":
        pressed = [element["positive_button"], element["negative_button"]]
        return action | next(({"text": b["text"], "value": b["value"]} for b in pressed if b["value"] == value), {})
    return action | entered(element, value)


def entered(element: Json, value: Any) -> Json:
    """What `state.values` holds for an element into which somebody entered `value`."""
    kind = element["type"]
    name = _SELECTED.get(kind, "value")
    if name == "selected_option":
        return {"type": kind, name: next(iter(_chosen(element, [value])), None)}
    if name == "selected_options":
        return {"type": kind, name: list(_chosen(element, value or []))}
    return {"type": kind, name: value or None}


def _chosen(element: Json, values: list[Any]) -> Iterator[Json]:
    groups = [element.get("options", []), *(group["options"] for group in element.get("option_groups", []))]
    for option in (option for group in groups for option in group):
        if option["value"] in values:
            yield option


def view_state(view: Json, values: Mapping[str, Any]) -> Json:
    """`state` of a view: `values` maps a block_id to what was entered there; the rest keeps its initial value."""
    filled: Json = {}
    for block in view["blocks"]:
        for element in interactive(block):
            if block["type"] == "input":
                value = values.get(block["block_id"], _initial(element))
                filled[block["block_id"]] = {element["action_id"]: entered(element, value)}
    return {"values": filled}


def _initial(element: Json) -> Any:
    if "initial_option" in element:
        return element["initial_option"]["value"]
    if "initial_options" in element:
        return [option["value"] for option in element["initial_options"]]
    return next((element[name] for name in element if name.startswith("initial_")), None)


def missing_inputs(view: Json) -> list[str]:
    """block_ids that must be filled in before the client lets a person submit."""
    values = view["state"]["values"]
    return [
        block["block_id"]
        for block in view["blocks"]
        if block["type"] == "input" and not block.get("optional") and not _filled(values.get(block["block_id"], {}))
    ]


def _filled(entry: Json) -> bool:
    return any(content for state in entry.values() for name, content in state.items() if name != "type")
