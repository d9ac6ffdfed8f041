"""The model's server: what it is asked, and its answers, read without trust. It decides nothing.

What its calls may do is the catalog's and the gate's matter. Start with model_calls.py, then messages.py (asked) and replies.py
(answered), then chat.py.
"""
