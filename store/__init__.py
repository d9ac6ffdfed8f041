"""The database: every statement, on SQLite and PostgreSQL alike.

It keeps the law (gate/policy.py), it does not make it. Start with tables.py, then store.py.
"""
