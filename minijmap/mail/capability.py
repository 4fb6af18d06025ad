"""The capabilities of mail, and the limits that they announce (RFC 8621 §1.3)."""

from collections.abc import Mapping
from typing import Any

from minijmap.jmap.session import Access, Capability

MAIL = "urn:ietf:params:jmap:mail"
SUBMISSION = "urn:ietf:params:jmap:submission"
VACATION = "urn:ietf:params:jmap:vacationresponse"
MDN = "urn:ietf:params:jmap:mdn"
SMIME = "urn:ietf:params:jmap:smimeverify"

DEEPEST_MAILBOX = 20
LONGEST_MAILBOX_NAME = 255
MOST_MAILBOXES_PER_EMAIL = 1000
MOST_KEYWORDS_PER_EMAIL = 500
MOST_ATTACHMENT_OCTETS = 50_000_000
LONGEST_HOLD = 30 * 24 * 3600
"""Seconds that a message may be held before it is sent."""


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


def submission_capability(max_message_size: int) -> Capability:
    """Return the capability of sending; the size is in octets (RFC 8621 §1.3.2)."""
    # RFC 4865 §3 has a latest date as a second argument. It would have to change all the time, and with it the Session.
    extensions = {
        "DSN": [],
        "FUTURERELEASE": [str(LONGEST_HOLD)],
        "REQUIRETLS": [],
        "SIZE": [str(max_message_size)],
    }
    account = {"maxDelayedSend": LONGEST_HOLD, "submissionExtensions": extensions}
    return Capability(SUBMISSION, {}, lambda _: account)


def vacation_capability() -> Capability:
    """Return the capability of vacation responses (RFC 8621 §1.3.3)."""
    return Capability(VACATION, {}, lambda _: {})


def mdn_capability() -> Capability:
    """Return the capability of message disposition notifications (RFC 9007 §1.3)."""
    return Capability(MDN, {}, lambda _: {})


def smime_capability() -> Capability:
    """Return the capability of verified S/MIME signatures (RFC 9219 §3)."""
    return Capability(SMIME, {}, lambda _: {})
