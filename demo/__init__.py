"""The demo: the local Slack workspace, a sample API, a scripted model and the bot, started by one command.

The bot knows nothing of it. Start with __main__.py.
"""
