"""Values and rules without doors: nothing below this folder opens a file, a socket, a database or a clock.

Reading a value's own text (a catalog's YAML, a Slack payload) is fine here; fetching it is not.
"""
