"""Every word that people see in Slack, in one place: short, friendly, and with what to do next. At the end, what the model is told beside
an API's data, and of a decision."""

from __future__ import annotations

from collections.abc import Sequence

from base.askers import app_of

THINKING = "is thinking..."
AWAITING_ACCOUNT = "is waiting for the asker to connect an account"
FINDING = "is looking for operations"
BUSY_MODEL = "is waiting: the language model is busy (next try in {wait})"
READING, PREPARING = "is reading", "is preparing a request about"

HELP = "Hi! Mention me with a question or a task, in your own words, and I'll answer here in the thread."
TOO_MANY = "Too many requests right now, so I haven't taken this one up. Please ask again in a few minutes."
TOO_MANY_OF_YOURS = (
    "You already have many messages waiting, and I leave room for others, so I haven't taken this one up."
)
NOT_UNDERSTOOD = "The strictest rule applies, since it is unclear which one is meant for this request: {problem}."
MANY = "The {most} requests before this one in the same reply were sent without a click; from here on I ask."
TAINTED = "This conversation contains data from the API or other people's words, and I may be acting on those."
RATE_REACHED = "One person may ask {rate} here, and you have asked that many. Please ask again {when} or later."
CHANNEL_RATE_REACHED = "This channel may ask {rate}, and it has asked that many. Please ask again {when} or later."
TOKENS_USED = (
    "You have used as much of the language model as one person may in 24 hours. Please ask again {when} or later."
)
TOKENS_OF_ALL_USED = "All of you together have used as much of the language model as you may in 24 hours. Please ask again {when} or later."
QUESTIONS = "{count:,} question{s} {a} {span}"
KEPT = "I've noted this and will get to it right after the decision on the card above."
APP = "the app {app}"
NO_PERSON = "I only work for people, who can answer for what they ask. This came from a workflow or an app, so I haven't taken it up."
APP_ASKS_ON = (
    "This thread already has many questions, so I won't answer another one from an app here. Please start a new thread."
)
NOT_YOU = "You can't decide this one. Who can: {deciders}."
NOT_ASKER = "You asked for this one, so somebody else has to decide it. Who can: {deciders}."
NOT_YOURS = "Only {asker}, who asked for it, can withdraw this one."
NO_LOOKUP = (
    "I couldn't look up who belongs to {group}, so I can't accept your decision. Please try again; if it keeps happening, tell my "
    "operators."
)
ALREADY = "This one has already been decided, so your click changed nothing."
VOTED = "You have already voted, so your click changed nothing. Somebody else has to approve it, too."
TOO_LATE = "That took too long for Slack. Please click again."
GUEST_ASKS = "Sorry, guests and people from other organisations can't use me in this workspace."
NOTHING_TO_ASK = (
    "There is nothing that you may ask me for here. If there should be, tell my operators: "
    "they decide who may ask for what."
)
NOT_KNOWN_WHO = (
    "I couldn't look up in Slack what you may ask me for, so I haven't taken this up. Please ask again in a few minutes; if it keeps "
    "happening, tell my operators."
)
PARTLY_KNOWN_WHO = "_(I couldn't look up in Slack all that you may ask me for, so something may be missing here.)_"
GUEST_DECIDES = "Sorry, guests and people from other organisations can't decide here."
STRANGER = "Sorry, I couldn't find out who you are in this workspace, so I can't do this for you."

