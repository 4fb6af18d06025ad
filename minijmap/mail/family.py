"""What mail brings to the engine: its capabilities, types, methods and tables."""

from collections.abc import Callable

from minijmap.jmap.methods import Family
from minijmap.mail import emailquery, ingest, search
from minijmap.mail.addressing import Addresses, Senders
from minijmap.mail.capability import (
    account_capability,
    mdn_capability,
    smime_capability,
    submission_capability,
    vacation_capability,
)
from minijmap.mail.email import EmailType
from minijmap.mail.emailcopy import EMAIL_COPY
from minijmap.mail.emailimport import EMAIL_IMPORT
from minijmap.mail.emailparse import email_parse
from minijmap.mail.identity import IdentityType
from minijmap.mail.mailbox import MailboxType
from minijmap.mail.mdnparse import MDN_PARSE
from minijmap.mail.mdnsend import mdn_send
from minijmap.mail.schema import MAIL_MIGRATIONS
from minijmap.mail.smimestatus import Statuses
from minijmap.mail.smimetrust import TrustStore
from minijmap.mail.snippet import SNIPPET_GET
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
        methods=(
            EMAIL_IMPORT,
            EMAIL_COPY,
            email_parse(trust),
            SNIPPET_GET,
            mdn_send(senders, max_message_size),
            MDN_PARSE,
        ),
        migrations=MAIL_MIGRATIONS,
        prepare=search.register,
        push_types=(ingest.DELIVERIES,),
    )
