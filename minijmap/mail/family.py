"""What mail brings to the engine: its capability, types, methods and tables."""

from minijmap.jmap.methods import Family
from minijmap.mail import emailquery, search
from minijmap.mail.capability import account_capability
from minijmap.mail.email import EmailType
from minijmap.mail.emailcopy import EMAIL_COPY
from minijmap.mail.emailimport import EMAIL_IMPORT
from minijmap.mail.emailparse import EMAIL_PARSE
from minijmap.mail.mailbox import MailboxType
from minijmap.mail.schema import MAIL_MIGRATIONS
from minijmap.mail.thread import ThreadType

FAMILY = Family(
    capabilities=(account_capability(list(emailquery.SORTS)),),
    types=(MailboxType(), ThreadType(), EmailType()),
    methods=(EMAIL_IMPORT, EMAIL_COPY, EMAIL_PARSE),
    migrations=MAIL_MIGRATIONS,
    prepare=search.register,
)
