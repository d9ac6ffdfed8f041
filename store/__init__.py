"""The database: every statement, on SQLite and PostgreSQL alike. One module per subject: its values, its statements, its transactions.

It keeps the law (gate/policy.py), it does not make it, and it asks nobody: neither Slack nor a model nor an API. Start with tables.py
and database.py; then the subject: arrivals, admission, turns, transcript_rows, proposals, posts, saved_results, recovery, retention.
store.py puts them together.
"""
