"""The Session resource (RFC 8620 §2), at its own URL and directly at the one of autodiscovery (§2.2).

A redirect from the latter would lose some clients' Authorization header. Must not know what the Session says.
"""

from flask import Response, request

from minijmap.http.front import Front, json_answer
from minijmap.http.urls import urls_under

PATHS = ("/.well-known/jmap", "/jmap/session")
# RFC 8620 §2: the recommended words.
CACHE = "no-cache, no-store, must-revalidate"


def get_session(front: Front) -> Response:
    """Answer GET: the Session of whoever asks, with URLs as they have reached us."""
    login = front.login()
    return json_answer(front.engine.session(login, urls_under(front.reach.base(request.environ))), cache=CACHE)
