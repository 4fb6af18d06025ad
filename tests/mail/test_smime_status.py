"""RFC 9219 through the engine: the properties, the conditions, and when a status is found anew."""

import contextlib
import shutil
from dataclasses import replace

import pytest

from minijmap import users
from minijmap.config import Settings
from minijmap.jmap import dates
from minijmap.jmap.engine import Engine
from minijmap.mail import check, ingest, smimestatus
from minijmap.mail.smimetrust import TrustStore
from minijmap.mail.smimeworker import SmimeWorker
from minijmap.server import families, migrations, open_database, prepare_connection
from minijmap.store import schema
from minijmap.store.database import Database
from tests.mail import smimekit
from tests.mail.smimekit import ALICE, MALLORY, Workshop

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")
CORE, MAIL, SMIME = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:smimeverify"
USING = (CORE, MAIL, SMIME)
PROPERTIES = ["smimeStatus", "smimeStatusAtDelivery", "smimeErrors", "smimeVerifiedAt"]
DAY = 24 * 3600
UNTRUSTED = ["No trusted authority stands behind the signer's certificate."]
PLAIN = b"From: bob@example.com\r\nSubject: Plain\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Where certificates are made, once for all tests."""
    made = Workshop(tmp_path_factory.mktemp("status"))
    made.signed = made.sign(made.person())
    made.stranger = made.authority("stranger")
    made.strange = made.sign(made.person("other", issuer=made.stranger))
    return made


@pytest.fixture
def home(house, workshop):
    """The household, today, where one root is trusted."""
    house.now = smimekit.NOW.timestamp() + DAY
    house.anchors = workshop.folder / "household.pem"
    trust(house, workshop.root)
    house.engine = Engine(
        house.database, families(Settings(smime_trust_anchors=str(house.anchors))), clock=lambda: house.now
    )
    return house


def trust(home, *identities):
    """Make these the trust anchors."""
    home.anchors.write_bytes(b"".join(one.certificate.read_bytes() for one in identities))


def call(home, name, arguments, using=USING):
    """Make a call with the capability."""
    ((answered, result, _),) = home.request([name, {"accountId": home.account(), **arguments}, "0"], using=using)
    return result if answered != "error" else (answered, result)


def got(home, *ids, properties=PROPERTIES):
    """Return the properties of Emails, without their ids."""
    found = call(home, "Email/get", {"ids": list(ids), "properties": properties})["list"]
    shown = [{name: one[name] for name in properties} for one in found]
    return shown[0] if len(ids) == 1 else shown


def found(home, **condition):
    """Return the ids that a filter finds."""
    return call(home, "Email/query", {"filter": condition})["ids"]


def state(home):
    """Return the Email state."""
    return call(home, "Email/get", {"ids": []})["state"]


def updated_since(home, since):
    """Return which Emails /changes tells of."""
    return call(home, "Email/changes", {"sinceState": since})["updated"]


def at(home):
    """Return the time of the house."""
    return dates.format_utc_date(int(home.now * 1000))


def test_a_verified_message(home, workshop):
    """All four properties, in an Email/get like RFC 9219 §4.1's first example."""
    email = home.deliver(workshop.signed)

    assert got(home, email) == {
        "smimeStatus": "signed/verified",
        "smimeStatusAtDelivery": "signed/verified",
        "smimeErrors": None,
        "smimeVerifiedAt": at(home),
    }
    names = ["mailboxIds", "from", "subject", "sentAt", "smimeStatusAtDelivery", "receivedAt"]
    shown = call(home, "Email/get", {"ids": [email], "properties": names})["list"]
    assert shown == [
        {
            "id": email,
            "mailboxIds": {home.mailbox("inbox"): True},
            "from": [{"name": None, "email": ALICE}],
            "subject": "Noon",
            "sentAt": None,
            "smimeStatusAtDelivery": "signed/verified",
            "receivedAt": at(home),
        }
    ]


def test_a_message_with_errors(home, workshop):
    """What is wrong is said, each fault by itself, as in RFC 9219 §4.1's second example."""
    email = home.deliver(workshop.strange.replace(b"From: alice", b"From: carol").replace(b"noon", b"nine"))

    shown = got(home, email)
    assert shown["smimeStatus"] == shown["smimeStatusAtDelivery"] == "signed/failed"
    assert shown["smimeErrors"] == [
        "The message was changed after it was signed.",
        *UNTRUSTED,
        "The address in From is not that of the signer's certificate.",
    ]
    assert shown["smimeVerifiedAt"] == at(home)


