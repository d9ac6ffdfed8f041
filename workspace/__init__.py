"""The local Slack workspace: an emulator of Slack with a page to look at. For development, the demo and tests only.

emulator.py is what others use. limits.py and block_kit.py say what Slack accepts, methods.py and webapi.py answer the
bot's calls, delivery.py, speech.py and interactions.py call the bot, world.py holds the state, server.py and page.py
are the HTTP side. hr_api.py is the sample API, scripted_model.py the model of the demo, __main__.py starts it all.
"""
