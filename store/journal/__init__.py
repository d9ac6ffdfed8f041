"""The record of what happened, in the same database, each entry chained to the one before. Start with journal.py."""
