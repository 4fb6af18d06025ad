"""The four counts of a Mailbox, kept through anything that can happen, against RFC 8621 §2 in naive Python."""

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mail.mailmodel import (
    START_MS,
    ModelEmail,
    damage,
    drop_account,
    get,
    make_mailbox,
    message,
    model_counts,
    new_account,
    put,
    set_email,
)

COUNTS = ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]
NUMBERS = itertools.count(1)


def counts_of(house, user="alice@example.com"):
    """Mailbox id → its four counts."""
    answer = house.call("Mailbox/get", {"properties": COUNTS}, user)
    return {one.pop("id"): one for one in answer["list"]}


def test_the_example_of_the_rfc_with_one_thread_in_inbox_and_trash(house):
    """An unread Email in the trash and a read one in the Inbox: unreadThreads is 1 for the trash, 0 for the Inbox."""
    inbox, trash = house.mailbox("inbox"), house.mailbox("trash")
    put(house, message(message_id="a@x"), [inbox], ["$seen"])
    put(house, message("Re: Hello", message_id="b@x", references=["a@x"]), [trash])

    counts = counts_of(house)

    assert counts[inbox] == {"totalEmails": 1, "unreadEmails": 0, "totalThreads": 1, "unreadThreads": 0}
    assert counts[trash] == {"totalEmails": 1, "unreadEmails": 1, "totalThreads": 1, "unreadThreads": 1}


def test_an_unread_email_elsewhere_makes_the_thread_unread_here(house):
    """The unread Email does not need to be the one in this Mailbox."""
    inbox, archive = house.mailbox("inbox"), house.mailbox("archive")
    put(house, message(message_id="a@x"), [inbox], ["$seen"])
    put(house, message("Re: Hello", message_id="b@x", references=["a@x"]), [archive])

    assert counts_of(house)[inbox] == {"totalEmails": 1, "unreadEmails": 0, "totalThreads": 1, "unreadThreads": 1}


def test_an_email_in_the_trash_and_elsewhere_counts_in_both(house):
    """Only what is nowhere but in the trash is left out of other Mailboxes' unreadThreads."""
    inbox, archive, trash = house.mailbox("inbox"), house.mailbox("archive"), house.mailbox("trash")
    put(house, message(message_id="a@x"), [inbox], ["$seen"])
    put(house, message("Re: Hello", message_id="b@x", references=["a@x"]), [archive, trash])

    counts = counts_of(house)

    assert [counts[one]["unreadThreads"] for one in (inbox, archive, trash)] == [1, 1, 1]


def test_a_draft_is_not_unread(house):
    """$draft counts as read without $seen."""
    drafts = house.mailbox("drafts")
    put(house, message(), [drafts], ["$draft"])

    assert counts_of(house)[drafts] == {"totalEmails": 1, "unreadEmails": 0, "totalThreads": 1, "unreadThreads": 0}


def test_giving_the_trash_role_away_counts_anew(house):
    """What was hidden in the old trash is shown now, and what is in the new one is not."""
    inbox, trash = house.mailbox("inbox"), house.mailbox("trash")
    other = make_mailbox(house, "Bin")
    put(house, message(message_id="a@x"), [inbox], ["$seen"])
    put(house, message("Re: Hello", message_id="b@x", references=["a@x"]), [trash])
    put(house, message("Re: Hello", message_id="c@x", references=["a@x"]), [other])

    house.call("Mailbox/set", {"update": {trash: {"role": None}, other: {"role": "trash"}}})

    assert counts_of(house)[inbox]["unreadThreads"] == 1
    set_email(house, "e2", {"keywords/$seen": True})
    assert counts_of(house)[inbox]["unreadThreads"] == 0
    assert damage(house) == []


def test_a_mailbox_whose_counts_come_out_the_same_has_not_changed(house):
    """Two Emails change places in one call: no count is another, and no Mailbox is told of."""
    inbox, archive = house.mailbox("inbox"), house.mailbox("archive")
    one, two = (
        put(house, message(message_id=f"{name}@x"), [box], at=START_MS + number)
        for number, (name, box) in enumerate((("a", inbox), ("b", archive)))
    )
    state = house.call("Mailbox/get", {"ids": []})["state"]

    house.call("Email/set", {"update": {one: {"mailboxIds": {archive: True}}, two: {"mailboxIds": {inbox: True}}}})

    assert house.call("Mailbox/get", {"ids": []})["state"] == state
    assert damage(house) == []


OPERATIONS = (
    "deliver",
    "deliver",
    "keyword",
    "keyword",
    "move",
    "copy",
    "leave",
    "bin",
    "destroy",
    "make",
    "drop",
    "role",
)
STEPS = st.lists(st.tuples(st.sampled_from(OPERATIONS), *[st.integers(0, 30)] * 3), min_size=3, max_size=14)


