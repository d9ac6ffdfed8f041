"""As whom an API is called: what has to be fetched, signed or renewed before a request can say who asks.

Here lives what makes a request's credential: people's tokens, tokens of the bot's own, signed statements of who asks, and the conversation
with the servers that give them. What the catalog says of it is `catalog/auth.py`; what is in the catalog as it is (a key, a password)
travels by `catalog/credentials.py`. No call of an API is made here, and nothing here hears the model: who asks is settled by Slack's event
and the stored row. Start with `callers.py`, then `identities.py` (the door) and `wiring.py`, which puts the room together. The bot's own
ways are `service_ways.py` and `actors.py`, people's is `accounts.py`, and `connecting.py` and `devices.py` are how somebody comes to an
account. `sign_in_servers.py` and `token_servers.py` ask OAuth servers, both by `metadata.py`, `client_auth.py` and `oauth_line.py`.
"""
