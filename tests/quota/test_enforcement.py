"""Quotas are enforced wherever something is stored: overQuota for that object alone, nothing half stored."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.session import Access, Login, account_id
from minijmap.mail import archive, check, importing
from minijmap.quota import check as quota_check
from minijmap.store import blobs as stored
from minijmap.store import check as store_check
from tests.conftest import CORE, MAIL, House
from tests.quota.conftest import ALICE, BOB, Quotas, message

BLOB = "urn:ietf:params:jmap:blob"


def sound(house):
    """Nothing is wrong in the whole file."""
    types = house.engine.types.values()
    with house.database.read() as reader:
        assert [*store_check.problems(reader), *check.problems(reader), *quota_check.problems(reader, types)] == []


def upload(house, octets, user=ALICE):
    """Upload octets; return their blobId."""
    packed = stored.pack(octets)
    account = house.users[user].account
    house.database.write(lambda tx: stored.add_upload(tx, stored.store(tx, packed), account, int(house.now * 1000)))
    return packed.blob_id


def test_an_import_runs_out_of_room(house, quotas):
    """What fits is there, the rest is told one by one, and a smaller one still finds its place."""
    quotas.limit(3500)
    sizes = {"a": 1000, "b": 1000, "c": 1000, "d": 1000, "e": 501, "f": 500}
    place = {house.mailbox("inbox"): True}
    emails = {name: {"blobId": upload(house, message(name, size)), "mailboxIds": place} for name, size in sizes.items()}
    answered = house.call("Email/import", {"emails": emails})

    assert sorted(answered["created"]) == ["a", "b", "c", "f"]
    assert {name: one["type"] for name, one in answered["notCreated"].items()} == {"d": "overQuota", "e": "overQuota"}
    assert answered["notCreated"]["e"]["description"] == (
        "The account may use 3500 octets: it uses 3000, and this would add 501."
    )
    assert (quotas.used(), quotas.storage()["used"]) == (3500, 3500)
    (inbox,) = house.call("Mailbox/get", {"ids": [house.mailbox("inbox")]})["list"]
    assert inbox["totalEmails"] == 4
    sound(house)
    again = house.call("Email/import", {"emails": {"a": emails["a"]}})
    assert again["notCreated"]["a"]["type"] == "alreadyExists"


def test_a_draft_that_does_not_fit(house, quotas):
    """Email/set create: the siblings are not affected, and destroying makes room."""
    place = {house.mailbox("drafts"): True}

    def draft(size):
        return {
            "mailboxIds": place,
            "subject": str(size),
            "bodyValues": {"1": {"value": "x" * size}},
            "textBody": [{"partId": "1", "type": "text/plain"}],
        }

    quotas.limit(5000)
    state = house.call("Email/get", {"ids": []})["state"]
    answered = house.call("Email/set", {"create": {"small": draft(10), "large": draft(5000)}})
    assert (list(answered["created"]), answered["notCreated"]["large"]["type"]) == (["small"], "overQuota")
    assert (answered["oldState"], answered["newState"] != state) == (state, True)
    email = answered["created"]["small"]["id"]
    house.deliver(message("full", 5000 - quotas.used()))
    assert house.call("Email/set", {"create": {"x": draft(1)}})["notCreated"]["x"]["type"] == "overQuota"
    assert house.call("Email/set", {"update": {email: {"keywords/$seen": True}}})["updated"] == {email: None}
    # Saved again: the new one takes the place of the old one, in a call that does both.
    answered = house.call("Email/set", {"create": {"x": draft(9), "y": draft(300)}, "destroy": [email]})
    assert (list(answered["created"]), answered["destroyed"]) == (["x"], [email])
    assert answered["notCreated"]["y"]["type"] == "overQuota"
    assert 4990 < quotas.used() <= 5000
    house.call("Email/set", {"destroy": [answered["created"]["x"]["id"]]})
    assert house.call("Email/set", {"create": {"x": draft(1)}})["created"]
    sound(house)


def test_copies_count_where_they_go(house, quotas):
    """Email/copy into an account that is full."""
    alice, bob = house.users.values()
    accesses = tuple(
        Access(one.account, account_id(one.account), one.address, one is alice, is_read_only=False)
        for one in (alice, bob)
    )
    small, large = house.deliver(message(1, 400)), house.deliver(message(2, 700))
    quotas.limit(1000, BOB)
    place = {house.mailbox("inbox", BOB): True}
    call = [
        "Email/copy",
        {
            "fromAccountId": house.account(),
            "accountId": house.account(BOB),
            "create": {"s": {"id": small, "mailboxIds": place}, "l": {"id": large, "mailboxIds": place}},
            "onSuccessDestroyOriginal": True,
        },
        "c",
    ]
    body = json.dumps({"using": [CORE, MAIL], "methodCalls": [call]}).encode()
    copied, destroyed = json.loads(house.engine.handle(Login(alice, accesses), body))["methodResponses"]
    assert list(copied[1]["created"]) == ["s"]
    assert copied[1]["notCreated"]["l"]["type"] == "overQuota"
    assert destroyed[1]["destroyed"] == [small]
    assert (quotas.used(), quotas.used(BOB)) == (700, 400)


def test_uploads_are_not_refused(house, quotas):
    """What nothing refers to does not count, by whichever way it came."""
    quotas.limit(1000)
    house.deliver(message(1, 1000))
    create = {"B": {"data": [{"data:asText": "x" * 5000}]}}
    (answered,) = house.request(
        ["Blob/upload", {"accountId": house.account(), "create": create}, "c"], using=(CORE, MAIL, BLOB)
    )
    assert answered[1]["created"]["B"]["size"] == 5000
    assert quotas.used() == 1000


def test_a_script_that_does_not_fit(house, quotas):
    """SieveScript/set: a script's octets count, an update frees the old ones first."""
    sieve = "urn:ietf:params:jmap:sieve"
    quotas.limit(100)

    def script(size):
        return upload(house, b"#" + b"x" * (size - 1))

    def change(**arguments):
        return quotas.call("SieveScript/set", using=(CORE, MAIL, sieve), **arguments)

    create = {"a": {"name": "a", "blobId": script(60)}, "b": {"name": "b", "blobId": script(41)}}
    answered = change(create=create)
    assert (list(answered["created"]), answered["notCreated"]["b"]["type"]) == (["a"], "overQuota")
    made = answered["created"]["a"]["id"]
    assert change(update={made: {"blobId": script(100)}})["notUpdated"] is None
    assert change(update={made: {"blobId": script(101)}})["notUpdated"][made]["type"] == "overQuota"
    assert quotas.used() == 100
    sound(house)