FAULT = (
    "Something went wrong on my side and I had to stop. Please try again; if it keeps happening, tell my operators the reference "
    "{reference}."
)
MODEL_DOWN = "The language model didn't answer ({reason}), so I had to stop. Please try again in a minute (reference {reference})."
MODEL_ODD = "The language model's answer made no sense to me ({reason}), so I had to stop. Please try again (reference {reference})."
SET_ASIDE = (
    "My process died each time I worked on this, so I've set it aside. "
    "Please ask in another way; if it keeps happening, tell my operators."
)
RESTORED = "I was restored from a backup of {when}, so I don't know whether I answered this. If you see no answer, please ask again."
FROM_BEFORE = "I was restored from a backup and don't know whether I answered this before you changed it. Please ask in a new message."
MODEL_BUSY = (
    "The language model's server is busy. I kept trying for {waited}, then I had to stop. Please ask again in a few minutes "
    "(reference {reference})."
)
MODEL_BUSY_LONG = (
    "The language model's server is busy and asks to wait {wait}. Please ask again after that (reference {reference})."
)
MODEL_REFUSED = (
    "The language model's server refused this ({reason}), and asking again won't change that: my operators have to look into it. "
    "Please tell them the reference {reference}."
)
MODEL_QUOTA = (
    "The language model's account is used up ({reason}), and asking again won't change that: my operators have to look into it. "
    "Please tell them the reference {reference}."
)
MODEL_FILTERED = (
    "The language model's provider filtered this request. Please ask in other words (reference {reference})."
)
MODEL_TOO_LONG = (
    "Your question, with what I found for it, is more than the language model takes at once. Please ask for less, or in fewer words "
    "(reference {reference})."
)
CONNECT = "Connect your {api} account"
CONNECT_SHORT = "Connect your account"  # where the name is too long for a button
CONNECT_ASK = (
    "To go on, I need your own {apis} account, because I act there in your name. Connect it, and I'll go on with your question. "
    "This is for you alone, so please don't pass it on. I'll wait until {until}."
)
YOU_ASKED = "You asked {question}:"  # Markdown; the question is code
ANSWERED_ALONE = "<@{asker}>, the answer is for you alone: I've sent it as a direct message."
NO_ACCOUNT_OF_APP = "I use people's own accounts for {apis}, and an app has none, so I can't do this for it."
NOT_CONNECTED_IN_TIME = (
    "No {apis} account was connected in time, so I stopped here. Connect yours in my Home tab, then ask again."
)
NOT_CONNECTED_NOW = (
    "The {api} account that this was asked with is no longer connected. Connect it in my Home tab, then ask again."
)
KEPT_CONNECTING = "I've noted this and will get to it once <@{asker}> has connected an account."
CONNECTED = "Your {api} account is connected: {account}. I'll use it for what you ask, and for nobody else."
CONNECTED_IN_PART = (
    "I was granted less than I asked for (missing: {missing}). If something doesn't work, disconnect it in my Home tab and "
    "connect it again."
)
CONNECT_CODE = "The page asks for a code. Yours for {api}: *{code}*"
CONNECT_NEW_CODE = "Get a new code"
CONNECT_OVER = "This question doesn't wait for your account any more."
CONNECT_AGAIN = (
    "{problem} Your question is still waiting, until {until}: connect your {apis} account, and I'll go on with it."
)

# --- the pages on which an account is connected: people read these in their browser, not in Slack ---------------------

CONNECT_NO_LINK = (
    "This link doesn't work any more: its question was answered or deleted or waited too long, or the link is incomplete. "
    "Go back to Slack; my Home tab has a new one."
)
CONNECT_UNKNOWN = "This sign-in didn't begin here, so nothing was connected. Go back to Slack and press Connect there."
CONNECT_USED = (
    "This page was used before, or another window was faster, so nothing more was done. My Home tab in Slack shows whether your account "
    "is connected."
)
CONNECT_EXPIRED = (
    "This sign-in took more than ten minutes, so nothing was connected. Go back to Slack and press Connect again."
)
CONNECT_ELSEWHERE = (
    "This sign-in began in another browser, or your browser keeps no cookies, so nothing was connected. "
    "Go back to Slack, press Connect, and stay in the browser that opens."
)
CONNECT_NOT_YOU = "If that wasn't you, somebody else has seen your link or where it led; they gained no access."
CONNECT_OTHER_EMAIL = (
    "You signed in to {api} with an account whose e-mail address isn't the one you have in Slack, so nothing was connected. "
    "Sign in with your own account. If someone sent you a link for this, don't use it."
)
CONNECT_NO_API = "I don't need people's own accounts for {api} any more, so nothing was connected: just ask again."
CONNECT_NO_PERSON = (
    "Slack can't tell me who you are right now, so nothing was connected. Please press Connect again in a minute."
)
CONNECT_NO_CONFIRMATION = (
    "I don't know this page (any more), so nothing was connected. Go back to Slack and press Connect again."
)
CONNECT_CHANGED = (
    "My settings for {api} were changed meanwhile, so nothing was connected. Go back to Slack and press Connect again."
)
CONNECT_FOREIGN = (
    "This answer didn't come from my own page, so nothing was connected. Go back to Slack and press Connect again."
)
CONNECT_BUSY = "Many people are connecting their accounts right now. Please reload this page in a few seconds."
CONNECT_FAULT = (
    "Something went wrong on my side. My Home tab in Slack shows whether your {api} account is connected; if it isn't, press Connect "
    "there. If this happens again, tell whoever runs this bot the reference {reference}."
)
CONNECT_DECLINED = "Nothing was connected, and nothing was kept. You can close this window."
CONNECT_SAID_NO = "On my page the answer was No, so no {api} account was connected. Press Connect to try again."
CONNECT_DONE = "Your account is connected. You can close this window and go back to Slack."
CONNECT_QUESTION = "Connect this account?"
CONNECT_WARNING = (
    "What this Slack account asks me will be done with that account. If this isn't your own Slack account, somebody sent you their link: "
    "press No."
)
CONNECT_IN_PART = "I was granted less than I asked for (missing: {missing}). Some things may not work."
CONNECT_IN_SLACK, CONNECT_ACCOUNT = "In Slack", "{api} account"
CONNECT_YES, CONNECT_NO = "Yes, connect it", "No"
CONNECT_THIS_API = "that API"
CONNECT_PAGE_DONE, CONNECT_PAGE_NOT_DONE = "Connected", "Not connected"

