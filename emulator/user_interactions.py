"""What people do with blocks and views: press, submit, close, use a shortcut. Payloads are made in interaction_payloads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator import interaction_payloads, rules, views
from emulator.delivery import Reply
from emulator.errors import ApiError, LimitError
from emulator.workspace_parts import NO_ACK, WorkspaceParts
from emulator.world import Json


class UserInteractions(WorkspaceParts):
    """The part of Workspace for presses. All methods may be called from any thread."""

    def click(self, user: str, message_ts: str, action_id: str, value: str | None = None, channel: str = "C0HR") -> int:
        """Press a button of a message; returns the HTTP status of the bot's answer, 0 without one.

        `value` tells buttons of the same action_id apart, or is the option chosen. A button that the message has
        lost since then can still be pressed, as by a client that is a moment behind. Raises LookupError for one that
        was never there.
        """
        with self.world.lock:
            versions = [self._message(user, channel, message_ts), *self._older(channel, message_ts)]
            for message in versions:
                if found := interaction_payloads.find_element(message.get("blocks", []), action_id, value):
                    payload = interaction_payloads.block_actions(self.world, user, found, value)
                    payload = interaction_payloads.pressed_in_message(self.world, payload, channel, message, self.url)
                    break
            else:
                raise LookupError(f"message {message_ts} has no element {action_id} with value {value}")
        return self._interact(user, payload).status

    def click_view(self, user: str, view_id: str, action_id: str, value: str | None = None) -> int:
        """Press a button in a modal or in Home; like `click`."""
        with self.world.lock:
            view = self._view(view_id)
            found = interaction_payloads.find_element(view["blocks"], action_id, value)
            if found is None:
                raise LookupError(f"view {view_id} has no element {action_id} with value {value}")
            payload = interaction_payloads.block_actions(self.world, user, found, value)
            payload = interaction_payloads.pressed_in_view(payload, view)
        return self._interact(user, payload).status

    def shortcut(self, user: str, message_ts: str, callback_id: str, channel: str = "C0HR") -> int:
        """Use a shortcut from a message's menu; returns the HTTP status of the bot's answer, 0 without one.

        Raises LookupError for a shortcut that the app has not, and for a message without a menu.
        """
        with self.world.lock:
            message = self._message(user, channel, message_ts)
            if callback_id not in self.world.app.offered():
                raise LookupError(f"the app has no shortcut {callback_id}")
            if message.get("is_ephemeral") or message.get("subtype") == "tombstone":
                raise LookupError(f"message {message_ts} has no menu")
            payload = interaction_payloads.message_action(self.world, user, channel, message, callback_id, self.url)
        return self._interact(user, payload).status

    def submit(self, view_id: str, user: str, values: Mapping[str, Any] | None = None) -> Reply:
        """Submit a modal; `values` maps the block_id of an input to what is entered there (an option's value, a list).

        Nothing is sent while a required input is empty: the reply then has status 0.
        """
        with self.world.lock:
            view = self._view(view_id)
            view["state"] = interaction_payloads.view_state(view, values or {})
            if missing := interaction_payloads.missing_inputs(view):
                self.world.view_errors[view_id] = dict.fromkeys(missing, "Please fill out this field.")
                self.world.changed()
                return Reply(0, reason="required_inputs_empty")
            payload = interaction_payloads.view_submission(self.world, user, view)
        reply = self._interact(user, payload)
        if reply.ok:
            with self.world.lock:
                self._after_submission(user, view, reply)
        return reply

    def close(self, view_id: str, user: str) -> None:
        """Close a modal without submitting it; the bot hears of it if it asked to."""
        with self.world.lock:
            view = self._view(view_id)
            self._remove_view(user, view_id)
            payload = interaction_payloads.view_closed(self.world, user, view, cleared=False)
        if view["notify_on_close"]:
            self._interact(user, payload)

    def _after_submission(self, user: str, view: Json, reply: Reply) -> None:
        """Do what the bot's answer to a submitted view asks for."""
        action = reply.json()
        try:
            match action.get("response_action"):
                case None if reply.text.strip() and not action and reply.text.strip() != "{}":
                    raise LimitError("invalid_response", "[ERROR] a view_submission is answered with nothing or JSON")
                case None:
                    self._remove_view(user, view["id"])
                case "errors":
                    self.world.view_errors[view["id"]] = rules.check_view_errors(view, action)
                case "update":
                    rules.check_view(action.get("view"), "modal")
                    views.refresh(self.world, view, action["view"])
                case "push":
                    rules.check_view(action.get("view"), "modal")
                    views.push(self.world, user, action["view"])
                case "clear":
                    self.world.modals[user] = []
                case other:
                    raise LimitError("invalid_response", f"[ERROR] unknown response_action: {other}")
        except ApiError as wrong:
            self.api.violation("view_submission", wrong.code, *wrong.messages)
            self.world.notify(user, NO_ACK)
        self.world.changed()

    def _remove_view(self, user: str, view_id: str) -> None:
        stack = self.world.modals.get(user, [])
        if view_id in stack:
            stack.remove(view_id)
        self.world.views.pop(view_id, None)
        self.world.changed()

    def _older(self, channel: str, ts: str) -> list[Json]:
        return list(reversed(self.world.replaced.get((channel, ts), [])))

    def _view(self, view_id: str) -> Json:
        if view_id not in self.world.views:
            raise LookupError(f"view {view_id} is not open")
        return self.world.views[view_id]
