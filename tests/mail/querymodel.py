"""Random mail and random questions about it, for the tests of Email/query and Email/queryChanges."""

from hypothesis import strategies as st

from tests.mail.mailmodel import START_MS, ModelEmail, get, message, put, set_email, utc, with_attachment

KEYWORDS = ("$seen", "$flagged", "todo")
WORDS = ("apple", "pear", "plum", "fig")
PEOPLE = ("Zoe", "anna", "Bert", "émile")
STEPS = ("new", "new", "new", "keyword", "keyword", "move", "copy", "gone")


def mail_steps(least=1, most=14):
    """Things that happen to an account: (what, and four numbers to choose with)."""
    return st.lists(st.tuples(st.sampled_from(STEPS), *[st.integers(0, 40)] * 4), min_size=least, max_size=most)


class Mail:
    """An account with mail, and the same as a list of ModelEmails."""

    def __init__(self, house, user):
        self.house, self.user = house, user
        self.emails = []
        self.boxes = [one["id"] for one in house.call("Mailbox/get", {"properties": []}, user)["list"]][:3]
        self.number = 0

    def run(self, steps):
        """Do the steps in both."""
        for what, *numbers in steps:
            if what == "new":
                self.add(*numbers)
            elif self.emails:
                self.change(what, self.emails[numbers[0] % len(self.emails)], numbers[1])

    def add(self, thread, at, word, flags):
        """A message comes, maybe into a thread that is there, at one of few moments."""
        self.number += 1
        thread, sender, word = thread % 4, PEOPLE[at % 4], WORDS[word % 4]
        subject, day = f"{WORDS[thread]} topic", 1 + word.count("p") + at % 3
        if flags % 7 == 0:
            raw, sender, subject, sent = (
                with_attachment(f"file {self.number}", body=word),
                "Ann",
                f"file {self.number}",
                None,
            )
            words = {"subject": {"file", str(self.number)}, "from": {"ann", "example", "org"}}
        else:
            sent = None if flags % 5 == 0 else f"Thu, 0{day} Jan 2026 00:00:00 +0000"
            raw = message(
                f"Re: {subject}", message_id=f"{self.number}@x", references=[f"root{thread}@x"],
                sender=f"{sender} <{sender.lower().replace('é', 'e')}@example.org>", body=word * (1 + flags % 3) + f" {word}", sent=sent,
            )  # fmt: skip
            words = {"subject": {"re", WORDS[thread], "topic"}, "from": {sender.lower(), "example", "org"}}
        boxes = {self.boxes[flags % 3], self.boxes[at % 3]}
        keywords = {KEYWORDS[index] for index in range(3) if flags >> index & 1}
        received = START_MS + (at % 5) * 1000
        email_id = put(self.house, raw, sorted(boxes), sorted(keywords), received, self.user)
        words["body"] = {word, "plan", "pdf"} if sent is None and "file" in words["subject"] else {word}
        self.emails.append(
            ModelEmail(
                email_id,
                get(self.house, email_id, "threadId", user=self.user),
                boxes,
                keywords,
                received,
                len(raw),
                None if sent is None else day,
                sender,
                subject,
                "file" in words["subject"],
                words,
            )
        )

    def change(self, what, email, number):
        """An Email changes or goes."""
        if what == "gone":
            self.house.call("Email/set", {"destroy": [email.id]}, self.user)
            self.emails.remove(email)
            return
        if what == "keyword":
            email.keywords ^= {KEYWORDS[number % 3]}
        else:
            email.mailboxes = {self.boxes[number % 3]} | (email.mailboxes if what == "copy" else set())
        patch = {"keywords": dict.fromkeys(email.keywords, True), "mailboxIds": dict.fromkeys(email.mailboxes, True)}
        assert set_email(self.house, email.id, patch, self.user) is None

    def filled(self, node):
        """A drawn filter with this account's ids in the places of numbers."""
        if node is None or "operator" not in node:
            return node and {name: self._value(name, value) for name, value in node.items()}
        return {**node, "conditions": [self.filled(one) for one in node["conditions"]]}

    def _value(self, name, value):
        if name == "inMailbox":
            return self.boxes[value]
        return [self.boxes[one] for one in value] if name == "inMailboxOtherThan" else value


CONDITIONS = {
    "inMailbox": st.integers(0, 2),
    "inMailboxOtherThan": st.lists(st.integers(0, 2), max_size=3),
    "before": st.integers(-1, 6).map(lambda second: utc(START_MS + second * 1000)),
    "after": st.integers(-1, 6).map(lambda second: utc(START_MS + second * 1000)),
    "minSize": st.integers(200, 400),
    "maxSize": st.integers(200, 400),
    **{name: st.sampled_from(KEYWORDS) for name in (
        "allInThreadHaveKeyword", "someInThreadHaveKeyword", "noneInThreadHaveKeyword", "hasKeyword", "notKeyword")},
    "hasAttachment": st.booleans(),
    **{name: st.lists(st.sampled_from([*WORDS, "topic", "Anna", "EXAMPLE", "file"]), min_size=1, max_size=2).map(" ".join)
       for name in ("text", "subject", "from", "body")},
}  # fmt: skip
LEAVES = st.lists(st.sampled_from(sorted(CONDITIONS)), min_size=0, max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: CONDITIONS[name] for name in names})
)
FILTERS = st.one_of(
    st.none(),
    st.integers(0, 2).map(lambda box: {"inMailbox": box}),
    st.recursive(
        LEAVES,
        lambda inner: st.fixed_dictionaries(
            {"operator": st.sampled_from(["AND", "OR", "NOT"]), "conditions": st.lists(inner, max_size=3)}
        ),
        max_leaves=5,
    ),
)
COMPARATORS = st.one_of(
    st.fixed_dictionaries(
        {"property": st.sampled_from(["receivedAt", "sentAt", "size", "from", "subject"])},
        optional={"isAscending": st.booleans()},
    ),
    st.fixed_dictionaries(
        {
            "property": st.sampled_from(["hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword"]),
            "keyword": st.sampled_from(KEYWORDS),
        },
        optional={"isAscending": st.booleans()},
    ),
)
SORTS = st.one_of(
    st.none(),
    st.just([{"property": "receivedAt", "isAscending": False}]),
    st.lists(COMPARATORS, max_size=3, unique_by=lambda one: one["property"]),
)
