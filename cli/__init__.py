"""The command line beside serving: check, import, schema, journal, errors. Nothing here is used while the bot serves."""
