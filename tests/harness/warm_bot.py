"""Loaded once by the process that the tests' bots are forked from (forked_bot.py): all that a start would load and make anew each time.

What is here already is out of the sight of the garbage collector. A bot collects before it serves; looking through all that it has from its
parent, and with that taking a copy of it, was half of a start.
"""

import gc
import os

import openai.resources.chat.completions  # noqa: F401 - what a bot loads once it knows its settings
import psycopg  # noqa: F401

import bot  # noqa: F401
import workers.replica  # noqa: F401
from base.deadline import tls_context

for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
    os.environ.pop(name, None)  # a bot is given its own surroundings
tls_context("")  # the system's certificates, for those that are told no others
gc.collect()
gc.freeze()