class Life:
    """An account through random operations, beside its naive model."""

    def __init__(self, house):
        self.house = house
        self.user = new_account(house, f"model{next(NUMBERS)}@example.com")
        self.emails = []
        self.roles = {one["id"]: one["role"] for one in self.get_mailboxes()}
        self.number = 0

    def get_mailboxes(self):
        """All Mailboxes."""
        return self.house.call("Mailbox/get", {"properties": ["role"]}, self.user)["list"]

    def step(self, operation, a, b, c):
        """Do one thing in both."""
        mailboxes = sorted(self.roles)
        box, other = mailboxes[a % len(mailboxes)], mailboxes[b % len(mailboxes)]
        email = self.emails[c % len(self.emails)] if self.emails else None
        if operation == "deliver":
            self.deliver(a % 4, {box, other}, ["$seen"] if c % 2 else [])
        elif operation == "make":
            self.roles[make_mailbox(self.house, f"n{self.next()}", self.user)] = None
        elif operation == "drop" and self.roles[box] != "inbox":
            self.drop(box)
        elif operation == "role":
            self.give_trash_to(box)
        elif email is not None:
            self.change(operation, email, box, other)

    def next(self):
        """A number never given out before."""
        self.number += 1
        return self.number

    def deliver(self, thread, mailboxes, keywords):
        """A message comes into one of four threads."""
        raw = message(f"Topic {thread}", message_id=f"{self.next()}@x", references=[f"root{thread}@x"])
        email_id = put(self.house, raw, sorted(mailboxes), keywords, START_MS + self.number * 1000, self.user)
        thread_id = get(self.house, email_id, "threadId", user=self.user)
        self.emails.append(ModelEmail(email_id, thread_id, set(mailboxes), set(keywords), START_MS))

    def drop(self, box):
        """A Mailbox goes with what is in it alone."""
        answer = self.house.call("Mailbox/set", {"destroy": [box], "onDestroyRemoveEmails": True}, self.user)
        assert answer["destroyed"] == [box]
        del self.roles[box]
        for email in self.emails:
            email.mailboxes.discard(box)
        self.emails = [one for one in self.emails if one.mailboxes]

    def give_trash_to(self, box):
        """Another Mailbox, or none, is the trash."""
        update = {one: {"role": None} for one, role in self.roles.items() if role == "trash"}
        if self.roles[box] is None:
            update[box] = {"role": "trash"}
        answer = self.house.call("Mailbox/set", {"update": update}, self.user)
        assert answer["notUpdated"] is None
        self.roles.update({one: patch["role"] for one, patch in update.items()})

    def change(self, operation, email, box, other):
        """Change one Email."""
        if operation == "destroy":
            self.house.call("Email/set", {"destroy": [email.id]}, self.user)
            self.emails.remove(email)
            return
        trash = next((one for one, role in self.roles.items() if role == "trash"), None)
        if operation == "keyword":
            email.keywords ^= {"$seen"}
        elif operation == "copy":
            email.mailboxes |= {box, other}
        elif operation == "leave" and len(email.mailboxes) > 1:
            email.mailboxes.pop()
        else:
            email.mailboxes = {trash or box} if operation == "bin" else {box}
        patch = {"keywords": dict.fromkeys(email.keywords, True), "mailboxIds": dict.fromkeys(email.mailboxes, True)}
        assert set_email(self.house, email.id, patch, self.user) is None

    def expected(self):
        """Every Mailbox's counts, from the model."""
        trash = next((one for one, role in self.roles.items() if role == "trash"), None)
        return {one: model_counts(self.emails, one, trash) for one in self.roles}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_counts_are_right_after_every_step(house, steps):
    """Whatever happens: each count equals the model's, /changes names just the Mailboxes that changed, nothing breaks."""
    life = Life(house)
    try:
        for step in steps:
            before, old_roles = counts_of(house, life.user), dict(life.roles)
            state = house.call("Mailbox/get", {"ids": []}, life.user)["state"]
            life.step(*step)
            now = counts_of(house, life.user)
            assert now == life.expected()
            changes = house.call("Mailbox/changes", {"sinceState": state}, life.user)
            shown = {one: (now.get(one), life.roles.get(one)) for one in now}
            changed = {one for one in now.keys() & before.keys() if (before[one], old_roles[one]) != shown[one]}
            assert set(changes["updated"]) == changed
            assert set(changes["created"]) == now.keys() - before.keys()
            assert set(changes["destroyed"]) == before.keys() - now.keys()
            only_counts = all(old_roles[one] == life.roles[one] for one in changed)
            assert changes["updatedProperties"] == (COUNTS if changed and only_counts else None)
            assert damage(house) == []
    finally:
        drop_account(house, life.user)
