"""The capability of mail, and the limits that it announces (RFC 8621 §1.3)."""

from collections.abc import Mapping
from typing import Any

from minijmap.jmap.session import Access, Capability

MAIL = "urn:ietf:params:jmap:mail"

DEEPEST_MAILBOX = 20
LONGEST_MAILBOX_NAME = 255
MOST_MAILBOXES_PER_EMAIL = 1000
MOST_KEYWORDS_PER_EMAIL = 500
MOST_ATTACHMENT_OCTETS = 50_000_000


def account_capability(sorts: list[str]) -> Capability:
    """Return the capability; `sorts` are the properties that Email/query sorts by."""

    def describe(access: Access) -> Mapping[str, Any]:
        return {
            "maxMailboxesPerEmail": MOST_MAILBOXES_PER_EMAIL,
            "maxMailboxDepth": DEEPEST_MAILBOX,
            "maxSizeMailboxName": LONGEST_MAILBOX_NAME,
            "maxSizeAttachmentsPerEmail": MOST_ATTACHMENT_OCTETS,
            "emailQuerySortOptions": sorts,
            "mayCreateTopLevelMailbox": not access.is_read_only,
        }

    return Capability(MAIL, {}, describe)
