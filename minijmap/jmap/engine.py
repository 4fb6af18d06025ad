"""The engine: families of types over a database, answering requests of signed-in users.

Owns the limits and what is put together once at the start. Must not know HTTP, nor any type.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import orjson

from minijmap.jmap import collation, request
from minijmap.jmap.blobs import BLOB_COPY
from minijmap.jmap.methods import Family, method_table
from minijmap.jmap.session import CORE, TICKET, WEB_SOCKET, Capability, Login, Urls, session_object
from minijmap.store.database import Database

MOST_LOGINS_REMEMBERED = 256


@dataclass(frozen=True)
class Limits:
    """The limits of the core capability (RFC 8620 §2), in octets and counts. Each is enforced exactly."""

    max_size_upload: int = 50_000_000
    max_concurrent_upload: int = 8
    max_size_request: int = 10_000_000
    max_concurrent_requests: int = 16
    max_calls_in_request: int = 64
    max_objects_in_get: int = 1000
    max_objects_in_set: int = 1000

    def members(self) -> dict[str, int]:
        """Return them under their names on the wire."""
        return {_camel(limit.name): getattr(self, limit.name) for limit in fields(self)}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Engine:
    """Answers JMAP requests. Safe to use from any number of threads."""

    def __init__(
        self,
        database: Database,
        families: Sequence[Family],
        *,
        clock: Callable[[], float] = time.time,
        limits: Limits | None = None,
        token: Callable[[], str] = secrets.token_urlsafe,
        strict_using: bool = False,
    ) -> None:
        """Put the families together.

        `clock` gives seconds since the epoch, as `time.time` does; `token` gives letters and digits nobody can guess.
        """
        self.database = database
        self.clock = clock
        self.token = token
        self.limits = limits or Limits()
        self.strict_using = strict_using
        core = Capability(CORE, {**self.limits.members(), "collationAlgorithms": list(collation.COLLATIONS)})
        located = [Capability(WEB_SOCKET, {}), Capability(TICKET, {})]
        capabilities = [core, *located, *(one for family in families for one in family.capabilities)]
        self.capabilities = {capability.uri: capability for capability in capabilities}
        self.methods = method_table([Family((), methods=[BLOB_COPY]), *families])
        self.types = {one.name: one for family in families for one in family.types}
        self._session_parts = lru_cache(MOST_LOGINS_REMEMBERED)(self._describe)
        self._changing = [one for one in capabilities if callable(one.session)]
        for family in families:
            if family.open is not None:
                family.open(database)

    def handle(self, login: Login, body: bytes) -> bytes:
        """Answer an API request (RFC 8620 §3.3): JSON in, JSON out. Raises RequestError."""
        return self.answer(login, request.load(body))

    def answer(self, login: Login, value: Mapping[str, Any]) -> bytes:
        """Answer a Request object, however it came; members that it doesn't know are the transport's."""
        return request.answer(self, login, value)

    def session(self, login: Login, urls: Urls) -> bytes:
        """Return the Session object as JSON (RFC 8620 §2)."""
        described, state = self._session_parts(login, self._changeable())
        session = orjson.loads(described)
        session["capabilities"] |= urls.capabilities()
        located = {
            "apiUrl": urls.api,
            "downloadUrl": urls.download,
            "uploadUrl": urls.upload,
            "eventSourceUrl": urls.event_source,
            "state": state,
        }
        return orjson.dumps({**session, **located})

    def session_state(self, login: Login) -> str:
        """Return the Session's state: it changes when anything in the Session but its URLs does."""
        return self._session_parts(login, self._changeable())[1]

    def _changeable(self) -> bytes:
        """Return what may change in a Session while the server runs: by it, a Session is remembered."""
        return orjson.dumps([one.described() for one in self._changing])

    def _describe(self, login: Login, _: bytes) -> tuple[bytes, str]:
        described = orjson.dumps(session_object(login, self.capabilities))
        return described, hashlib.sha256(described).hexdigest()[:16]
