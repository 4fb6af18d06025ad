"""Mail for accounts that are full: refused for that recipient alone, and nothing half stored (RFC 5321 §4.2.3)."""

from minijmap.mail import queue
from minijmap.smtp.delivery import Delivery
from minijmap.smtp.recipients import Recipients
from minijmap.store import blobs, check, limits, usage
from tests.smtp.desk import ALICE, BOB, sign_in
from tests.smtp.desk import send as hand_in
from tests.smtp.posting import message, submit

CAROL = "carol@example.net"
BODY = "Subject: hello\r\n\r\n" + "x" * 3000 + "\r\n"


def limit(household, octets, *names):
    """Set what accounts may keep."""
    for name in names:
        account = household.users[name].account
        household.database.write(lambda tx, a=account: limits.set_own(tx, a, octets))


def used(household, name):
    """What an account keeps; nothing may be wrong in the whole file."""
    with household.database.read() as reader:
        assert list(check.problems(reader)) == []
        return usage.used(reader, household.users[name].account, usage.OCTETS)


def send(client, *recipients, sender="bob@remote.example", body=BODY):
    """Send a message; return the reply to its end."""
    client.says(f"MAIL FROM:<{sender}>", "250 2.1.0 ")
    for one in recipients:
        client.says(f"RCPT TO:<{one}>", "250 2.1.5 ")
    client.says("DATA", "354 ")
    client.send(body.encode() + b".\r\n")
    return client.reply()


def queued(household):
    """The messages on their way out: (recipients, octets)."""
    with household.database.read() as reader:
        keys = [row[0] for row in reader.all("SELECT key FROM queue_message ORDER BY key")]
        found = [queue.whole(reader, key) for key in keys]
        return [([one.address for one in each.recipients], blobs.read(reader, each.blob)) for each in found]


