"""`minijmap check` on mail: each kind of damage, made by hand, is found by name, and a clean file says nothing."""

import pytest

from minijmap import users
from tests.mail.mailmodel import damage, make_mailbox, message, put, set_email, with_attachment


@pytest.fixture
def used(house):
    """An account in which much has happened; the ids are e1 to e4, the Mailboxes m1 to m6 Alice's, m7 to m12 Bob's."""
    box = make_mailbox(house, "Work")
    make_mailbox(house, "Inner", parentId=box)
    put(house, message("Lunch", message_id="a@x"), keywords=["k"])
    put(house, message("Re: Lunch", message_id="b@x", references=["a@x"]), [box, house.mailbox("inbox")])
    put(house, with_attachment(), [house.mailbox("trash")])
    put(house, message(message_id="c@x"), user="bob@example.com")
    gone = put(house, message(message_id="d@x"), keywords=["k"])
    house.call("Email/set", {"destroy": [gone]})
    set_email(house, "e1", {"keywords/$seen": True})
    return house


def broken(house, *statements):
    """What is found after statements that no code of ours would make."""

    def job(tx):
        for one in statements:
            assert tx.execute(one).rowcount != 0

    house.database.write(job)
    return damage(house)


def test_a_clean_file_says_nothing(used):
    """After arrivals, moves, keywords and destroys everything that is kept beside the Emails is right."""
    assert damage(used) == []


def test_what_a_user_leaves_behind_is_nothing(used):
    """Removing a user takes every row of their mail."""
    users.remove_user(used.database, "alice@example.com")

    assert damage(used) == []
    with used.database.read() as reader:
        for table in ("email_content", "email_mailbox", "email_keyword", "mailbox_thread", "thread_reference", "blob"):
            left = reader.value(f"SELECT count(*) FROM {table}")
            assert left <= 1, table


DAMAGE = [
    ("DELETE FROM email_mailbox WHERE email = 2 AND mailbox = 1", "Emails whose place in a Mailbox is not as kept for queries: e2."),
    ("INSERT INTO email_mailbox VALUES (5, 1, 3, 3)", "Emails whose place in a Mailbox is not as kept for queries: e3."),
    ("INSERT INTO email_mailbox VALUES (1, 1, 99, 1)", "Emails whose place in a Mailbox is not as kept for queries: e99."),
    ("UPDATE email_mailbox SET received_at = 5 WHERE email = 3", "Emails whose place in a Mailbox is not as kept for queries: e3."),
    ("UPDATE email_mailbox SET thread = 77 WHERE email = 3", "Emails whose place in a Mailbox is not as kept for queries: e3."),
    ("DELETE FROM email_keyword WHERE email = 1 AND keyword = 'k'", "Emails whose keywords are not as kept for queries: e1."),
    ("INSERT INTO email_keyword VALUES (1, 'x', 1, 2)", "Emails whose keywords are not as kept for queries: e2."),
    ("UPDATE email SET doc = json_set(doc, '$.keywords.y', json('true')) WHERE key = 2", "Emails whose keywords are not as kept for queries: e2."),
    ("UPDATE email_keyword SET account = 2 WHERE email = 1", "Emails whose keywords are not as kept for queries: e1."),
    ("UPDATE mailbox SET account = 2 WHERE role = 'trash' AND account = 1", "Emails in a Mailbox that is not there: e3."),
    ("DELETE FROM mailbox WHERE key = 13", "Mailboxes inside of one that is not there: m14."),
    ("UPDATE mailbox SET doc = json_set(doc, '$.parentId', 'm14') WHERE key = 13", "Mailboxes inside of themselves: m13, m14."),
    ("UPDATE mailbox SET doc = json_set(doc, '$.name', 'Sent') WHERE key = 4", "Mailboxes with the name of another at the same place: m4."),
    ("UPDATE mailbox SET doc = json_set(doc, '$.role', 'sent') WHERE key = 4", "Mailboxes with the role of another: m4."),
    ("DELETE FROM account WHERE key = 2", "Emails of an account that is not there: e4."),
    ("DELETE FROM email_content WHERE email = 2", "Emails without content: e2."),
    ("UPDATE email_content SET email = 98 WHERE email = 2", "Contents without an Email: e98."),
    ("DELETE FROM blob WHERE key = (SELECT blob FROM email WHERE key = 1)", "Emails without their message: e1."),
    ("DELETE FROM blob_use WHERE object = 2", "Emails whose message is not kept for them: e2."),
    ("UPDATE thread SET account = 2 WHERE key = 1", "Emails without a Thread: e1, e2."),
    ("DELETE FROM thread WHERE key = 2", "Emails without a Thread: e3."),
    ("INSERT INTO thread VALUES (50, 1, 1, 1, '{}')", "Threads without an Email: t50."),
    ("DELETE FROM thread WHERE key = 2", "Counts kept for a Thread that is not there: t2."),
    ("INSERT INTO thread_reference VALUES (1, 5, 60)", "Message ids known for a Thread that is not there: t60."),
    ("DELETE FROM email_search_docsize WHERE id = 3", "Emails that no search can find: e3."),
    ("UPDATE mailbox SET total_emails = 9 WHERE key = 1", "Mailbox m1 shows the counts [9, 1, 1, 1], and they are [2, 1, 1, 1]."),
    ("UPDATE mailbox SET unread_threads = 0 WHERE key = 13", "Mailbox m13 shows the counts [1, 1, 1, 0], and they are [1, 1, 1, 1]."),
    ("DELETE FROM mailbox_thread WHERE thread = 1 AND mailbox = 1", "Account a1: the share of Thread t1 in Mailbox m1 is not as kept."),
    ("UPDATE mailbox_thread SET unread = 0 WHERE thread = 1 AND mailbox = 1", "Account a1: the share of Thread t1 in Mailbox m1 is not as kept."),
    ("UPDATE mailbox_thread SET newest = 1 WHERE thread = 1 AND mailbox = 1", "Account a1: the share of Thread t1 in Mailbox m1 is not as kept."),
    ("UPDATE email SET doc = json_remove(doc, '$.keywords.\"$seen\"') WHERE key = 1", "Mailbox m1 shows the counts [2, 1, 1, 1], and they are [2, 2, 1, 1]."),
    ("DELETE FROM email_search_data WHERE id > 10", "The index of words is damaged"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "sentence"), DAMAGE)
def test_damage_is_found_by_name(used, statement, sentence):
    """One statement, and the sentence that tells of it."""
    found = broken(used, statement)

    assert any(one.startswith(sentence) for one in found), found


def test_much_of_one_kind_is_told_once(used):
    """A sentence names twenty and says that there are more."""
    for number in range(25):
        put(used, message(message_id=f"more{number}@x"), keywords=["many"])

    (found,) = broken(used, "DELETE FROM email_keyword WHERE keyword = 'many'")

    assert found.endswith(", ….")
    assert found.count("e") > 20
