"""What the parts of class Workspace share: the world, the Web API, the courier, and how people find things in them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

from emulator import speech
from emulator.delivery import Courier, Reply
from emulator.webapi import WebApi
from emulator.world import Channel, Json, World

NO_ACK = "hr-bot did not respond. Sorry, that didn't work. Try again?"


class WorkspaceParts(ABC):
    """Base of the parts; emulator.Workspace puts them together and sets what is declared here."""

    world: World
    api: WebApi
    courier: Courier

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the workspace listens."""

    def send_events(self) -> None:
        """Deliver what happened since the last time."""
        with self.world.lock:
            events, self.world.outbox = self.world.outbox, []
            envelopes = [speech.envelope(self.world, event) for event in events]
        for envelope in envelopes:
            self.courier.send_event(envelope)

    def _interact(self, user: str, payload: Json) -> Reply:
        """Post a gesture; without a 200 in time the person sees an error."""
        with self.world.lock:
            payload = copy.deepcopy(payload)
        reply = self.courier.interaction(payload)
        with self.world.lock:
            if not reply.ok:
                self.world.notify(user, NO_ACK)
            self.world.changed()
        return reply

    def _place(self, user: str, channel: str) -> Channel:
        """A conversation that this person is in. Raises LookupError."""
        place = self.world.channels[channel]
        if user not in place.members:
            raise LookupError(f"{user} is not in {channel}")
        return place

    def _message(self, user: str, channel: str, ts: str) -> Json:
        """A message that this person can see. Raises LookupError."""
        self._place(user, channel)
        own = (m for m in self.world.ephemerals if m["ts"] == ts and m["to"] == user and m["channel"] == channel)
        message = next(own, None) or self.world.find(channel, ts)
        if message is None:
            raise LookupError(f"{user} sees no message {ts} in {channel}")
        return message