def test_a_message_without_signature(home):
    """All null."""
    assert got(home, home.deliver(PLAIN)) == dict.fromkeys(PROPERTIES)


def test_every_form_of_a_get(home, workshop):
    """With a list's properties, with bodies, with none but the ids; for all Emails; never among the defaults."""
    signed, plain = home.deliver(workshop.signed), home.deliver(PLAIN)

    for beside in (["keywords"], ["subject"], ["bodyStructure"], ["header:Subject"], []):
        shown = call(home, "Email/get", {"ids": [plain, signed], "properties": [*beside, "smimeStatus"]})["list"]
        assert [(one["id"], one["smimeStatus"]) for one in shown] == [(plain, None), (signed, "signed/verified")]
        assert all(one.keys() == {"id", "smimeStatus", *beside} for one in shown)
    everything = call(home, "Email/get", {"ids": None, "properties": ["smimeStatus"]})["list"]
    assert {one["id"]: one["smimeStatus"] for one in everything} == {signed: "signed/verified", plain: None}
    assert not set(PROPERTIES) & call(home, "Email/get", {"ids": [signed]})["list"][0].keys()


def test_only_with_the_capability(home, workshop):
    """Without it in `using` there are no such properties and conditions (RFC 8620 §1.8)."""
    email = home.deliver(workshop.signed)

    refused = (
        "error",
        {
            "type": "invalidArguments",
            "description": "Email has no property “smimeStatus”.",
            "arguments": ["properties"],
        },
    )
    blob = call(home, "Email/get", {"ids": [email], "properties": ["blobId"]})["list"][0]["blobId"]
    for name, ids in (("Email/get", {"ids": [email]}), ("Email/parse", {"blobIds": [blob]})):
        assert call(home, name, {**ids, "properties": ["smimeStatus"]}, (CORE, MAIL)) == refused
    for name in ("hasSmime", "hasVerifiedSmime", "hasVerifiedSmimeAtDelivery"):
        answer = call(home, "Email/query", {"filter": {"operator": "NOT", "conditions": [{name: True}]}}, (CORE, MAIL))
        assert answer[1]["type"] == "unsupportedFilter"


def test_the_capability(home):
    """An empty object in both places (RFC 9219 §3)."""
    from minijmap.jmap.session import login_of, session_object

    session = session_object(login_of(home.users["alice@example.com"]), home.engine.capabilities)
    assert session["capabilities"][SMIME] == {}
    assert session["accounts"][home.account()]["accountCapabilities"][SMIME] == {}


def test_a_client_sets_none_of_it(home, workshop):
    """They are set by the server; what is as it is may be repeated (RFC 8620 §5.3)."""
    email = home.deliver(workshop.signed)
    got(home, email)

    answer = call(home, "Email/set", {"update": {email: {"smimeStatus": "unknown"}}})
    assert answer["notUpdated"][email]["type"] == "invalidProperties"
    answer = call(home, "Email/set", {"update": {email: {"smimeStatus": "signed/verified", "keywords/$seen": True}}})
    assert answer["updated"] == {email: None}
    new = {"mailboxIds": {home.mailbox("inbox"): True}, "smimeErrors": None}
    assert call(home, "Email/set", {"create": {"k": new}})["notCreated"]["k"]["properties"] == ["smimeErrors"]


def test_parsing_a_blob(home, workshop):
    """A message that is no Email has a status, and none at delivery: it was not delivered."""
    inner = home.deliver(b"From: bob@example.com\r\nContent-Type: message/rfc822\r\n\r\n" + workshop.signed)
    part = call(home, "Email/get", {"ids": [inner], "properties": ["attachments"]})["list"][0]["attachments"][0]
    asked = {"blobIds": [part["blobId"]], "properties": ["subject", *PROPERTIES]}

    assert call(home, "Email/parse", asked)["parsed"][part["blobId"]] == {
        "subject": "Noon",
        "smimeStatus": "signed/verified",
        "smimeStatusAtDelivery": None,
        "smimeErrors": None,
        "smimeVerifiedAt": at(home),
    }
    assert got(home, inner)["smimeStatus"] is None


