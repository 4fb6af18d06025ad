"""Cross-origin requests (the Fetch standard's CORS protocol): which sites' pages may use the server.

Owns the headers of every answer and those of a preflight. Must not know what is asked nor who asks: a preflight comes
without credentials.
"""

import re
from collections.abc import Sequence

EXPOSED = "WWW-Authenticate, Retry-After, ETag, Content-Disposition, Content-Range, Accept-Ranges"
METHODS = "GET, HEAD, POST, OPTIONS"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Accept, Accept-Language, Cache-Control, If-None-Match, If-Range, Range, Last-Event-ID"
)
MAX_AGE = "86400"
_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1000}")


class Cors:
    """The rule of one server: the origins it allows, where `*` allows any."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origin.lower() for origin in origins)

    def allows(self, origin: str) -> bool:
        """Say whether the pages of an origin may use the server."""
        return self._any or self.names(origin)

    def names(self, origin: str) -> bool:
        """Say whether the rule names an origin: not merely any."""
        return origin.lower() in self._origins

    def headers(self, origin: str | None) -> list[tuple[str, str]]:
        """Return the headers that every answer carries, errors included, for a request's Origin."""
        if self._any:
            allowed = "*"
        elif origin is not None and self.allows(origin):
            allowed = origin
        else:
            return []
        return [("Access-Control-Allow-Origin", allowed), ("Access-Control-Expose-Headers", EXPOSED)]

    def preflight(self, origin: str | None, asked: str | None, private_network: str | None) -> list[tuple[str, str]]:
        """Return what an OPTIONS request is answered with; `asked` is its Access-Control-Request-Headers."""
        headers = [("Allow", METHODS), ("Vary", "Origin, Access-Control-Request-Headers")]
        allowed = self.headers(origin)
        if not allowed:
            return headers
        names = f"{REQUEST_HEADERS}, {asked}" if asked and _NAMES.fullmatch(asked) else REQUEST_HEADERS
        headers += [
            *allowed,
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Allow-Headers", names),
            ("Access-Control-Max-Age", MAX_AGE),
        ]
        if private_network == "true":
            # A page of the internet asks for a server of the home network: the allowed origins may.
            headers.append(("Access-Control-Allow-Private-Network", "true"))
        return headers
