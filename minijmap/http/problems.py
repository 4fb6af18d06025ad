"""Problem documents (RFC 7807): how every refusal of the front door looks.

Holds the errors that HTTP adds to those of RFC 8620 §3.6.1, which `minijmap.jmap.errors` declares, and their JSON.
Must not know who raises them.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import orjson

from minijmap.jmap.errors import LimitExceeded

MEDIA_TYPE = "application/problem+json"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Problem(Exception):
    """A refusal that RFC 8620 has no type for: the HTTP status says what kind it is (RFC 7807 §4.2)."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] = NO_HEADERS) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers

    def problem(self) -> dict[str, Any]:
        """Return the problem document."""
        return plain(self.status, self.detail)


class Busy(Problem):
    """The server could do it later: `retry_after` says in how many seconds."""

    def __init__(self, status: int, detail: str, retry_after: int) -> None:
        super().__init__(status, detail, {"Retry-After": str(retry_after)})


class TooManyOpen(Problem):
    """More connections that stay open than a user, or all of them together, may have."""

    def __init__(self, detail: str) -> None:
        super().__init__(429, detail, {"Retry-After": "30"})


class NotSignedIn(Problem):
    """The request has no credentials, or they are not right. `invalid_token` says that a Bearer token was refused."""

    def __init__(self, detail: str, *, invalid_token: bool = False) -> None:
        super().__init__(401, detail)
        self.invalid_token = invalid_token

    def challenges(self) -> list[str]:
        """Return the WWW-Authenticate values, one for each scheme (RFC 7617 §2.1, RFC 6750 §3)."""
        error = ', error="invalid_token"' if self.invalid_token else ""
        return ['Basic realm="minijmap", charset="UTF-8"', f'Bearer realm="minijmap"{error}']


class TooLarge(LimitExceeded):
    """An upload is larger than `maxSizeUpload`."""

    status = 413


class TooMany(LimitExceeded):
    """More requests of one user at once than `maxConcurrentRequests` or `maxConcurrentUpload`."""

    status = 429


def plain(status: int, detail: str) -> dict[str, Any]:
    """Return a problem document whose type is the HTTP status itself."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def encoded(problem: Mapping[str, Any]) -> bytes:
    """Return a problem document's octets."""
    return orjson.dumps(problem)
