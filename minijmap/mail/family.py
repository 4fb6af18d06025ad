"""What mail brings to the engine: its capabilities, types, methods and tables."""

from collections.abc import Callable
from typing import Any

from minijmap.jmap.call import Call
from minijmap.jmap.methods import Family, Method
from minijmap.mail import emailquery, ingest, search
from minijmap.mail.addressing import Addresses, Senders
from minijmap.mail.capability import (
    MAIL,
    MDN,
    account_capability,
    mdn_capability,
    smime_capability,
    submission_capability,
    vacation_capability,
)
from minijmap.mail.email import EmailType
from minijmap.mail.identity import IdentityType
from minijmap.mail.mailbox import MailboxType
from minijmap.mail.schema import MAIL_MIGRATIONS
from minijmap.mail.smimestatus import Statuses
from minijmap.mail.smimetrust import TrustStore
from minijmap.mail.submission import EmailSubmissionType
from minijmap.mail.thread import ThreadType
from minijmap.mail.vacation import VacationResponseType, tell_nobody
from minijmap.store.database import Transaction


def family(
    addresses: Addresses,
    max_message_size: int,
    vacation_changed: Callable[[Transaction, int], None] = tell_nobody,
    trust: TrustStore | None = None,
) -> Family:
    """Return the family. `addresses` says whose an address is; the size of what may be sent is in octets.

    `vacation_changed`: see `VacationResponseType`. `trust` is what S/MIME signatures are verified by, without it the
    system's trust anchors.
    """
    trust = trust or TrustStore()
    senders = Senders(addresses)
    return Family(
        capabilities=(
            account_capability(list(emailquery.SORTS)),
            submission_capability(max_message_size),
            vacation_capability(),
            mdn_capability(),
            smime_capability(),
        ),
        types=(
            MailboxType(),
            ThreadType(),
            EmailType(Statuses(trust)),
            IdentityType(senders),
            EmailSubmissionType(senders, max_message_size),
            VacationResponseType(vacation_changed),
        ),
        methods=_methods(trust, senders, max_message_size),
        migrations=MAIL_MIGRATIONS,
        prepare=search.register,
        push_types=(ingest.DELIVERIES,),
    )


def _methods(trust: TrustStore, senders: Senders, max_message_size: int) -> tuple[Method, ...]:
    """Return the methods beside the standard ones. What answers one is imported with its first call."""

    def import_emails(call: Call) -> dict[str, Any]:
        from minijmap.mail import emailimport

        return emailimport.import_emails(call)

    def copy_emails(call: Call) -> dict[str, Any]:
        from minijmap.mail import emailcopy

        return emailcopy.copy_emails(call)

    def parse_emails(call: Call) -> dict[str, Any]:
        from minijmap.mail import emailparse

        return emailparse.parse_emails(call, trust)

    def get_snippets(call: Call) -> dict[str, Any]:
        from minijmap.mail import snippet

        return snippet.get_snippets(call)

    def send_mdns(call: Call) -> dict[str, Any]:
        from minijmap.mail import mdnsend

        return mdnsend.send_mdns(call, senders, max_message_size)

    def parse_mdns(call: Call) -> dict[str, Any]:
        from minijmap.mail import mdnparse

        return mdnparse.parse_mdns(call)

    return (
        Method("Email/import", MAIL, import_emails),
        Method("Email/copy", MAIL, copy_emails),
        Method("Email/parse", MAIL, parse_emails),
        Method("SearchSnippet/get", MAIL, get_snippets),
        Method("MDN/send", MDN, send_mdns),
        Method("MDN/parse", MDN, parse_mdns),
    )