def test_an_archive_runs_out_of_room(house, quotas):
    """`minijmap import` takes what fits, and says of each of the others why it is not there."""
    quotas.limit(2500)
    items = [
        archive.ArchivedMessage(message(n, 1000), None, frozenset(), f"Lists/{n}", f"file {n}", 1000) for n in range(4)
    ]
    account = house.users[ALICE].account
    (progress,) = importing.import_archive(house.database, account, items, mailbox=None, now=0)

    assert progress.imported == 2
    assert [where for where, _ in progress.failures] == ["file 2", "file 3"]
    assert progress.failures[0][1].startswith("there is no room for it. The account may use 2500 octets")
    names = {one["name"] for one in house.call("Mailbox/get", {"ids": None})["list"]}
    assert {"0", "1"} <= names
    assert not {"2", "3"} & names  # no Mailbox for what is not there
    sound(house)


def test_a_limit_below_what_is_there(house, quotas):
    """Takes nothing away; nothing is added until there is room."""
    house.deliver(message(1, 1000))
    quotas.limit(500)
    emails = {"e": {"blobId": upload(house, message(2, 100)), "mailboxIds": {house.mailbox("inbox"): True}}}
    assert house.call("Email/import", {"emails": emails})["notCreated"]["e"]["type"] == "overQuota"
    shown = quotas.storage()
    assert (shown["used"], shown["hardLimit"]) == (1000, 500)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(("import", "draft", "destroy", "move", "limit", "script", "mailbox", "deliver")),
        st.integers(0, 5),
    ),
    max_size=12,
)


