"""The command line: what an operator runs beside the bot, and what an operator tells the bot while it serves.

The commands are in commands.py (check, import, schema, journal, errors), backups.py and tokens.py; none of them is used while the bot
serves. signals.py hears SIGTERM, Ctrl-C and SIGHUP, reloading.py takes the catalog again. Start with commands.py.
"""
