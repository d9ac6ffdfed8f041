"""The database: every statement, on SQLite and PostgreSQL alike. One module per subject: its values, its statements, its transactions.

It keeps the law (gate/policy.py), it does not make it, and it asks nobody: neither Slack nor a model nor an API. Start with tables.py
and database.py; then the subject: arrivals, admission, usage, turns, transcript_rows, proposals, posts, saved_results, recovery, restored,
retention. store.py puts them together. Beside it: backup.py and server_backup.py, which copy a database while it is worked on.
"""
