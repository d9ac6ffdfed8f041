"""The local Slack workspace: an emulator of Slack with a page to look at. For development, the demo and tests only.

emulator.py is what others use: class Workspace, put together from messaging.py and user_interactions.py (what people do) and
inspection.py (what there is to see). world.py holds the state, members.py who is there, app.py what the installed app may do.
limits.py, rules.py and block_kit.py say what Slack accepts; methods.py is the table of what answers the bot's calls, from
messages.py, streaming.py, conversations.py, assistant.py and views.py; webapi.py stands around it. delivery.py and
sockets.py are the ways to the bot, speech.py and interaction_payloads.py make what they carry; server.py and page.py are the
HTTP side.
"""
