"""The pages of /oauth/: no script, nothing from elsewhere, every text escaped; and the headers that hold browsers to that."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from flask import Response, render_template_string

from base import words
from identity.connecting import Question

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1d1c1d; background: #f5f5f4; margin: 0; padding: 6vh 1rem; }
main { max-width: 34rem; margin: auto; background: #fff; border: 1px solid #ddd; border-radius: 8px; padding: 2rem; }
h1 { font-size: 1.4rem; margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .4rem 1.2rem; margin: 0 0 1rem; }
dt { color: #616061; } dd { margin: 0; overflow-wrap: anywhere; font-weight: 600; }
button { font: inherit; padding: .5rem 1.2rem; border-radius: 6px; border: 1px solid #888; background: #fff; cursor: pointer; }
button.yes { background: #007a5a; border-color: #007a5a; color: #fff; margin-right: .6rem; }
@media (max-width: 30rem) { main { padding: 1.2rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } }
@media (prefers-color-scheme: dark) {
  body { color: #e8e8e8; background: #1a1d21; }
  main { background: #222529; border-color: #444; } dt { color: #b9babd; } button { background: #2c3035; color: #e8e8e8; }
}
"""
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ title }}</title>
<style>{{ style | safe }}</style></head>
<body><main><h1>{{ title }}</h1>{{ body | safe }}</main></body>
</html>
"""
_TOLD = "<p>{{ text }}</p>"
_ASKED = """<dl><dt>{{ in_slack }}</dt><dd><bdi>{{ person }}</bdi> ({{ who }})</dd>
<dt>{{ there }}</dt><dd><bdi>{{ account }}</bdi></dd></dl>
<p>{{ warning }}</p>{% if missing %}<p>{{ missing }}</p>{% endif %}
<form method="post" action="{{ action }}"><input type="hidden" name="confirmation" value="{{ confirmation }}">
<button class="yes" name="answer" value="yes">{{ yes }}</button><button name="answer" value="no">{{ no }}</button></form>
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
# A browser that is to send no referrer says of a form that it comes from nowhere (https://fetch.spec.whatwg.org/#origin-header): so that
# page may name itself, to this very server alone.
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def notice(title: str, text: str, status: int = 200) -> Response:
    """A page that says one thing."""
    return _page(title, render_template_string(_TOLD, text=text), status, "no-referrer")


def asked(question: Question, action: str) -> Response:
    """The page that asks for a yes before anything is stored; `action`: where the answer goes."""
    values: Mapping[str, str] = {
        "in_slack": words.CONNECT_IN_SLACK,
        "person": question.person,
        "who": question.asked.who,
        "there": words.CONNECT_ACCOUNT.format(api=question.asked.api),
        "account": question.account,
        "warning": words.CONNECT_WARNING,
        "missing": words.CONNECT_IN_PART.format(missing=", ".join(question.missing)) if question.missing else "",
        "action": action,
        "confirmation": question.confirmation,
        "yes": words.CONNECT_YES,
        "no": words.CONNECT_NO,
    }
    return _page(words.CONNECT_QUESTION, render_template_string(_ASKED, **values), 200, "same-origin")


def _page(title: str, body: str, status: int, referrer: str) -> Response:
    html = render_template_string(_PAGE, title=title, style=_STYLE, body=body)
    return Response(html, status, {**_HEADERS, "Referrer-Policy": referrer}, content_type="text/html; charset=utf-8")