def test_without_a_signature_there_is_no_time_of_verifying_one(home):
    """What others have signed is “unknown”, and has no `smimeVerifiedAt`: there is no S/MIME signature (§4.1)."""
    raw = (
        b"From: bob@example.com\r\nContent-Type: multipart/signed; protocol=application/pgp-signature; boundary=b\r\n\r\n"
        b"--b\r\n\r\nhi\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n--b--\r\n"
    )
    email = home.deliver(raw)
    blob = call(home, "Email/get", {"ids": [email], "properties": ["blobId"]})["list"][0]["blobId"]

    assert got(home, email) == {
        **dict.fromkeys(PROPERTIES),
        "smimeStatus": "unknown",
        "smimeStatusAtDelivery": "unknown",
    }
    parsed = call(home, "Email/parse", {"blobIds": [blob], "properties": PROPERTIES})["parsed"][blob]
    assert parsed == {**dict.fromkeys(PROPERTIES), "smimeStatus": "unknown"}


# The conditions


def test_conditions(home, workshop):
    """Each of the three, true and false, alone, negated and beside others (RFC 9219 §4.2)."""
    plain, good, bad = (home.deliver(raw) for raw in (PLAIN, workshop.signed, workshop.strange))

    assert found(home, hasSmime=True) == [bad, good]
    assert found(home, hasSmime=False) == [plain]
    assert found(home, hasVerifiedSmime=True) == found(home, hasVerifiedSmimeAtDelivery=True) == [good]
    assert found(home, hasVerifiedSmime=False) == found(home, hasVerifiedSmimeAtDelivery=False) == [bad, plain]
    assert found(home, hasSmime=True, inMailbox=home.mailbox("inbox"), subject="noon") == [bad, good]
    assert found(home, hasSmime=True, inMailbox=home.mailbox("sent")) == []
    assert found(home, hasSmime=True, hasVerifiedSmime=False) == [bad]
    assert found(home, operator="NOT", conditions=[{"hasSmime": True}]) == [plain]
    assert found(home, operator="OR", conditions=[{"hasSmime": False}, {"hasVerifiedSmime": True}]) == [good, plain]
    assert found(home, operator="AND", conditions=[{"hasSmime": True}, {"hasSmime": False}]) == []
    answer = call(home, "Email/query", {"filter": {"hasSmime": True}, "collapseThreads": True, "calculateTotal": True})
    assert (answer["ids"], answer["total"]) == ([bad, good], 2)
    assert call(home, "Email/query", {"filter": {"hasSmime": "yes"}})[1]["type"] == "invalidArguments"


def test_what_turns_out_to_be_encrypted_has_no_smime(home, workshop):
    """By its type a message may be signed; a status tells only where a signature can be seen."""
    sealed = workshop.openssl(
        "cms", "-encrypt", "-aes256", workshop.person("rsa", key=smimekit.RSA).certificate, stdin=b"x"
    )
    email = home.deliver(b"From: alice@example.com\r\n" + sealed)

    assert found(home, hasSmime=True) == []
    assert got(home, email) == dict.fromkeys(PROPERTIES)
    with home.database.read() as reader:
        assert reader.all("SELECT * FROM email_smime") == []


def test_changes_of_a_query(home, workshop):
    """A status that changes moves an Email in the results (RFC 8620 §5.6)."""
    condition = {"filter": {"hasVerifiedSmime": True}}
    good, other = home.deliver(workshop.signed), home.deliver(workshop.strange)
    before = call(home, "Email/query", condition)
    assert before["ids"] == [good]
    trust(home, workshop.root, workshop.stranger)
    call(home, "Email/query", condition)

    answer = call(home, "Email/queryChanges", {**condition, "sinceQueryState": before["queryState"]})
    assert answer["added"] == [{"id": other, "index": 0}]
    assert good not in answer["removed"]


# When it is found anew


def test_the_first_finding_changes_no_state(home, workshop):
    """No client has seen another status, for whoever asks gets it found (RFC 9219 §4.3)."""
    email = home.deliver(workshop.signed)
    before = state(home)
    assert got(home, email, properties=["smimeVerifiedAt"]) == {"smimeVerifiedAt": None}
    assert got(home, email)["smimeVerifiedAt"] == at(home)

    assert state(home) == before


def test_a_day_later_it_is_found_again(home, workshop):
    """Within a day it is remembered; after it, the time changes and nothing else does (RFC 9219 §4.1, §4.3)."""
    email = home.deliver(workshop.signed)
    first = got(home, email)
    before = state(home)
    home.now += DAY
    assert got(home, email) == first
    home.now += 1
    assert got(home, email) == {**first, "smimeVerifiedAt": at(home)}

    assert state(home) == before
    assert updated_since(home, before) == []


