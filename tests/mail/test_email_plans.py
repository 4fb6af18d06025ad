"""How the common questions are answered: by the index that is meant for them, at a cost that doesn't grow."""

import itertools

import pytest

from minijmap.mail import counts, ingest
from tests.mail.mailmodel import START_MS, message

NEWEST = [{"property": "receivedAt", "isAscending": False}]
NUMBERS = itertools.count(1)


def fill(house, until):
    """Bring Alice's account to that many Emails: in threads of three, every tenth flagged, every fiftieth about a narwhal."""
    account = house.users["alice@example.com"].account

    def job(tx):
        (box,), threads = [ingest.inbox(tx, account)], []
        for number in range(tx.value("SELECT count(*) FROM email"), until):
            subject = f"Re: topic {number // 3}"
            body = "narwhal" if number % (until // 20) == 0 else "nothing"
            raw = message(subject, message_id=f"{number}@x", references=[f"r{number // 3}@x"], body=body)
            keywords = ["$flagged"] if number % (until // 20) == 0 else ["$seen"]
            added = ingest.add(
                tx, account, ingest.parse(raw), mailboxes=[box], keywords=keywords, received_at=START_MS + number * 1000
            )
            threads.append(added.thread)
        counts.recount(tx, account, threads)

    house.database.write(job)


def questions(house):
    """What clients ask, by name."""
    inbox = house.mailbox("inbox")
    return {
        "inbox": {"filter": {"inMailbox": inbox}, "sort": NEWEST, "limit": 50, "calculateTotal": True},
        "inbox collapsed": {
            "filter": {"inMailbox": inbox},
            "sort": NEWEST,
            "collapseThreads": True,
            "limit": 50,
            "calculateTotal": True,
        },
        "oldest collapsed": {
            "filter": {"inMailbox": inbox},
            "sort": [{"property": "receivedAt"}],
            "collapseThreads": True,
            "limit": 50,
        },
        "unread": {"filter": {"inMailbox": inbox, "hasKeyword": "$seen"}, "sort": NEWEST, "limit": 50},
        "everything": {"sort": NEWEST, "limit": 50},
        "everything collapsed": {"sort": NEWEST, "limit": 50, "collapseThreads": True},
        "keyword": {"filter": {"hasKeyword": "$flagged"}, "sort": NEWEST, "limit": 10},
        "keyword collapsed": {
            "filter": {"hasKeyword": "$flagged"},
            "sort": NEWEST,
            "limit": 10,
            "collapseThreads": True,
        },
        "words": {"filter": {"text": "narwhal"}, "sort": NEWEST, "limit": 10},
        "words in inbox collapsed": {
            "filter": {"text": "narwhal", "inMailbox": inbox},
            "sort": NEWEST,
            "limit": 10,
            "collapseThreads": True,
        },
    }


def plans(house, asked):
    """Every step of SQLite's plans for the statements over Emails that a question runs."""
    with house.database.read() as reader:
        connection = reader.connection
    statements = []
    connection.set_trace_callback(statements.append)
    try:
        assert "ids" in house.call("Email/query", asked)
    finally:
        connection.set_trace_callback(None)
    steps = []
    for sql in statements:
        if sql.startswith(("SELECT json_group_array", "SELECT count")):
            steps += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert steps
    return steps


def steps_of_machine(house, name, asked):
    """How many hundreds of steps of SQLite's virtual machine a call takes, once its statements are prepared."""
    house.call(name, asked)
    with house.database.read() as reader:
        connection = reader.connection
    counted = itertools.count()
    connection.set_progress_handler(lambda: next(counted) < 0, 10)
    try:
        assert "accountId" in house.call(name, asked)
    finally:
        connection.set_progress_handler(None, 0)
    return next(counted)


WALKS = {
    "inbox": "SEARCH d USING PRIMARY KEY (mailbox=?)",
    "inbox collapsed": "SEARCH d USING COVERING INDEX mailbox_thread",
    "oldest collapsed": "SEARCH d USING PRIMARY KEY (mailbox=?)",
    "unread": "SEARCH d USING PRIMARY KEY (mailbox=?)",
    "everything": "SEARCH e USING COVERING INDEX email_received (account=?)",
    "keyword": "SEARCH d USING PRIMARY KEY (account=? AND keyword=?)",
    "keyword collapsed": "SEARCH d USING PRIMARY KEY (account=? AND keyword=?)",
    "words": "SCAN email_search VIRTUAL TABLE INDEX",
    "words in inbox collapsed": "SCAN email_search VIRTUAL TABLE INDEX",
}


@pytest.mark.parametrize("name", WALKS)
def test_each_question_walks_its_index(house, name):
    """The first table is the one that is meant to be; no Email table is scanned whole, and by date nothing is sorted."""
    fill(house, 40)

    steps = plans(house, questions(house)[name])

    assert any(step.startswith(WALKS[name]) for step in steps), steps
    scanned = [
        step
        for step in steps
        if step.startswith("SCAN") and not step.startswith(("SCAN email_search", "SCAN asked", "SCAN ("))
    ]
    assert scanned == [], steps
    if "words" not in name:
        assert not [step for step in steps if "TEMP B-TREE" in step], steps


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    """Question → its cost in steps with 200 Emails and with 2,000."""
    from tests.conftest import House

    house = House(tmp_path_factory.mktemp("plans") / "data")
    found = {}
    for until in (200, 2000):
        fill(house, until)
        for name, asked in questions(house).items():
            found.setdefault(name, []).append(steps_of_machine(house, "Email/query", asked))
        ids = [f"e{number}" for number in range(until - 49, until + 1)]
        found.setdefault("get", []).append(
            steps_of_machine(house, "Email/get", {"ids": ids, "properties": ["subject", "keywords"]})
        )
        threads = [f"t{number}" for number in range(until // 3 - 49, until // 3)]
        found.setdefault("threads", []).append(steps_of_machine(house, "Thread/get", {"ids": threads}))
        found.setdefault("mailboxes", []).append(steps_of_machine(house, "Mailbox/get", {}))
        state = house.call("Email/get", {"ids": []})["state"]
        house.call("Email/set", {"update": {f"e{until}": {"keywords/k": True}}})
        found.setdefault("changes", []).append(steps_of_machine(house, "Email/changes", {"sinceState": state}))
    house.database.close()
    return found


SAME = ["inbox", "inbox collapsed", "oldest collapsed", "unread", "everything", "everything collapsed", "keyword", "keyword collapsed",
        "get", "threads", "mailboxes", "changes"]  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_the_first_page_costs_the_same_in_a_larger_account(costs, name):
    """Ten times the mail, the same work: less than half as much again."""
    small, large = costs[name]

    assert small > 0
    assert large < 1.5 * small, costs[name]
