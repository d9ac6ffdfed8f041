"""assistant.threads.*: the status, title and prompts of a thread. Like all methods: see methods.py."""

from __future__ import annotations

from workspace.errors import ApiError
from workspace.lookup import channel_of, joined
from workspace.world import Json, Status, World


def set_status(world: World, args: Json) -> Json:
    where = _assistant_thread(world, args)
    if args["status"]:
        world.statuses[where] = Status(args["status"], tuple(args.get("loading_messages", ())), world.clock())
    else:
        world.statuses.pop(where, None)
    world.changed()
    return {}


def set_title(world: World, args: Json) -> Json:
    world.titles[_assistant_thread(world, args)] = args["title"]
    world.changed()
    return {}


def set_suggested_prompts(world: World, args: Json) -> Json:
    channel = channel_of(world, args["channel_id"])
    world.prompts[channel.id, args.get("thread_ts", "")] = args["prompts"]
    world.changed()
    return {}


def _assistant_thread(world: World, args: Json) -> tuple[str, str]:
    channel = joined(world, channel_of(world, args["channel_id"]))
    if world.root(channel.id, args["thread_ts"]) != args["thread_ts"]:
        raise ApiError("invalid_thread_ts")
    return channel.id, args["thread_ts"]
