"""From apis.yaml to operations, and from the model's words to a validated call.

Nothing is sent or stored here, and no file is opened. Start with catalog.py (what the file says) and calls.py (what may be called).
"""