def test_a_certificate_expires(home, workshop):
    """Now it has failed, at delivery it had not; /changes tells of it (RFC 9219 §4.3)."""
    brief = workshop.person("brief", until=30)
    email = home.deliver(workshop.sign(brief))
    assert found(home, hasVerifiedSmime=True) == [email]
    before = state(home)
    home.now += 40 * DAY

    assert found(home, hasVerifiedSmime=True) == []
    assert found(home, hasVerifiedSmimeAtDelivery=True) == [email]
    assert updated_since(home, before) == [email]
    assert got(home, email) == {
        "smimeStatus": "signed/failed",
        "smimeStatusAtDelivery": "signed/verified",
        "smimeErrors": ["The signer's certificate has expired."],
        "smimeVerifiedAt": at(home),
    }


def test_a_trust_anchor_is_added_and_taken_away(home, workshop):
    """Adding one changes both statuses; taking one away leaves that at delivery (RFC 9219 §4.1)."""
    email = home.deliver(workshop.strange)
    assert got(home, email)["smimeErrors"] == UNTRUSTED
    before = state(home)
    trust(home, workshop.root, workshop.stranger)
    shown = got(home, email)
    assert (shown["smimeStatus"], shown["smimeStatusAtDelivery"]) == ("signed/verified",) * 2
    assert updated_since(home, before) == [email]
    trust(home, workshop.root)
    shown = got(home, email)

    assert (shown["smimeStatus"], shown["smimeStatusAtDelivery"]) == ("signed/failed", "signed/verified")


def test_delivered_before_the_certificate_was_valid(home, workshop):
    """At delivery it is judged by `receivedAt`, whenever that is done."""
    email = home.deliver(workshop.signed)
    import_at = dates.format_utc_date(int((home.now - 500 * DAY) * 1000))
    blob = call(home, "Email/get", {"ids": [email], "properties": ["blobId"]})["list"][0]["blobId"]
    call(home, "Email/set", {"destroy": [email]})
    wanted = {"blobId": blob, "mailboxIds": {home.mailbox("inbox"): True}, "receivedAt": import_at}
    early = call(home, "Email/import", {"emails": {"k": wanted}})["created"]["k"]["id"]

    shown = got(home, early)
    assert (shown["smimeStatus"], shown["smimeStatusAtDelivery"]) == ("signed/verified", "signed/failed")


# Mail from before, the worker, and what goes


def make_old(home):
    """Have all mail be from before there was S/MIME here, as after an upgrade."""
    home.database.write(lambda tx: tx.execute("DELETE FROM email_smime"))
    home.database.write(lambda tx: tx.execute("UPDATE smime_progress SET unseen = (SELECT max(key) FROM email)"))


@pytest.mark.parametrize("ask", ["get", "query", "worker"])
def test_mail_from_before(home, workshop, ask):
    """It gets its status when somebody asks, or when the worker comes by; no Email's row is touched."""
    plain, good = home.deliver(PLAIN), home.deliver(workshop.signed)
    opaque = home.deliver(workshop.sign(workshop.person(), "-nodetach"))
    before = state(home)
    make_old(home)
    if ask == "get":
        assert [one["smimeStatus"] for one in got(home, good, plain, opaque)] == [
            "signed/verified",
            None,
            "signed/verified",
        ]
    elif ask == "query":
        assert found(home, hasVerifiedSmime=True) == [opaque, good]
    else:
        SmimeWorker(home.database, TrustStore(str(home.anchors)), lambda: home.now).run_due()
    with home.database.read() as reader:
        rows = reader.all("SELECT 'e' || email, status FROM email_smime ORDER BY email")

    assert rows == [(good, "signed/verified"), (opaque, "signed/verified")]
    assert state(home) == before


def test_a_file_from_before(tmp_path, workshop):
    """The step that makes the table reads no message; what was there is looked at afterwards."""
    later = ("mail-smime-1", "mail-mdn-1")
    path = tmp_path / "minijmap.sqlite3"
    schema.migrate(path, [one for one in migrations() if one.name not in later])
    old = replace(ingest.parse(workshop.signed), has_smime=False)
    with contextlib.closing(Database(path, prepare=prepare_connection)) as database:
        account = users.add_user(database, ALICE, "Alice", "secret", 0).account
        database.write(
            lambda tx: ingest.add(tx, account, old, mailboxes=[ingest.inbox(tx, account)], keywords=[], received_at=0)
        )
    with contextlib.closing(open_database(tmp_path)) as database:
        anchors = tmp_path / "anchors.pem"
        anchors.write_bytes(workshop.root.certificate.read_bytes())
        at = smimekit.NOW.timestamp() + DAY
        SmimeWorker(database, TrustStore(str(anchors)), lambda: at).run_due()
        with database.read() as reader:
            assert reader.all("SELECT email, status, at_delivery FROM email_smime") == [
                (1, "signed/verified", "signed/failed")
            ]