EMPTY = "The language model gave an empty answer. Please ask again, perhaps in other words."
FILTERED = "The language model's provider filtered this answer, so there is nothing to show. Please ask in other words."
FILES = "_(Attached: {names}. I can only read the names of files, not what is in them.)_"
EMPTY_END = 'The language model gave no answer (it ended with "{ending}"). Please ask again, perhaps in other words.'
ODD_END = '_(The model\'s server ended this answer with "{ending}", so there may be something missing.)_'
CUT = "_(The model's answer ended here because it reached its length limit.)_"
NO_END = "I've used up the {calls} model calls that one question may take and still have no answer. Please ask for less at once."


STOP, CANCEL, DELETE = "Stop", "Cancel", "Delete"
STOP_TITLE, STOP_ASK = "Stop this answer?", "I'll stop here and keep what is written so far."
DELETE_TITLE, DELETE_ASK = "Delete this message?", "It disappears for everybody. I can't bring it back."
STOPPED = "_(Stopped here.)_"
STOPPED_EMPTY = "_(Stopped before there was an answer.)_"
QUESTION_DELETED = "_(The question was deleted before there was an answer.)_"
NOTHING_RUNS = "There's nothing running here that I could stop."
NOT_YOURS_TO_STOP = "Only {asker}, who asked, can stop this one."
NOT_MINE = "I can only delete my own messages, and I don't know this one."
NO_CARDS = "This is the record of a request, so it stays."
NOT_YOURS_TO_DELETE = "Only {asker}, who asked, can have this one deleted."
NOT_A_MEMBER = (
    "In direct messages I only answer members of {places}, and you aren't one. Please ask one of them to invite you."
)
NOT_LOOKED_UP = (
    "In direct messages I only answer members of {places}, and I can't look them up right now. Please ask me there."
)
NO_DIRECT = "I don't work in direct messages here. Please ask me in {places}."
ELSEWHERE_CARD = "Others have to decide this one, so the card is in <#{channel}>: {link}"
NO_CHANNEL_NAME = "Slack doesn't say which channel this is, so I don't know what I may do here."
NOBODY_THERE = "Others have to decide this, and I can't reach the channel where they are. Nothing was sent."


def elsewhere(channels: Sequence[str]) -> str:
    """The one polite line for a mention outside of the designated channels. `channels`: ids, or names with '#'."""
    return f"I only work in {places(channels)}. Please ask me there."


def asker(who: str) -> str:
    """Who asked, as people read it: a mention; an app has none."""
    return APP.format(app=f"`{app}`") if (app := app_of(who)) else f"<@{who}>"


def places(channels: Sequence[str]) -> str:
    """Channels as links or names."""
    return " and ".join(place if place.startswith("#") else f"<#{place}>" for place in channels)


# --- the card ---------------------------------------------------------------------------------------------------------

