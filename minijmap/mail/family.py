"""What mail brings to the engine: its capabilities, types, methods and tables."""

from minijmap.jmap.methods import Family
from minijmap.mail import emailquery, search
from minijmap.mail.addressing import Addresses, Senders
from minijmap.mail.capability import account_capability, submission_capability, vacation_capability
from minijmap.mail.email import EmailType
from minijmap.mail.emailcopy import EMAIL_COPY
from minijmap.mail.emailimport import EMAIL_IMPORT
from minijmap.mail.emailparse import EMAIL_PARSE
from minijmap.mail.identity import IdentityType
from minijmap.mail.mailbox import MailboxType
from minijmap.mail.schema import MAIL_MIGRATIONS
from minijmap.mail.snippet import SNIPPET_GET
from minijmap.mail.submission import EmailSubmissionType
from minijmap.mail.thread import ThreadType
from minijmap.mail.vacation import VacationResponseType


def family(addresses: Addresses, max_message_size: int) -> Family:
    """Return the family. `addresses` says whose an address is; the size of what may be sent is in octets."""
    senders = Senders(addresses)
    return Family(
        capabilities=(
            account_capability(list(emailquery.SORTS)),
            submission_capability(max_message_size),
            vacation_capability(),
        ),
        types=(
            MailboxType(),
            ThreadType(),
            EmailType(),
            IdentityType(senders),
            EmailSubmissionType(senders, max_message_size),
            VacationResponseType(),
        ),
        methods=(EMAIL_IMPORT, EMAIL_COPY, EMAIL_PARSE, SNIPPET_GET),
        migrations=MAIL_MIGRATIONS,
        prepare=search.register,
    )
