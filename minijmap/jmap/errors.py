"""Every error of RFC 8620 (and those its data types add), once, as exceptions.

    JMAPError
    ├── RequestError      the whole request fails: an HTTP problem document (§3.6.1)
    │   ├── UnknownCapability, NotJSON, NotRequest, LimitExceeded
    ├── MethodError       one call fails: ["error", {...}, callId] (§3.6.2)
    │   ├── ServerUnavailable, ServerFail, ServerPartialFail, UnknownMethod, InvalidArguments,
    │   │   InvalidResultReference, Forbidden, AccountNotFound, AccountNotSupportedByMethod, AccountReadOnly
    │   ├── RequestTooLarge, StateMismatch (§5.3) · CannotCalculateChanges (§5.2)
    │   ├── FromAccountNotFound, FromAccountNotSupportedByMethod (§5.4)
    │   ├── AnchorNotFound, UnsupportedSort, UnsupportedFilter (§5.5) · TooManyChanges (§5.6)
    │   └── UnknownDataType (RFC 9404 §4.3)
    └── SetError          one object of a /set fails (§5.3)

They are raised anywhere and turned into JSON in one place, `request`. Holds no logic but their shapes.
"""

from typing import Any, ClassVar


class JMAPError(Exception):
    """Anything that JMAP has a name for."""

    type: ClassVar[str]


class RequestError(JMAPError):
    """The whole request is refused. `status` is the HTTP status, the problem document follows RFC 7807."""

    status: ClassVar[int] = 400
    urn: ClassVar[str] = "urn:ietf:params:jmap:error:"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def problem(self) -> dict[str, Any]:
        """Return the problem document (RFC 8620 §3.6.1)."""
        return {"type": self.urn + self.type, "status": self.status, "detail": self.detail}


class UnknownCapability(RequestError):
    """`using` names something this server does not have."""

    type = "unknownCapability"


class NotJSON(RequestError):
    """The body is not I-JSON, or is not labelled as JSON."""

    type = "notJSON"


class NotRequest(RequestError):
    """The body is JSON but not a Request object."""

    type = "notRequest"


class LimitExceeded(RequestError):
    """One of the limits in the core capability would be passed; `limit` names it."""

    type = "limit"

    def __init__(self, limit: str, detail: str) -> None:
        super().__init__(detail)
        self.limit = limit

    def problem(self) -> dict[str, Any]:
        """Return the problem document, with the limit's name."""
        return {**super().problem(), "limit": self.limit}


class MethodError(JMAPError):
    """One method call fails. `description` is for the client's developer."""

    def __init__(self, description: str | None = None, **members: Any) -> None:
        super().__init__(description or self.type)
        self.description = description
        self.members = members

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the `error` response (RFC 8620 §3.6.2)."""
        described = {} if self.description is None else {"description": self.description}
        return {"type": self.type, **described, **self.members}


class ServerUnavailable(MethodError):
    """Something inside is not available now; the same call may work later."""

    type = "serverUnavailable"


class ServerFail(MethodError):
    """Something unexpected happened; nothing was changed."""

    type = "serverFail"


class ServerPartialFail(MethodError):
    """Something unexpected happened and some changes were made: the client must resynchronise."""

    type = "serverPartialFail"


class UnknownMethod(MethodError):
    """There is no such method, or `using` does not have its capability."""

    type = "unknownMethod"


class InvalidArguments(MethodError):
    """An argument is missing, of the wrong type, or not allowed with another."""

    type = "invalidArguments"


class InvalidResultReference(MethodError):
    """A `#argument` could not be resolved (§3.7)."""

    type = "invalidResultReference"


class Forbidden(MethodError):
    """The user may not do this."""

    type = "forbidden"


class AccountNotFound(MethodError):
    """`accountId` is not one of the user's accounts."""

    type = "accountNotFound"


class AccountNotSupportedByMethod(MethodError):
    """The account does not have this type of data."""

    type = "accountNotSupportedByMethod"


class AccountReadOnly(MethodError):
    """The account can't be changed by this user."""

    type = "accountReadOnly"


class RequestTooLarge(MethodError):
    """More objects than `maxObjectsInGet` or `maxObjectsInSet` (§5.1, §5.3)."""

    type = "requestTooLarge"


class StateMismatch(MethodError):
    """`ifInState` is not the current state (§5.3)."""

    type = "stateMismatch"


class CannotCalculateChanges(MethodError):
    """Changes since this state are not known; the client starts afresh (§5.2, §5.6)."""

    type = "cannotCalculateChanges"


class FromAccountNotFound(MethodError):
    """`fromAccountId` is not one of the user's accounts (§5.4)."""

    type = "fromAccountNotFound"


class FromAccountNotSupportedByMethod(MethodError):
    """The account to copy from does not have this type of data (§5.4)."""

    type = "fromAccountNotSupportedByMethod"


class AnchorNotFound(MethodError):
    """`anchor` is not in the results (§5.5)."""

    type = "anchorNotFound"


class UnsupportedSort(MethodError):
    """A comparator's property or collation is not supported (§5.5)."""

    type = "unsupportedSort"


class UnsupportedFilter(MethodError):
    """The filter is well formed but can't be processed (§5.5)."""

    type = "unsupportedFilter"


class TooManyChanges(MethodError):
    """There are more changes than `maxChanges` (§5.6)."""

    type = "tooManyChanges"


class UnknownDataType(MethodError):
    """There is no such type that can refer to blobs, or `using` does not have its capability (RFC 9404 §4.3)."""

    type = "unknownDataType"


class SetError(JMAPError):
    """One create, update or destroy is refused (RFC 8620 §5.3).

    `type` is one of the names below or one that a data type's specification adds; `members` are the error's own
    properties, such as `properties` or `existingId`.
    """

    FORBIDDEN = "forbidden"
    OVER_QUOTA = "overQuota"
    TOO_LARGE = "tooLarge"
    RATE_LIMIT = "rateLimit"
    NOT_FOUND = "notFound"
    INVALID_PATCH = "invalidPatch"
    WILL_DESTROY = "willDestroy"
    INVALID_PROPERTIES = "invalidProperties"
    SINGLETON = "singleton"
    ALREADY_EXISTS = "alreadyExists"  # §5.4

    def __init__(self, error_type: str, description: str | None = None, **members: Any) -> None:
        super().__init__(description or error_type)
        self.error_type = error_type
        self.description = description
        self.members = members

    def json(self) -> dict[str, Any]:
        """Return the SetError object."""
        described = {} if self.description is None else {"description": self.description}
        return {"type": self.error_type, **described, **self.members}


def invalid_properties(description: str, *properties: str) -> SetError:
    """Return the commonest SetError, with the names of the properties at fault."""
    return SetError(SetError.INVALID_PROPERTIES, description, properties=list(properties))
