"""views.*: modals and Home. Like all methods: see methods.py."""

from __future__ import annotations

from emulator.errors import ApiError
from emulator.world import APP, BOT, TEAM, TRIGGER_SECONDS, Json, World


def views_open(world: World, args: Json) -> Json:
    """Slack's `views.open`."""
    user = _user_of_trigger(world, args)
    view = new_view(world, args["view"])
    world.modals[user] = [view["id"]]
    world.changed()
    return {"view": view}


def views_push(world: World, args: Json) -> Json:
    """Slack's `views.push`."""
    user = _user_of_trigger(world, args)
    return {"view": push(world, user, args["view"])}


def push(world: World, user: str, wanted: Json) -> Json:
    """Put a view on top of somebody's modals; Slack allows three."""
    stack = world.modals.setdefault(user, [])
    if len(stack) >= 3:
        raise ApiError("push_limit_reached")
    view = new_view(world, wanted, below=stack[-1] if stack else None)
    stack.append(view["id"])
    world.changed()
    return view


def views_update(world: World, args: Json) -> Json:
    """Slack's `views.update`."""
    by_name = (
        view
        for view in world.views.values()
        if view["external_id"] and "external_id" in args and view["external_id"] == args["external_id"]
    )
    view = world.views.get(args.get("view_id", "")) or next(by_name, None)
    if view is None:
        raise ApiError("not_found")
    if args.get("hash") not in (None, view["hash"]):
        raise ApiError("hash_conflict")
    return {"view": refresh(world, view, args["view"])}


def views_publish(world: World, args: Json) -> Json:
    """Slack's `views.publish`."""
    if args["user_id"] not in world.people:
        raise ApiError("user_not_found")
    view = world.views.get(world.homes.get(args["user_id"], ""))
    if view and args.get("hash") not in (None, view["hash"]):
        raise ApiError("hash_conflict")
    if view:
        return {"view": refresh(world, view, args["view"])}
    view = new_view(world, args["view"])
    world.homes[args["user_id"]] = view["id"]
    world.changed()
    return {"view": view}


def new_view(world: World, wanted: Json, below: str | None = None) -> Json:
    """Store a view as Slack completes it; `below` is the modal it is stacked on."""
    ident = world.next_id("V")
    root = world.views[below]["root_view_id"] if below else ident
    view = {
        "id": ident,
        "root_view_id": root,
        "previous_view_id": below,
        "team_id": TEAM,
        "app_id": APP,
        "bot_id": BOT,
        "app_installed_team_id": TEAM,
    }
    world.views[ident] = refresh(world, view, wanted)
    return view


def refresh(world: World, view: Json, wanted: Json) -> Json:
    """Show something else in a view that is open."""
    if wanted.get("external_id") and any(
        other["external_id"] == wanted["external_id"] for other in world.views.values() if other is not view
    ):
        raise ApiError("duplicate_external_id")
    defaults: Json = {
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        "state": {"values": {}},
        "submit": None,
        "close": None,
        "title": None,
        "clear_on_close": False,
        "notify_on_close": False,
    }
    view |= defaults | wanted | {"blocks": world.finished_blocks(wanted["blocks"])}
    view["hash"] = f"{world.next_ts()[:10]}.{world.next_id('h')}"
    world.view_errors.pop(view["id"], None)
    world.changed()
    return view


def _user_of_trigger(world: World, args: Json) -> str:
    """The person whose trigger_id this is; it works once and not for long."""
    trigger = world.triggers.get(args.get("trigger_id", ""))
    if trigger is None:
        raise ApiError("invalid_trigger_id")
    if trigger.used:
        raise ApiError("exchanged_trigger_id")
    if world.clock() - trigger.born > TRIGGER_SECONDS:
        raise ApiError("expired_trigger_id")
    trigger.used = True
    return trigger.user
