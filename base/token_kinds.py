"""What a credential is, by its form: people copy another one of the many that Slack's pages show. What it says is never repeated."""

from __future__ import annotations

import re

# Setting -> the token that belongs there, and where Slack shows it
TOKENS = {
    "SLACK_BOT_TOKEN": "the Bot User OAuth Token (xoxb-...) of OAuth & Permissions",
    "SLACK_APP_TOKEN": "an app-level token (xapp-...) with the scope connections:write, of Basic Information > App-Level Tokens",
}
# Likewise for the other credentials.
BELONGS = TOKENS | {
    "SLACK_SIGNING_SECRET": "the Signing Secret of Basic Information > App Credentials",
    "OPENAI_API_KEY": "the key that the model's server gave you",
}
# Forms from the most telling: https://docs.slack.dev/authentication/tokens, and the fields of an app's Basic Information.
_FORMS = (
    (r"xoxe\.xoxb-.*", "a bot token of an app with token rotation, which expires after twelve hours"),
    (r"xoxe\.xox[ap]-.*", "an app configuration token"),
    (r"xoxe-.*", "a refresh token"),
    (r"xoxb-.*", "a bot token"),
    (r"xapp-.*", "an app-level token"),
    (r"xox[pu]-.*", "a person's token (User OAuth Token)"),
    (r"xox[acdrs]-.*", "a token of Slack's own or of a legacy app"),
    (r"https?://hooks\.slack\.com/.*", "an incoming webhook's address"),
    (r"https?://.*", "an address"),
    (r"sk-.*", "a key of the model's server"),
    (r"\d{9,}\.\d{9,}", "the Client ID"),
    (r"[AT][A-Z0-9]{8,12}", "an id of an app or a workspace"),
    (r"[0-9a-f]{32}", "the signing secret or the client secret"),
    (r"[A-Za-z0-9]{24}", "the Verification Token, which Slack has replaced by the signing secret"),
)
_OWN = {  # setting -> what belongs there
    "SLACK_BOT_TOKEN": "a bot token",
    "SLACK_APP_TOKEN": "an app-level token",
    "SLACK_SIGNING_SECRET": "the signing secret or the client secret",
    "OPENAI_API_KEY": "a key of the model's server",
}
_SURE = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN")  # what belongs there has no other form
_PLACEHOLDER = re.compile(r"(?:xoxb-|xapp-|sk-)?(?:\.{2,}|…|\*+|x{3,}|<.*>|your\b.*|change-?me|todo)", re.IGNORECASE)


def mistaken(setting: str, value: str) -> str:
    """What stands in a credential's setting instead of what belongs there, empty where nothing speaks against it."""
    if _PLACEHOLDER.fullmatch(value):
        return "this is the placeholder of an example"
    if value[:1] in "\"'" and value[-1:] == value[:1] and len(value) > 1:
        return "the quotes around it would be sent, too; some readers of .env files keep them, so leave them out"
    if value.lower().startswith("bearer"):
        return "leave out the word Bearer"
    if "=" in value and value.partition("=")[0].isupper():
        return f"the value begins with its own name, {value.partition('=')[0]}=; leave that out"
    return _another(setting, value)


def _another(setting: str, value: str) -> str:
    kind = next((kind for form, kind in _FORMS if re.fullmatch(form, value)), "")
    if kind == _OWN[setting] or (setting == "OPENAI_API_KEY" and not value.startswith(("xox", "xapp-", "http"))):
        return ""  # keys of model servers have any form
    return f"this is {kind}" if kind else f"this is not {_OWN[setting]}" if setting in _SURE else ""
