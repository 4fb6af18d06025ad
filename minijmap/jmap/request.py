"""A Request: limits, `using`, creation ids, result references, dispatch (RFC 8620 §3).

The one place where errors become JSON. Must not know any method.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from minijmap.jmap import ijson, pointer
from minijmap.jmap.call import Call, Snapshot, snapshot_of
from minijmap.jmap.errors import (
    InvalidArguments,
    InvalidResultReference,
    LimitExceeded,
    MethodError,
    NotJSON,
    NotRequest,
    ServerFail,
    UnknownCapability,
    UnknownMethod,
)
from minijmap.jmap.session import CORE, Login
from minijmap.jmap.values import ID

if TYPE_CHECKING:
    from minijmap.jmap.engine import Engine

log = logging.getLogger(__name__)


@dataclass
class Response:
    """One entry of `methodResponses`."""

    name: str
    arguments: dict[str, Any]
    call_id: str
    plain: Any = None

    def values(self) -> Any:
        """Return the arguments as Python values: what was spliced as JSON is parsed when a reference asks for it."""
        if self.plain is None:
            spliced = any(map(_has_spliced, self.arguments.values()))
            self.plain = orjson.loads(orjson.dumps(self.arguments)) if spliced else self.arguments
        return self.plain


def _has_spliced(value: Any) -> bool:
    """Say whether a list or an object has spliced JSON for an item or a member."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(one, orjson.Fragment) for one in items)


@dataclass(frozen=True)
class Request:
    """A checked Request object (RFC 8620 §3.3)."""

    using: frozenset[str]
    calls: list[tuple[str, dict[str, Any], str]]
    created_ids: dict[str, str]
    wants_created_ids: bool
    spent: Counter[str] = field(default_factory=Counter)


def load(body: bytes) -> dict[str, Any]:
    """Read a body as a JSON object. Raises NotJSON or NotRequest."""
    try:
        value = ijson.loads(body)
    except ijson.NotIJson as error:
        raise NotJSON(str(error)) from None
    if not isinstance(value, dict):
        raise NotRequest("A Request must be an object with “using” and “methodCalls”.")
    return value


def answer(engine: "Engine", login: Login, value: Mapping[str, Any]) -> bytes:
    """Answer a Request object. Raises RequestError when it fails as a whole (RFC 8620 §3.6.1)."""
    request = check(engine, value)
    responses: list[Response] = []
    with snapshot_of(engine.database) as snapshot:
        for name, arguments, call_id in request.calls:
            _run(engine, login, snapshot, request, responses, (name, arguments, call_id))
    answered: dict[str, Any] = {
        "methodResponses": [(one.name, one.arguments, one.call_id) for one in responses],
        "sessionState": engine.session_state(login),
    }
    if request.wants_created_ids:
        answered["createdIds"] = request.created_ids
    return orjson.dumps(answered)


def check(engine: "Engine", value: Mapping[str, Any]) -> Request:
    """Check a request's form and its limits."""
    using, calls, created = value.get("using"), value.get("methodCalls"), value.get("createdIds")
    if not isinstance(using, list) or not all(isinstance(uri, str) for uri in using):
        raise NotRequest("“using” must be an array of Strings.")
    if not isinstance(calls, list) or not all(_is_invocation(one) for one in calls):
        raise NotRequest("“methodCalls” must be an array of [name, arguments, method call id].")
    if created is not None and not _is_id_map(created):
        raise NotRequest("“createdIds” must be an object whose names and values are Ids.")
    unknown = [uri for uri in using if uri not in engine.capabilities]
    if unknown:
        raise UnknownCapability(f"This server has no capability “{unknown[0][:255]}”.")
    most = engine.limits.max_calls_in_request
    if len(calls) > most:
        raise LimitExceeded("maxCallsInRequest", f"A request may have {most} method calls, and this has {len(calls)}.")
    return Request(frozenset(using), [tuple(one) for one in calls], dict(created or {}), created is not None)


def _is_invocation(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and isinstance(value[1], dict)
        and isinstance(value[2], str)
    )


def _is_id_map(value: Any) -> bool:
    return isinstance(value, dict) and all(
        ID.match(name) and isinstance(one, str) and ID.match(one) for name, one in value.items()
    )


def _run(
    engine: "Engine",
    login: Login,
    snapshot: Snapshot,
    request: Request,
    responses: list[Response],
    invocation: tuple[str, dict[str, Any], str],
    *,
    implicit: bool = False,
) -> None:
    """Run one call and what it makes follow; append the responses.

    An implicit call is the server's own: the client need not name its capability, the answer must come (RFC 8621 §7.5).
    """
    name, arguments, call_id = invocation
    call = None
    try:
        method = engine.methods[name] if implicit else _method(engine, request.using, name)
        resolved = resolve_references(arguments, responses)
        call = Call(engine, login, snapshot, request.created_ids, name, resolved, call_id, request.using, request.spent)
        responses.append(Response(name, method.handler(call), call_id))
    except MethodError as error:
        responses.append(Response("error", error.arguments(), call_id))
        return
    except Exception:
        log.exception("%s failed", name)
        failure = ServerFail("Something unexpected went wrong on the server, and nothing was changed.")
        responses.append(Response("error", failure.arguments(), call_id))
        return
    responses += [Response(other, answer, call_id) for other, answer in call.answered]
    for follower, its_arguments in call.followers:
        _run(engine, login, snapshot, request, responses, (follower, its_arguments, call_id), implicit=True)


def _method(engine: "Engine", using: frozenset[str], name: str) -> Any:
    """Return the method of this name, if `using` allows it (RFC 8620 §3.3).

    Leniently, a method of a known capability also runs when only core is named; some clients forget the rest.
    `strict_using` turns that off, and wants core to be named too.
    """
    method = engine.methods.get(name)
    if method is None:
        raise UnknownMethod(f"This server has no method “{name[:255]}”.")
    if method.capability in using and (CORE in using or not engine.strict_using):
        return method
    if CORE in using and not engine.strict_using:
        return method
    missing = method.capability if method.capability not in using else CORE
    raise UnknownMethod(f"{name} needs “{missing}” in “using”.")


def resolve_references(arguments: Mapping[str, Any], responses: list[Response]) -> dict[str, Any]:
    """Replace each `#name` by what its ResultReference points to (RFC 8620 §3.7)."""
    if not any(name.startswith("#") for name in arguments):
        return dict(arguments)
    resolved = {}
    for name, value in arguments.items():
        if not name.startswith("#"):
            resolved[name] = value
            continue
        if name[1:] in arguments:
            raise InvalidArguments(f"Both “{name[1:]}” and “{name}” are given.", arguments=[name[1:]])
        resolved[name[1:]] = _referred(name, value, responses)
    return resolved


def _referred(name: str, reference: Any, responses: list[Response]) -> Any:
    if not isinstance(reference, dict) or not all(
        isinstance(reference.get(member), str) for member in ("resultOf", "name", "path")
    ):
        raise InvalidResultReference(f"“{name}” must be an object with the Strings resultOf, name and path.")
    found = next((one for one in responses if one.call_id == reference["resultOf"]), None)
    if found is None:
        raise InvalidResultReference(f"“{name}”: no call “{reference['resultOf'][:64]}” comes before this one.")
    if found.name != reference["name"]:
        raise InvalidResultReference(f"“{name}”: call “{found.call_id[:64]}” was answered by {found.name}.")
    try:
        return pointer.resolve(found.values(), reference["path"])
    except pointer.PointerError as error:
        raise InvalidResultReference(f"“{name}”: {error}") from None