LOCK = "\N{CLOSED LOCK WITH KEY}"  # reserved: cards begin with it, and no text of the model can hold it
CARD_TITLES = {
    "pending": f"{LOCK} Approval needed",
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
STATES = {
    "pending": "waiting",
    "approved": "approved",
    "sending": "being sent",
    "done": "done",
    "failed": "failed",
    "unknown": "outcome unknown",
    "rejected": "denied",
    "expired": "expired",
    "withdrawn": "withdrawn",
    "stale": "out of date",
}
# 2xx that do not say that it is done: RFC 9110, 15.3.3, and RFC 4918, 11.1
TITLES_BY_STATUS = {202: f"{LOCK} Approved and accepted", 207: f"{LOCK} Approved, and answered in parts"}
STATES_BY_STATUS = {202: "accepted", 207: "answered in parts"}
NOT_ALL = {202: "it may still be under way, or fail later.", 207: "some parts of it may have failed."}
UNSENT_TITLE, UNSENT = f"{LOCK} Approved, but not sent", "not sent"  # failed before anything left
RESTORED_TITLE = (
    f"{LOCK} Outcome unknown"  # the bot was restored from a backup in which this waited, or was not sent yet
)
RESTORED_OUTCOME = (
    "I was restored from a backup, so I don't know what became of this since. I won't send it. "
    "Please look before you ask again."
)
DRY_RUN_TITLE = " (dry run)"
APPROVE, DENY, DENY_REASON, WITHDRAW = "Approve", "Deny", "Deny with reason...", "Withdraw"
SHOW_ALL, CHECK, APPROVE_ALL, APPROVE_REST = "Show all", "Check", "Approve all {count}", "Approve the other {count}"
BATCH_TITLE = f"{LOCK} {{count}} requests, one click each or all at once"
BATCH_LATER = f"{LOCK} {{count}} requests: {{states}}"
DECIDES = "may decide"
RECIPE_STEP = "Step {step} of recipe {recipe}"
MORE_PEOPLE = "{count} more"
NOT_THE_ASKER = " (not the asker)"
VOTES = "{quorum} votes needed, so far: {votes}"
SENT_AS_JSON = "Sent as {type}:"
SENT_OTHERWISE = "Not sent as JSON:"
VOTES_SO_FAR = "{votes} of {quorum} votes"
NO_BODY = "(no body)"
MATCHED = "Looked up for this request:"
MATCHED_LINE = "{name}: {id}, found for {value}{more}"
SENT_AS = {
    "form": "Sent as a form (application/x-www-form-urlencoded):",
    "multipart": "Sent as a form with files (multipart/form-data):",
}
BODY_CUT = "... {left:,} of {whole:,} characters are left out here. Show all has them ..."
HIDDEN = "{count} characters, hidden by the catalog"
CHANGES = "What changes:"
CHANGE_TITLE = {"DELETE": "What is removed:", "POST": "What the request says about it:"}
ABOUT = "About: {name}"
NAMED_ID = "{label} {key}"
AS_IT_IS = "As it is now:"
TARGET_UNREAD = "What this is about can't be shown: {problem}."
TARGET_STATUS = "What this is about can't be shown: the API answered {status}."
TARGET_GONE = "There is nothing there: the API answered {status}."
MORE_FIELDS = "... and {count} more lines. Show all has them."
NO_CHANGE = "Nothing: the target looks like this already."
NO_FIELDS = "The request has no body, so it names no field."
OTHER_BODY = "The request's body is a list; it is unclear what it changes here."
NOTHING = "(nothing)"
NOT_SHOWN = "(hidden by the catalog)"
ARROW, BECOMES = "\N{RIGHTWARDS ARROW}", "becomes"
LEFT_OUT = "{field}: {value} (not in the request)"
ADDED = "{field}: + {value}"
REORDERED = "{field}: the same items in another order"
OPERATIONS = {
    "add": "add {field}: {new}",
    "remove": "remove {field}: {old}",
    "replace": "replace {field}: {change}",
    "move": "move {source} to {field}",
    "copy": "copy {source} to {field}",
    "test": "only if {field} is {new}",
}
MAY_CHANGE = "What it may change:"
THINGS, THINGS_AT_LEAST = "{count:,}: {names}", "{count:,} at least: {names}"
ALL_OF_IT = "(the whole answer)"
ALL_LISTED = "All {count:,} that {read} lists:"
SOME_LISTED = "The first {count:,} of {total:,} that {read} lists:"
MORE_LISTED = "The first {count:,} that {read} lists; there are more:"
MAYBE_LISTED = "{count:,} in the answer of {read}; the catalog does not say whether there are more:"
ONE_OF_THEM = "\N{BULLET} {name}"
NONE_LISTED = "Nothing: {read} lists none."
THOSE_NAMED = "{count:,} of the {total:,} that the request names:"
NOT_THERE = "Not there: {ids}"
NOT_FOUND = "Not found in the part of the list that was read: {ids}"
MORE_THINGS = "... and {count:,} more."
NAMELESS = "(no name, no id)"
VERBS = {"rejected": "Denied", "withdrawn": "Withdrawn", "approved": "Approved"}
REASON = "reason"
BEING_SENT = "being sent"
NOT_SENT = "Nothing was sent."
NOT_ALLOWED_NOW = "The catalog does not allow this request any more."
NOT_THEIRS_NOW = "The person who asked for this may no longer ask for it."
ASKER_UNKNOWN = "Slack can't confirm right now that the person who asked for this may do so."
NOT_ALLOWED_TO_READ = "the catalog does not allow this request any more"
NOT_READ_AGAIN = "The target could not be read again before sending."
MOVED = "Changed on its own meanwhile, so it did not count: {fields}"
ANSWERED = "The API answered {status}"
REMINDER = "Still waiting for a decision on the request `{fingerprint}` above: {deciders}, until {until}."

OUTCOMES = {
    "expired": "No decision in time. Nothing was sent.",
    "withdrawn": "Nothing was sent.",
    "stale": "Nothing was sent; a new card asks again.",
    "unknown": "Sent, no answer: it may or may not have happened. Please look before you try again.",
}
GATEWAY = "A gateway answered {status} in its place."
TARGET_CHANGED = "The target changed after the card was posted{fields}."
KEYS_TO_SET = " If this keeps changing on its own, set preview: {{ignore: [{fields}]}} for {operation} in the catalog."
RULE_CHANGED = "The catalog's rule about who decides changed after the card was posted."
RENEWED = "{reason} This card asks again."
SEALED_OTHERWISE = "The bot was updated, or got another key, while this waited. Please ask again."
ALTERED = "The stored request is not the one that was asked for and approved: it was changed in the database."
UNSHOWN = "Slack did not accept the card, so nobody could decide."
STOPPED_BATCH = "Not sent, since an earlier request of the set did not succeed."
CHECKED = "{method} request {fingerprint}, outcome unknown: the target as the API shows it now ({status})."
STILL_CHANGES = {"DELETE": "What the request would still remove:"}
STILL_CHANGE = "What the request would still change:"
NOT_READ_IN_TIME = "it was not read in time"
NEEDS_VALUE = "reading it needs '{name}', which the request does not have"
NEEDS_HIDDEN = "reading it would show a value that the catalog hides"
NO_PREVIEW = "the catalog has no GET for it"
NOT_READ_BY_ASKER = "the person who asked for this may not read it"
NOT_READ_HERE = "this channel does not allow reading it"
NEEDS_APPROVAL = "reading it needs a person's approval"
ODD_QUERY = "the request selects by '{name}', which {read} does not take"
ODD_BODY = "the request's body says which things are meant"
NO_LIST = "{read} did not give a complete list"
NOT_ONE = "{read} does not show a single thing"
NOT_LISTED = "{read} lists none with {label} {key}"
NOT_IN_PART = "{read} was not read to its end, and no part of it has {label} {key}"
STATUS_OF = "the API answered {read} with {status}"
LED_ASTRAY = "reading it led to something that the catalog does not allow"
CHECK_FAILED = "{method} request {fingerprint}: the target can't be shown: {problem}."

# --- dry run ----------------------------------------------------------------------------------------------------------

DRY_RUN_NOTE = "Dry run: nothing was sent."
DRY_RUN_ANSWER = "_(Dry run: no change was sent to the API.)_"

# --- modals -----------------------------------------------------------------------------------------------------------

WHOLE_TITLE, NOTICE_TITLE = "The whole request", "Not done"
PAGE = "Page {page} of {pages} · fingerprint `{fingerprint}`"
BACK, ON, CLOSE = "Back", "Next", "Close"
REASON_LABEL = "Why not? The bot passes this on."

# --- App Home ---------------------------------------------------------------------------------------------------------

HOME_WAITING, HOME_NOTHING = "Waiting for you", "Nothing is waiting for you."
HOME_ASKED, HOME_NOTHING_ASKED = "What you asked for lately", "Nothing yet."
OPEN_THREAD = "Open the thread"
HOME_MORE = "... and {count} more, in their threads."
HOME_ACCOUNTS = "Your accounts"
HOME_CONNECTED = "{api}: connected as {account}."
HOME_UNCONNECTED = "{api}: not connected. I act there in your name, with your own account."
HOME_UNCONNECTED_ASK = "{api}: not connected. Ask me something about it, and I'll tell you how to connect your account."
HOME_FAILED = "The last try to connect it failed: {problem}"
DISCONNECT, DISCONNECT_TITLE = "Disconnect", "Disconnect this account?"
DISCONNECT_ASK = (
    "I'll give up my access to {api} in your name. Requests that are waiting for a decision there won't be sent."
)
NO_ACCOUNT = "This account isn't connected any more."
HOME_CAN = "What can be asked"
HOME_HOW = "Mention me in {places} with a question or a task, in your own words."

# --- what the model is told of a decision ----------------------------------------------------------------------------

TOLD = {
    "rejected": "A person denied this request. It was not sent.",
    "expired": "No decision in time: nobody approved or denied this request before it expired. It was not sent.",
    "withdrawn": "The person who asked withdrew this request before a decision. It was not sent.",
    "unknown": "Sent, no answer: it may or may not have happened.",
}
TOLD_RESTORED = (
    "The bot was restored from a backup: whether this was decided and sent since is not known. It will not be sent."
)
TOLD_TO_DO = {
    "rejected": "Do not propose it again unless the person asks for it.",
    "unknown": "Do not repeat it. Tell the person to look.",
}
TOLD_TAKEN_BACK = "{note} This request was not sent."
TOLD_REASON = " The person's reason: {reason}"
TOLD_DRY_RUN = "Dry run: this was approved, but nothing was sent."
DO_SAY_SO = "Say so to the person."

# --- what the model is told of a call ---------------------------------------------------------------------------------

IS_PART = "These are not all: {why}."
MAY_BE_PART = "These may not be all: {why}."
ALL_PAGES = "The same call with all_pages reads on."
UNSURE_WHOLE = "Whether these are all is not known: the catalog does not say how this list is paged, and the answer has no sign of more."
LIST_MOVED = "the list changed while it was read"
TOTAL_MOVED = (
    "The list changed while it was read: the API counted {0:,}, then {1:,}. Something may be missing or be gone by now."
)
CAME_AGAIN = "{count} came again on a later page, since the list changed while it was read; each is here once."
LINK_NAMES = (
    "the API's link to the next page uses {names}, and the url of {operation} in the catalog has no such query name"
)
WHOLE_KEPT = "The whole answer is kept as {name}: read_result gives other parts of it without another call."
KEPT_PART = "What was read is kept as {name}: read_result gives other parts of it without another call."
NOT_KEPT = "{name} was not kept, or is no longer kept. Make the call again that gave it."
LOOKUP_NONE = (
    "{name}: {operation} lists nothing that matches '{value}'. Ask the person, or look in that list for what is meant."
)
LOOKUP_PARTIAL = "{name}: '{value}' could not be looked up, since {operation} could not be read completely: {why}. Give the id itself."
LOOKUP_SEVERAL = "{name}: '{value}' fits {count}. Ask the person which one is meant and make the call with its id."
LOOKUP_FAILED = "{name}: it could not be looked up: {why}. Give the id itself."
HIDDEN_MATCH = "looked up, hidden by the catalog"

# --- people's accounts at sign-in servers -----------------------------------------------------------------------------

SIGN_IN_AWAY = "The sign-in server of {api} gave no answer. Try again in a few minutes."
SIGN_IN_ODD = (
    "The sign-in server of {api} gave an answer that cannot be trusted or understood. "
    "Ask whoever runs this bot to look at its log."
)
SIGN_IN_REFUSED = "The sign-in server of {api} refused ({code}). Ask whoever runs this bot to look at its log."
SIGN_IN_REFUSED_BY = {
    "access_denied": "The sign-in at {api} was denied or cancelled. Connect again to try once more.",
    "expired_token": "The code for signing in to {api} has expired. Connect again to get a new one.",
    "invalid_grant": "The sign-in at {api} is no longer valid. Connect your account again.",
    "temporarily_unavailable": "The sign-in server of {api} is busy. Try again in a few minutes.",
    "server_error": "The sign-in server of {api} had a fault. Try again in a few minutes.",
    "slow_down": "The sign-in server of {api} gets too many requests. Try again in a few minutes.",
}
SIGN_IN_MIXED_UP = "The answer from {api} does not belong to this sign-in, so nothing was connected. Connect again."
SIGN_IN_ENDED = "Your sign-in at {api} has ended."
SIGN_IN_MOVED = "{api} has another sign-in server now."
SIGN_IN_UNREADABLE = "Your sign-in at {api} can't be read any more, since my key was changed."
RENEWAL_SLOW = "The sign-in server of {api} is slow to renew your sign-in. Try again in a minute."
ACCOUNT_CHANGED = (
    "This was asked for with a different {api} account from the one that is connected now. Please ask again."
)
