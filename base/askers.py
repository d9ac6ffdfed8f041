"""Who asks: a person by the id that Slack gives them, or an app by the id that the catalog names, marked as one."""

from __future__ import annotations

_APP = "app:"  # no id of Slack's holds a colon


def app_asker(app: str) -> str:
    """An app as the asker of a turn."""
    return _APP + app


def app_of(asker: str) -> str:
    """The id of the app that asks; empty where a person does."""
    return asker.removeprefix(_APP) if asker.startswith(_APP) else ""
