"""The event source resource (RFC 8620 §7.3): a GET whose answer does not end.

Owns who may have one. What is sent, and what the URL's variables mean, is `push.eventsource`'s.
"""

from functools import partial

from flask import Response, request

from minijmap.http.front import Front
from minijmap.http.problems import Problem
from minijmap.http.signin import login_by
from minijmap.push.connections import Connection
from minijmap.push.eventsource import BadParameter, EventStream, wanted

MEDIA_TYPE = "text/event-stream"


def get_events(front: Front) -> Response:
    """Answer GET with a stream, which begins when this has returned; answer HEAD with its header fields."""
    try:
        wish = wanted(request.args)
    except BadParameter as error:
        raise Problem(400, str(error)) from None
    proof = front.prove_by_ticket()
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        # nginx would keep events back until it has a page of them.
        "X-Accel-Buffering": "no",
    }
    response = Response(b"", 200, headers, content_type=MEDIA_TYPE)
    if request.method == "HEAD":
        return response
    last_event_id = request.headers.get("Last-Event-ID")
    visitor = front.live.admit(login_by(proof), partial(front.signin.renew, proof))

    def make(head: bytes) -> Connection:
        return EventStream(front.live.connections, visitor, wish, head, last_event_id)

    front.live.take_over(request.environ, visitor, make)
    return response
