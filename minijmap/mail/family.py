"""What mail brings to the engine: its capability, types, methods and tables."""

from minijmap.jmap.methods import Family
from minijmap.mail import emailquery, search
from minijmap.mail.capability import account_capability
from minijmap.mail.email import EmailType
from minijmap.mail.emailimport import EMAIL_IMPORT
from minijmap.mail.mailbox import MailboxType
from minijmap.mail.schema import MAIL_MIGRATIONS
from minijmap.mail.thread import ThreadType

FAMILY = Family(
    capabilities=(account_capability(list(emailquery.SORTS)),),
    types=(MailboxType(), ThreadType(), EmailType()),
    methods=(EMAIL_IMPORT,),
    migrations=MAIL_MIGRATIONS,
    prepare=search.register,
)
