"""The command line beside serving: check, import, schema, journal, errors, backup, restore. Nothing here is used while the bot serves."""
