"""The Flask application: which URL is answered by whom, and how every error looks.

Owns the routes, the headers that all answers share, and the one place where errors become problem documents (RFC 8620
§3.6.1, RFC 7807). Must not know what the resources do: each has its module.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from minijmap.config import Settings
from minijmap.http import api, download, events, problems, session, tickets, upload, websocket
from minijmap.http.arrivals import Arrivals
from minijmap.http.cors import Cors
from minijmap.http.front import Front
from minijmap.http.gate import Gate
from minijmap.http.live import Live
from minijmap.http.problems import NotSignedIn, Problem
from minijmap.http.signin import SignIn
from minijmap.http.tickets import Tickets
from minijmap.http.urls import API, DOWNLOAD, EVENTS, TICKET, UPLOAD, WEB_SOCKET, Reach
from minijmap.jmap.engine import Engine
from minijmap.jmap.errors import RequestError

WELCOME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>minijmap</title>
<h1>minijmap</h1>
<p>This is a JMAP server for mail. It has no web mail of its own: give its address to a JMAP
client, and sign in with your address and an app password.</p>
<p>The JMAP Session is at <a href="jmap/session"><code>/jmap/session</code></a>, and at
<code>/.well-known/jmap</code>.</p>
</html>
"""


class NameConverter(BaseConverter):
    """The rest of a path, whatever it has: slashes, line ends, nothing at all."""

    regex = r"[\s\S]*"
    part_isolating = False


class App(Flask):
    """Flask, with CORS preflights answered before any routing: they come without sign-in, for every URL."""

    def __init__(self, cors: Cors) -> None:
        super().__init__("minijmap", static_folder=None, template_folder=None)
        self.cors = cors
        # A name may have any slashes; and a redirect would lose the Authorization header of some clients.
        self.url_map.merge_slashes = False
        self.url_map.converters["name"] = NameConverter

    def wsgi_app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if environ["REQUEST_METHOD"] != "OPTIONS":
            return super().wsgi_app(environ, start_response)
        headers = self.cors.preflight(
            environ.get("HTTP_ORIGIN"),
            environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"),
            environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK"),
        )
        start_response("204 No Content", headers)
        return []


def create_app(engine: Engine, settings: Settings, signin: SignIn, arrivals: Arrivals, cors: Cors, live: Live) -> App:
    """Return the application of one server."""
    limits = engine.limits
    front = Front(
        engine,
        signin,
        Reach(settings.public_url, settings.trusted_proxies),
        arrivals,
        Gate("maxConcurrentRequests", limits.max_concurrent_requests),
        Gate("maxConcurrentUpload", limits.max_concurrent_upload),
        cors,
        live,
        Tickets(engine.clock, engine.token),
    )
    app = App(cors)
    _route(app, API, partial(api.post_api, front), "POST")
    for path in session.PATHS:
        _route(app, path, partial(session.get_session, front), "GET")
    _route(app, UPLOAD + "/<account_id>", partial(upload.post_upload, front), "POST")
    _route(app, DOWNLOAD + "/<account_id>/<blob_id>/<name:name>", partial(download.get_download, front), "GET")
    _route(app, EVENTS, partial(events.get_events, front), "GET")
    _route(app, TICKET, partial(tickets.post_ticket, front), "POST")
    _route(app, WEB_SOCKET, partial(websocket.get_web_socket, front), "GET")
    # A request that asks to become a WebSocket is a kind of its own for werkzeug.
    app.add_url_rule(
        WEB_SOCKET,
        "websocket",
        partial(websocket.get_web_socket, front),
        websocket=True,
        provide_automatic_options=False,
    )
    _route(app, "/healthz", partial(_healthy, engine), "GET")
    _route(app, "/", _welcome, "GET")
    app.register_error_handler(RequestError, _request_error)
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http_error)
    app.after_request(partial(_finish, cors))
    return app


def _route(app: App, path: str, view: Callable[..., Response], method: str) -> None:
    app.add_url_rule(path, endpoint=path, view_func=view, methods=[method], provide_automatic_options=False)


def _welcome() -> Response:
    return Response(WELCOME, content_type="text/html; charset=utf-8")


def _healthy(engine: Engine) -> Response:
    """Answer 200 when the file can be read: what every other answer needs."""
    with engine.database.read() as reader:
        reader.value("SELECT count(*) FROM (SELECT 1 FROM user LIMIT 1)")
    response = Response("ok\n", content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response


def _finish(cors: Cors, response: Response) -> Response:
    """Add the headers that every answer carries, errors included."""
    response.headers.extend(cors.headers(request.environ.get("HTTP_ORIGIN")))
    if "Vary" not in response.headers:
        response.headers.add("Vary", "Origin")
    return response


def _refusal(status: int, problem: Mapping[str, Any], headers: Mapping[str, str] = problems.NO_HEADERS) -> Response:
    response = Response(problems.encoded(problem), status, headers, content_type=problems.MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def _request_error(error: RequestError) -> Response:
    retry = {"Retry-After": "1"} if error.status == 429 else problems.NO_HEADERS
    return _refusal(error.status, error.problem(), retry)


def _problem(error: Problem) -> Response:
    response = _refusal(error.status, error.problem(), error.headers)
    if isinstance(error, NotSignedIn):
        for challenge in error.challenges():
            response.headers.add("WWW-Authenticate", challenge)
    return response


def _http_error(error: HTTPException) -> Response:
    """Answer what Flask refuses itself: an unknown URL, a wrong method, and failures of ours, which it has logged."""
    status = error.code or 500
    methods = getattr(error, "valid_methods", None)
    allow = {"Allow": ", ".join(sorted({*methods, "OPTIONS"}))} if methods else problems.NO_HEADERS
    sentences = {
        404: "There is nothing at this URL. The JMAP Session is at /.well-known/jmap.",
        405: f"This URL takes {' and '.join(sorted(methods or ()))}.",
        500: "Something unexpected went wrong on the server.",
    }
    return _refusal(status, problems.plain(status, sentences.get(status) or error.description or error.name), allow)
