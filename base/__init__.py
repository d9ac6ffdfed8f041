"""What every room needs and what knows of none: settings, the log, masking, time, text for people.

Nothing here knows of catalogs, requests or Slack's calls. Start with settings.py and words.py.
"""