@given(operations=OPERATIONS)
@settings(max_examples=25, deadline=None)
def test_what_is_shown_is_what_sql_counts(tmp_path_factory, operations):
    """After any calls in any order, `used` is the octets of what the account's objects refer to."""
    house = House(tmp_path_factory.mktemp("quota") / "data")
    try:
        quotas = Quotas(house)
        quotas.limit(4000)
        limit = 4000
        for name, number in operations:
            if name == "limit":
                limit = max(quotas.used(), number * 1000, 1)
                quotas.limit(limit)
            else:
                step(house, quotas, name, number)
            assert quotas.used() <= limit
        with house.database.read() as reader:
            counted = store_check.used_octets(reader).get(house.users[ALICE].account, 0)
            emails = reader.value("SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT blob, size FROM email)")
            scripts = reader.value(
                "SELECT coalesce(sum(size), 0) FROM blob WHERE key IN (SELECT blob FROM blob_use WHERE type = 'SieveScript')"
            )
        assert quotas.storage()["used"] == counted == emails + scripts
        sound(house)
    finally:
        house.database.close()


def step(house, quotas, name, number):
    """Make one call of the property test; a refusal is as good as a success."""
    inbox = {house.mailbox("inbox"): True}
    emails = house.call("Email/query", {})["ids"]
    if name == "import":
        blob_id = upload(house, message(number, 300 + number * 200))
        house.call("Email/import", {"emails": {"e": {"blobId": blob_id, "mailboxIds": inbox}}})
    elif name == "draft":
        text = {"bodyValues": {"1": {"value": "x" * number * 200}}, "textBody": [{"partId": "1", "type": "text/plain"}]}
        house.call("Email/set", {"create": {"d": {"mailboxIds": inbox, **text}}, "destroy": emails[:number]})
    elif name == "destroy":
        house.call("Email/set", {"destroy": emails[number : number + 2]})
    elif name == "move":
        house.call("Email/set", {"update": {one: {"keywords/$seen": True} for one in emails}})
    elif name == "script":
        blob_id = upload(house, b"#" + b"x" * number * 100)
        create = {"s": {"name": f"s{number}", "blobId": blob_id}}
        quotas.call("SieveScript/set", using=(CORE, MAIL, "urn:ietf:params:jmap:sieve"), create=create)
    elif name == "mailbox":
        house.call("Mailbox/set", {"create": {"m": {"name": f"m{number}"}}})
    elif name == "deliver" and quotas.used() + 600 <= quotas.storage()["hardLimit"]:
        house.deliver(message(f"d{number}", 600))


@pytest.mark.parametrize("table", ["usage", "upload"])
def test_check_finds_numbers_that_are_wrong(house, table):
    """`minijmap check` counts octets, uploads and objects anew."""
    house.deliver(message(1))
    upload(house, b"x")
    house.database.write(
        lambda tx: tx.execute("UPDATE usage SET used = used + 1" if table == "usage" else "UPDATE upload SET free = 0")
    )
    types = house.engine.types.values()
    with house.database.read() as reader:
        found = [*store_check.problems(reader), *quota_check.problems(reader, types)]
    account = house.account()
    expected = {
        "usage": {
            f"Account {account} uses 1000 octets of octets, and 1001 are noted.",
            f"Account {account} has 6 objects of the type Mailbox, and 7 are noted.",
        },
        "upload": {"1 uploads are not known to be used, or to be unused."},
    }[table]
    assert expected <= set(found)
