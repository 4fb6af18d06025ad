"""What push asks of mail, so that EmailPush objects can be made (draft-ietf-jmap-emailpush-03).

The types of mail are not known here: whoever puts the server together passes in what answers. Must not know how.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from minijmap.jmap.session import Access
from minijmap.store.database import Reader

EMAIL_PUSH = "urn:ietf:params:jmap:emailpush"


class EmailSource(Protocol):
    """Knows which Emails were delivered, and how they are filtered and shown."""

    def checked(
        self, reader: Reader, account: int, config: Mapping[str, Any], resolve: Callable[[str], str]
    ) -> dict[str, Any]:
        """Return an EmailPushConfig in normal form; `resolve` gives the id behind a creation id.

        Raises ValueProblem for a filter or properties that Email/query and Email/get would not take.
        """

    def newest(self, reader: Reader, account: int) -> int:
        """Return the key of the last Email that was delivered to an account, 0 if there is none."""

    def next(
        self, reader: Reader, access: Access, since: int, config: Mapping[str, Any], most: int
    ) -> tuple[Mapping[str, Any] | None, int]:
        """Return what to push of the Emails delivered after the one with the key `since`, or None.

        The object has at most `most` octets as JSON. With it comes the key of the last Email that was judged: what is
        before it and was not told of now never will be.
        """
