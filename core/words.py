"""Every word that people see in Slack, in one place. Short, friendly, and with what to do next."""

from __future__ import annotations

THINKING = "is thinking..."

HELP = "Hi! Mention me with a question or a task, in your own words, and I'll answer here in the thread."
TOO_MANY = "Too many requests right now, so I haven't taken this one up. Please ask again in a few minutes."
KEPT = "I've noted this. I'm waiting for a decision on the card above and will take your message up right after it."
NOT_ME = "You can't decide this one: it is for <@{approver}>, who asked for it."
ALREADY = "This one is already decided, so your click changed nothing."
GUEST_ASKS = "Sorry, guests and people from other organisations can't use me in this workspace."
GUEST_DECIDES = "Sorry, guests and people from other organisations can't decide here."
STRANGER = "Sorry, I couldn't find out who you are in this workspace, so I can't do this for you."

FAULT = "Something went wrong on my side and I had to stop. Please try again; if it stays, tell my operators the reference {reference}."
MODEL_DOWN = "The language model didn't answer ({reason}), so I had to stop. Please try again in a minute (reference {reference})."
MODEL_ODD = "The language model's answer made no sense to me ({reason}), so I had to stop. Please try again (reference {reference})."
EMPTY = "The language model gave an empty answer. Please ask again, perhaps in other words."
FILTERED = "The language model's provider filtered this answer, so there is nothing to show. Please ask in other words."
CUT = "_(The model's answer ended here because it reached its length limit.)_"
NO_END = "I've used up the {calls} model calls that one question may take and still have no answer. Please ask for less at once."


def elsewhere(channels: tuple[str, ...]) -> str:
    """The one polite line for a mention outside of the designated channels. `channels`: ids, or names with '#'."""
    places = [place if place.startswith("#") else f"<#{place}>" for place in channels]
    return f"I only work in {' and '.join(places)}. Please ask me there."


# --- the card ---------------------------------------------------------------------------------------------------------

LOCK = "\N{CLOSED LOCK WITH KEY}"  # reserved: cards begin with it, and no text of the model can hold it
CARD_TITLE = f"{LOCK} Approval needed"
CARD_TITLES = {
    "pending": CARD_TITLE,
    "approved": f"{LOCK} Approved",
    "sending": f"{LOCK} Approved",
    "done": f"{LOCK} Approved and done",
    "failed": f"{LOCK} Approved, but it failed",
    "unknown": f"{LOCK} Approved, outcome unknown",
    "rejected": f"{LOCK} Denied",
    "expired": f"{LOCK} Expired",
    "withdrawn": f"{LOCK} Withdrawn",
    "stale": f"{LOCK} Out of date",
}
APPROVE, DENY = "Approve", "Deny"
NO_BODY = "(no body)"
CARD_PART = "Body of the request below, part {part} of {parts}"

OUTCOMES = {
    "expired": "No decision in time. Nothing was sent.",
    "withdrawn": "Withdrawn. Nothing was sent.",
    "stale": "The target changed in the meantime. Nothing was sent.",
    "unknown": "Sent, but no answer arrived: it may or may not have happened. Please look before you try again.",
}

# --- what the model is told of a decision ----------------------------------------------------------------------------

TOLD = {
    "rejected": "A person denied this request. It was not sent. Do not propose it again unless the person asks for it.",
    "expired": "No decision in time: nobody approved or denied this request before it expired. It was not sent.",
    "withdrawn": "This request was withdrawn before a decision. It was not sent.",
    "stale": "The target changed since the card was shown. The request was not sent.",
    "unknown": "The request was sent, but no answer arrived: it may or may not have happened. Do not repeat it. Tell the person to look.",
}
