"""From an API's description (OpenAPI, Swagger) to apis.yaml, and renewing what was imported.

For the command line alone: the bot that serves never imports it. Start with openapi.py; fetching.py reaches out, the others don't.
"""
