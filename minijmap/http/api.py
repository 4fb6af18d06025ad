"""The API resource (RFC 8620 §3.1): a POST of JSON, an answer of JSON.

Must not know JMAP's requests: the engine answers them.
"""

from flask import Response, request

from minijmap.http.arrivals import Kind
from minijmap.http.front import JSON, Front, json_answer
from minijmap.jmap.errors import NotJSON


def post_api(front: Front) -> Response:
    """Answer POST. Raises RequestError as RFC 8620 §3.6.1 has it."""
    login = front.login()
    with front.body(Kind.API) as body, front.requests.enter(login.user.key):
        if request.mimetype != JSON:
            # RFC 8620 §3.6.1
            raise NotJSON(f"The Content-Type must be {JSON}, not “{request.content_type or ''}”.")
        answer = front.engine.handle(login, body)
    return json_answer(answer)
