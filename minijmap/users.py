"""People of the household coming and going: a user, the account, and what a new account starts with.

Ties the store's rows to what each family of types gives a new account. Must not know how the command line asks.
"""

from minijmap.contacts import addressbook, cards
from minijmap.mail import identity, mailbox, removal
from minijmap.sieve import scripts
from minijmap.store import accounts, blobs, usage
from minijmap.store.accounts import User
from minijmap.store.database import Database, Transaction


def add_user(database: Database, address: str, name: str, password: str, now: int) -> User:
    """Add a user whose account can be used at once. `now` in milliseconds. Raises NameTaken."""

    def job(tx: Transaction) -> User:
        user = accounts.add_user(tx, address, name, password, now)
        mailbox.add_role_mailboxes(tx, user.account)
        identity.add_identity(tx, user.account, user.name, user.address)
        addressbook.add_book(tx, user.account, is_default=True)
        return user

    return database.write(job)


def remove_user(database: Database, address: str) -> User:
    """Remove a user and all that their account holds. Raises UnknownName."""

    def job(tx: Transaction) -> User:
        user = accounts.need_user(tx, address)
        usage.forget(tx, user.account)
        removal.remove_account(tx, user.account)
        scripts.remove_account(tx, user.account)
        cards.remove_account(tx, user.account)
        accounts.remove_user(tx, user)
        blobs.sweep(tx)
        return user

    return database.write(job)
