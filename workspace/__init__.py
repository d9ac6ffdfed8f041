"""The local Slack workspace: an emulator of Slack with a page to look at. For development, the demo and tests only.

emulator.py is what others use: class Workspace, put together from acts.py and gestures.py (what people do) and sights.py
(what there is to see). world.py holds the state, inhabitants.py who is there, app.py what the installed app may do.
limits.py, rules.py and block_kit.py say what Slack accepts; methods.py is the table of what answers the bot's calls, from
messages.py, streaming.py, conversations.py, assistant.py and views.py; webapi.py stands around it. delivery.py and
sockets.py are the ways to the bot, speech.py and interactions.py make what they carry; server.py and page.py are the HTTP
side. hr_api.py is the sample API, scripted_model.py the model of the demo, catalogs.py what it takes from a catalog,
__main__.py starts it all.
"""
