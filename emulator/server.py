"""The workspace over HTTP: /api/* for the bot, /actions/* for response_urls, / and /page/* for a person's browser.

Only translation between HTTP and class Workspace.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request

from emulator import limits, page
from emulator.webapi import Answer

if TYPE_CHECKING:
    from emulator.emulator import Workspace


POST_ONLY = frozenset(name for name, spec in limits.METHODS.items() if spec.app_token)


def create_app(workspace: Workspace) -> Flask:
    """The WSGI application. Dropped connections need werkzeug's own server, which tells the socket."""
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(page.blueprint(workspace))

    @app.route("/api/<method>", methods=["GET", "POST"])
    def api(method: str) -> Response:
        token, args = _arguments(method)
        if request.method == "GET" and method in POST_ONLY:
            return _response(workspace, Answer(200, {"ok": False, "error": "insecure_request"}))
        answer = workspace.api.call(method, token, args)
        workspace.send_events()
        return _response(workspace, answer)

    @app.post("/actions/<team>/<ident>")
    def respond(team: str, ident: str) -> Response:
        answer = workspace.api.respond(ident, request.get_json(force=True, silent=True))
        workspace.send_events()
        return _response(workspace, answer)

    return app


def _arguments(method: str) -> tuple[str | None, dict[str, Any]]:
    """The token and the arguments, from the query, a form or a JSON body.

    As in Slack: a token in JSON does not count, and some methods do not read JSON bodies at all.
    """
    args: dict[str, Any] = {**request.args, **request.form}
    token = args.pop("token", None)
    if request.is_json and (method not in limits.METHODS or limits.METHODS[method].reads_json):
        body = request.get_json(silent=True)
        args |= body if isinstance(body, dict) else {}
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if method in POST_ONLY:
        token = None  # an app's token counts in the header alone
    return (bearer.strip() if scheme.lower() == "bearer" else token), args


def _response(workspace: Workspace, answer: Answer) -> Response:
    if answer.body is None:
        workspace.stopping.wait(answer.hold)
        connection: socket.socket = request.environ["werkzeug.socket"]
        with contextlib.suppress(OSError):  # the caller may have gone first
            connection.shutdown(socket.SHUT_RDWR)
        return Response(status=500)  # goes nowhere
    body = jsonify(answer.body) if isinstance(answer.body, dict) else Response(answer.body, mimetype="text/html")
    body.status_code = answer.status
    body.headers.update(answer.headers)
    return body
