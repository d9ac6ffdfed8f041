"""Finding what a call names: a conversation, a message. Raises ApiError with Slack's code where there is none."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.errors import ApiError
from emulator.world import BOT_USER, Channel, Json, World


def channel_of(world: World, ident: str) -> Channel:
    """The channel of an id. Raises `ApiError` where the bot cannot see it."""
    channel = world.channels.get(ident)
    if channel is None or (channel.is_im and BOT_USER not in channel.members):
        raise ApiError("channel_not_found")
    return channel


def destination(world: World, ident: str) -> Channel:
    """Where chat.postMessage goes: a conversation's id, a channel's name, or a person for their direct message."""
    name = ident.removeprefix("#")
    named: Iterator[Channel] = (c for c in world.channels.values() if c.name == name and not c.is_im)
    return world.direct(ident) or next(named, None) or channel_of(world, ident)


def joined(world: World, channel: Channel) -> Channel:
    """The channel. Raises `ApiError` where the bot is no member of it."""
    if BOT_USER not in channel.members:
        raise ApiError("not_in_channel")
    return channel


def message_of(world: World, channel: Channel, ts: str) -> Json:
    """The message at a ts. Raises `ApiError` where there is none."""
    message = world.find(channel.id, ts)
    if message is None or message.get("subtype") == "tombstone":
        raise ApiError("message_not_found")
    return message
