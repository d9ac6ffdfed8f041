"""All that leads to the internal API, for a security review to read: the law, requests that wait, decisions, sending, reads, cards.

Nobody else sends anything to the API, and nothing here talks to the model. Start with policy.py, then gate.py.
"""