def test_many_batches_of_mail_from_before(home, workshop, monkeypatch):
    """The look goes from the newest to the oldest, some at a time."""
    monkeypatch.setattr(smimestatus, "SCANNED", 3)
    signed = [home.deliver(raw) for raw in (workshop.signed, PLAIN, PLAIN, PLAIN, workshop.strange, PLAIN, PLAIN)]
    make_old(home)

    assert found(home, hasSmime=True) == [signed[4], signed[0]]


def test_the_worker_follows_arrivals(home, workshop):
    """Soon after a signed message has come its status is there, without anybody asking; and it stops at once."""
    worker = SmimeWorker(home.database, TrustStore(str(home.anchors)), lambda: home.now)
    heard = []
    home.database.on_commit = lambda changes: (worker.hear(changes), heard.append(changes))
    worker.start()
    email = home.deliver(workshop.signed)
    worker.run_due()
    worker.stop()

    assert got(home, email, properties=["smimeVerifiedAt"]) == {"smimeVerifiedAt": at(home)}


def test_the_worker_tells_of_a_certificate_that_has_expired(home, workshop):
    """It comes back when the status may be another, and the Email has changed."""
    worker = SmimeWorker(home.database, TrustStore(str(home.anchors)), lambda: home.now)
    email = home.deliver(workshop.sign(workshop.person("brief", until=30)))
    worker.run_due()
    before = state(home)
    assert 28 * DAY > worker._seconds_to_wait() == 3600.0
    home.now += 40 * DAY
    worker.run_due()

    assert updated_since(home, before) == [email]


def test_two_accounts_each_have_their_status(home, workshop):
    """A message to both is examined for both; one account's query does not wait for the other's."""
    mine, theirs = home.deliver(workshop.signed), home.deliver(workshop.signed, "bob@example.com")

    assert found(home, hasSmime=True) == [mine]
    with home.database.read() as reader:
        rows = dict(reader.all("SELECT 'e' || email, status FROM email_smime"))
    assert rows == {mine: "signed/verified", theirs: None}


def test_what_is_destroyed_leaves_nothing(home, workshop):
    """The row goes with the Email, and with the account; `check` would tell."""
    email = home.deliver(workshop.signed)
    got(home, email)
    call(home, "Email/set", {"destroy": [email]})

    with home.database.read() as reader:
        assert reader.all("SELECT * FROM email_smime") == []
        assert list(check.problems(reader)) == []
    home.database.write(lambda tx: smimestatus.note(tx, 1, 77, 0))
    with home.database.read() as reader:
        assert list(check.problems(reader)) == ["Emails whose S/MIME status is not as kept for queries: e77."]


def test_a_copy_is_delivered_when_it_says(home, workshop):
    """Another address in From changes nothing for other mail: each has its own status."""
    good, bad = (
        home.deliver(workshop.signed),
        home.deliver(workshop.signed.replace(ALICE.encode(), MALLORY.encode(), 1)),
    )

    assert [one["smimeStatus"] for one in got(home, good, bad)] == ["signed/verified", "signed/failed"]


def test_the_walk_over_signed_mail(home, workshop):
    """A condition on signatures walks along an index of them, by date, and not over all mail."""
    home.deliver(workshop.signed)
    with home.database.read() as reader:
        for extra in smimestatus.WALKS.values():
            plan = reader.all(
                f"EXPLAIN QUERY PLAN SELECT d.email FROM email_smime AS d WHERE d.account = ?{extra} "
                "ORDER BY d.received_at DESC, d.email DESC",
                (1,),
            )
            assert len(plan) == 1
            assert "USING COVERING INDEX" in plan[0][3]


def test_nothing_is_loaded_without_signed_mail(home):
    """Where there is no S/MIME, the trust anchors are never read."""
    store = TrustStore(str(home.anchors))
    home.deliver(PLAIN)
    SmimeWorker(home.database, store, lambda: home.now).run_due()

    assert store._seen is None
