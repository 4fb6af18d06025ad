"""The messages of JMAP over WebSocket (RFC 8887 §4.3): what a client may say, and the words of the answers.

Owns `@type`, `id` and `requestId`. Must not know frames, nor which connection it is.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from minijmap.jmap import request
from minijmap.jmap.engine import Engine
from minijmap.jmap.errors import NotRequest, RequestError
from minijmap.jmap.session import Login

MOST_TYPES = 100
_SPACE = re.compile(r"[ \t\n\r]*")
_FAILURE = {
    "type": "about:blank",
    "title": "Internal Server Error",
    "status": 500,
    "detail": "Something unexpected went wrong on the server.",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PushEnable:
    """A WebSocketPushEnable object (RFC 8887 §4.3.5.2). `types` is None for all."""

    types: frozenset[str] | None
    push_state: str | None


@dataclass(frozen=True)
class PushDisable:
    """A WebSocketPushDisable object (RFC 8887 §4.3.5.3)."""


Reply = bytes | PushEnable | PushDisable


def reply(engine: Engine, login: Login, message: bytes, refusal: RequestError | None) -> Reply:
    """Answer a message: JSON to send, or what the connection is asked to do. Raises nothing.

    `refusal` is what a Request is told that came while too many others were being answered.
    """
    value: Mapping[str, Any] = {}
    try:
        value = request.load(message)
        return _carry_out(engine, login, value, refusal)
    except RequestError as error:
        return request_error(error.problem(), _id_of(value) if value else readable_id(message))
    except Exception:
        log.exception("A message of a WebSocket could not be answered.")
        return request_error(_FAILURE, _id_of(value))


def _carry_out(engine: Engine, login: Login, value: Mapping[str, Any], refusal: RequestError | None) -> Reply:
    kind = value.get("@type")
    if kind == "WebSocketPushEnable":
        return _push_enable(value)
    if kind == "WebSocketPushDisable":
        return PushDisable()
    if kind != "Request":
        # RFC 8887 §4.3
        raise NotRequest("“@type” must be “Request”, “WebSocketPushEnable” or “WebSocketPushDisable”.")
    if not isinstance(value.get("id", ""), str):
        raise NotRequest("“id” must be a String.")
    if refusal is not None:
        raise refusal
    return _response(value, engine.answer(login, value))


def _push_enable(value: Mapping[str, Any]) -> PushEnable:
    types, push_state = value.get("dataTypes"), value.get("pushState")
    if types is not None and not (
        isinstance(types, list) and len(types) <= MOST_TYPES and all(isinstance(one, str) for one in types)
    ):
        raise NotRequest(f"“dataTypes” must be null or an array of at most {MOST_TYPES} Strings.")
    if push_state is not None and not isinstance(push_state, str):
        raise NotRequest("“pushState” must be a String.")
    return PushEnable(None if types is None else frozenset(types), push_state)


def _response(value: Mapping[str, Any], answered: bytes) -> bytes:
    """Return a Response object with RFC 8887 §4.3.3's members before the others."""
    members = {"@type": "Response"}
    if "id" in value:
        members["requestId"] = value["id"]
    return orjson.dumps(members)[:-1] + b"," + answered[1:]


def request_error(problem: Mapping[str, Any], request_id: str | None) -> bytes:
    """Return a RequestError object (RFC 8887 §4.3.4); as in §4.4, `requestId` is null where it isn't known."""
    return orjson.dumps({"@type": "RequestError", "requestId": request_id, **problem})


def push_message(state_change: Mapping[str, Any], push_state: str) -> bytes:
    """Return a StateChange object with its `pushState` (RFC 8887 §4.3.5.1)."""
    return orjson.dumps({**state_change, "pushState": push_state})


def _id_of(value: Mapping[str, Any]) -> str | None:
    found = value.get("id")
    return found if isinstance(found, str) else None


def readable_id(message: bytes) -> str | None:
    """Return the `id` of an object that is not I-JSON, if it can be read before whatever is wrong with it."""
    decoder = json.JSONDecoder(strict=False)
    text = message.decode(errors="replace")
    at = _after(text, 0)
    try:
        while text[at : at + 1] in ("{", ","):
            name, at = decoder.raw_decode(text, _after(text, at + 1))
            at = _after(text, at)
            if not isinstance(name, str) or text[at : at + 1] != ":":
                return None
            value, at = decoder.raw_decode(text, _after(text, at + 1))
            if name == "id":
                # A lone surrogate is no character: it can't be sent back.
                return value if isinstance(value, str) and value == value.encode(errors="replace").decode() else None
            at = _after(text, at)
    except (ValueError, RecursionError):
        pass
    return None


def _after(text: str, at: int) -> int:
    """Return where white space ends."""
    found = _SPACE.match(text, at)
    return found.end() if found else at
