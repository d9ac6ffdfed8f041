"""What Slack says and what is said there: payloads in, posts out, the Web API and the socket.

What becomes of a request is the gate's matter. Start with http_door.py, intake.py, handlers.py (in), then outbox.py (out). Not named
slack: the SDK ships a package of that name.
"""