def test_a_full_account_is_refused_at_rcpt(household, client):
    """With a reply that tells the sender to come again; others in the transaction get it."""
    client.says("EHLO client.example", "250")
    limit(household, 2500, "alice")
    assert send(client, "alice@example.org", body="Subject: a\r\n\r\n" + "y" * 1000 + "\r\n").startswith("250 2.6.0 ")
    limit(household, used(household, "alice"), "alice")
    client.says("MAIL FROM:<bob@remote.example>", "250")
    client.says("RCPT TO:<alice@example.org>", "452 4.2.2 ")
    client.says(f"RCPT TO:<{CAROL}>", "250 2.1.5 ")
    client.says("RCPT TO:<alice+tag@example.org>", "452 4.2.2 ")
    client.says("DATA", "354 ")
    client.send(BODY.encode() + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    assert (len(household.stored("alice")), len(household.stored("carol"))) == (1, 1)


def test_a_message_that_does_not_fit_is_refused_after_data(household, client):
    """Permanently, for nobody gets it; not an octet of it is kept, and the session goes on."""
    client.says("EHLO client.example", "250")
    limit(household, 2500, "alice", "carol")
    reply = send(client, "alice@example.org", CAROL)
    assert reply == "552 5.2.2 The mailbox is full"
    assert (used(household, "alice"), used(household, "carol")) == (0, 0)
    assert (household.stored("alice"), household.stored("carol"), queued(household)) == ([], [], [])
    with household.database.read() as reader:
        assert reader.value("SELECT count(*) FROM blob") == 0
    assert send(client, "alice@example.org", body="Subject: small\r\n\r\nx\r\n").startswith("250 2.6.0 ")


def test_for_that_recipient_alone(household, client):
    """The others get it, and the sender is told by a bounce who has not."""
    client.says("EHLO client.example", "250")
    limit(household, 2500, "carol")
    assert send(client, "alice@example.org", CAROL).startswith("250 2.6.0 ")
    assert len(household.stored("alice")) == 1
    assert (household.stored("carol"), used(household, "carol")) == ([], 0)
    ((recipients, bounce),) = queued(household)
    assert recipients == ["bob@remote.example"]
    assert b"Final-Recipient: rfc822; carol@example.net\r\nAction: failed\r\nStatus: 5.2.2\r\n" in bounce
    assert b"Diagnostic-Code: smtp; 552 5.2.2 The mailbox is full\r\n" in bounce
    assert b"alice" not in bounce


def test_a_bounce_that_does_not_fit_makes_no_bounce(household, client):
    """It has no sender to be told (RFC 5321 §4.5.5)."""
    client.says("EHLO client.example", "250")
    limit(household, 2500, "carol")
    assert send(client, "alice@example.org", CAROL, sender="").startswith("250 2.6.0 ")
    assert queued(household) == []
    assert send(client, CAROL, sender="").startswith("552 5.2.2 ")


def test_one_that_fits_exactly(household, client):
    """The limit may be reached."""
    client.says("EHLO client.example", "250")
    assert send(client, "alice@example.org").startswith("250 ")
    size = used(household, "alice")
    assert size > 3000
    limit(household, 2 * size, "alice")
    assert send(client, "alice@example.org", body=BODY.replace("hello", "hallo")).startswith("250 ")
    assert used(household, "alice") == 2 * size
    client.says("MAIL FROM:<bob@remote.example>", "250")
    client.says("RCPT TO:<alice@example.org>", "452 4.2.2 ")


def test_a_submission_without_room_for_its_copy(desk, program):
    """Nothing is sent of which the sender keeps no copy (RFC 6409)."""
    account = desk.house.users[ALICE].account
    desk.house.database.write(lambda tx: limits.set_own(tx, account, 100))
    sign_in(program)
    assert hand_in(program).startswith("552 5.2.2 The account may use 100 octets")
    assert (desk.queued(), desk.emails(), desk.submissions()) == ([], [], [])


def test_a_neighbour_whose_account_is_full(house, post):
    """The letter comes back, into an account that is full itself; and the submission tells why."""
    accounts = {name: user.account for name, user in house.users.items()}
    submission = submit(house, message(to=BOB), BOB)
    with house.database.read() as reader:
        full = usage.used(reader, accounts[ALICE], usage.OCTETS)
    house.database.write(lambda tx: limits.set_own(tx, accounts[ALICE], full))
    house.database.write(lambda tx: limits.set_own(tx, accounts[BOB], 10))
    Delivery(house.database, Recipients({}), "mail.example.com", lambda: house.now).run_due()

    undo, status = post.status(submission, BOB)
    assert (undo, status["delivered"]) == ("final", "no")
    assert status["smtpReply"] == "552 5.2.2 The mailbox is full"
    assert post.inbox(BOB) == []
    (bounce,) = post.inbox(ALICE)
    assert b"Status: 5.2.2" in bounce
    assert len(post.submission(submission)["dsnBlobIds"]) == 1
    assert post.waiting() == []


def test_a_neighbour_who_has_room_gets_it_all_the_same(house, post):
    """A letter to two, one of whom is full."""
    alice = house.users[ALICE].account
    submission = submit(house, message(to=f"{BOB}, {ALICE}"), BOB, ALICE)
    with house.database.read() as reader:
        full = usage.used(reader, alice, usage.OCTETS)
    house.database.write(lambda tx: limits.set_own(tx, alice, full))
    post.run()
    assert len(post.inbox(BOB)) == 1
    assert post.status(submission, BOB)[1]["delivered"] == "yes"
    assert post.status(submission, ALICE)[1]["delivered"] == "no"


def test_a_script_that_files_and_sends_on_does_neither(house, post):
    """What a refused message would have set off is undone with it."""
    from minijmap.sieve.arrival import Arrivals, Arriving, Recipient

    bob = house.users[BOB].account
    script = b'require "copy"; redirect :copy "elsewhere@remote.example"; keep;'
    packed = blobs.pack(script)
    house.database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed), bob, int(house.now * 1000)))
    create = {"create": {"s": {"name": "s", "blobId": packed.blob_id}}, "onSuccessActivateScript": "#s"}
    using = ("urn:ietf:params:jmap:core", "urn:ietf:params:jmap:sieve")
    (answered,) = house.request(
        ["SieveScript/set", {"accountId": house.account(BOB), **create}, "c"], using=using, user=BOB
    )
    assert answered[1]["created"]["s"]["isActive"]
    house.database.write(lambda tx: limits.set_own(tx, bob, len(script) + 10))
    arriving = Arriving(message(to=BOB), "zoe@remote.example", (Recipient(bob, BOB),), int(house.now * 1000))
    settled = Arrivals(Recipients({}), "mail.example.com").deliver(house.database, arriving)
    (outcome,) = settled.outcomes
    assert (outcome.refusal.status, settled.queued) == ("5.2.2", False)
    assert (post.inbox(BOB), post.waiting()) == ([], [])
