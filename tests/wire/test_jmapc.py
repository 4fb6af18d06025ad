"""The server seen through jmapc, a client that nobody here wrote.

It speaks https alone, so TLS ends in front of the server.
"""

import ssl
import time
from urllib.parse import urlsplit

import pytest
import trustme
from jmapc import Client, EmailQueryFilterCondition, Error, MailboxQueryFilterCondition, Ref
from jmapc.methods import (
    CoreEcho,
    CustomMethod,
    EmailChanges,
    EmailCopy,
    EmailGet,
    EmailGetResponse,
    EmailQuery,
    EmailQueryChanges,
    EmailSet,
    EmailSubmissionChanges,
    EmailSubmissionGet,
    EmailSubmissionQuery,
    EmailSubmissionQueryChanges,
    EmailSubmissionSet,
    IdentityChanges,
    IdentityGet,
    IdentitySet,
    MailboxChanges,
    MailboxGet,
    MailboxQuery,
    MailboxQueryChanges,
    MailboxSet,
    SearchSnippetGet,
    ThreadChanges,
    ThreadGet,
)
from jmapc.models import (
    Address,
    Comparator,
    Delivered,
    Email,
    EmailAddress,
    EmailBodyPart,
    EmailBodyValue,
    EmailSubmission,
    Envelope,
    Mailbox,
    UndoStatus,
)

from tests.wire.running import ALICE
from tests.wire.tls import TlsFront


@pytest.fixture
def server(start, folder, tmp_path, monkeypatch):
    """A server behind TLS with three messages, two of them a thread. `server.front` is where TLS is."""
    authority = trustme.CA()
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    front = TlsFront(context)
    (folder / "minijmap.toml").write_text(f'public_url = "https://localhost:{front.port}"\n')
    running = start()
    front.target_port = urlsplit(running.url).port
    running.front = front
    for number, (subject, references) in enumerate(
        (("Plans", ""), ("Other", ""), ("Re: Plans", "References: <0@example.org>\r\n"))
    ):
        running.send(
            f"From: Zoe <zoe@example.org>\r\nTo: {ALICE}\r\nSubject: {subject}\r\nMessage-ID: <{number}@example.org>\r\n"
            f"{references}\r\nBody number {number}\r\n".encode()
        )
    yield running
    front.close()


@pytest.fixture
def client(server):
    """A jmapc client signed in as Alice."""
    client = Client.create_with_password(f"localhost:{server.front.port}", ALICE, "secret")
    yield client
    client.requests_session.close()


def test_the_session_and_echo(client, server):
    """The client takes the Session, finds its account, and an echo comes back."""
    assert client.account_id == "a1"
    assert client.jmap_session.username == ALICE
    assert client.jmap_session.api_url == f"https://localhost:{server.front.port}/jmap/api"
    assert client.request(CoreEcho(data={"hello": "world"})).data == {"hello": "world"}


def test_mailboxes_are_found_made_renamed_and_destroyed(client):
    """The life of a Mailbox."""
    found = client.request(MailboxQuery(filter=MailboxQueryFilterCondition(role="inbox")))
    assert client.request(MailboxGet(ids=found.ids)).data[0].name == "Inbox"

    made = client.request(MailboxSet(create={"new": Mailbox(name="Letters")})).created["new"].id
    changes = client.request(MailboxChanges(since_state=client.request(MailboxGet(ids=[])).state))
    assert (changes.created, changes.updated, changes.destroyed) == ([], [], [])
    assert client.request(MailboxSet(update={made: {"name": "Post"}})).updated == {made: None}
    assert client.request(MailboxGet(ids=[made])).data[0].name == "Post"
    assert client.request(MailboxSet(destroy=[made])).destroyed == [made]


def test_the_inbox_is_opened_in_one_request(client):
    """Query, get and threads with result references, as a mail client opens a folder."""
    inbox = client.request(MailboxQuery(filter=MailboxQueryFilterCondition(role="inbox"))).ids[0]
    query, emails, threads = client.request(
        [
            EmailQuery(
                filter=EmailQueryFilterCondition(in_mailbox=inbox),
                sort=[Comparator(property="receivedAt", is_ascending=False)],
                collapse_threads=True,
                limit=10,
            ),
            EmailGet(ids=Ref("/ids"), properties=["threadId", "subject", "from", "receivedAt"]),
            ThreadGet(ids=Ref("/list/*/threadId")),
        ]
    )
    assert len(query.response.ids) == 2
    assert [(email.subject, email.mail_from[0].email) for email in emails.response.data] == [
        ("Re: Plans", "zoe@example.org"),
        ("Other", "zoe@example.org"),
    ]
    assert sorted(len(thread.email_ids) for thread in threads.response.data) == [1, 2]


def test_bodies_keywords_changes_and_destruction(client):
    """A message is read, marked, seen in /changes, searched and destroyed."""
    (found,) = client.request(EmailQuery(filter=EmailQueryFilterCondition(text='"number 1"'))).ids
    got = client.request(EmailGet(ids=[found], fetch_text_body_values=True))
    assert isinstance(got, EmailGetResponse)
    email = got.data[0]
    assert email.body_values[email.text_body[0].part_id].value == "Body number 1\n"

    client.request(EmailSet(update={found: {"keywords/$flagged": True}}))
    assert client.request(EmailQuery(filter=EmailQueryFilterCondition(has_keyword="$flagged"))).ids == [found]
    assert client.request(EmailChanges(since_state=got.state)).updated == [found]
    assert client.request(EmailSet(destroy=[found])).destroyed == [found]
    assert client.request(EmailChanges(since_state=got.state)).destroyed == [found]


def test_blobs_go_up_and_come_down(client, tmp_path):
    """A file is uploaded, imported as an Email, and its octets are what they were."""
    path = tmp_path / "letter.eml"
    path.write_bytes(b"Subject: Uploaded\r\n\r\nfrom a file\r\n")
    blob = client.upload_blob(path)
    inbox = client.request(MailboxQuery(filter=MailboxQueryFilterCondition(role="inbox"))).ids[0]
    importing = CustomMethod(
        data={"accountId": client.account_id, "emails": {"n": {"blobId": blob.id, "mailboxIds": {inbox: True}}}}
    )
    importing.jmap_method = "Email/import"
    importing.using = {"urn:ietf:params:jmap:mail"}
    answer = client.request(importing).data
    assert answer["created"]["n"]["size"] == blob.size
    email = client.request(EmailGet(ids=[answer["created"]["n"]["id"]])).data[0]
    client.download_attachment(email.text_body[0], tmp_path / "body.txt")
    assert (tmp_path / "body.txt").read_bytes() == b"from a file\r\n"


def test_a_message_is_written_and_sent(client):
    """The client's own way: a draft, its submission, and the move to Sent when that has succeeded."""
    identity = client.request(IdentityGet()).data[0]
    assert (identity.email, identity.may_delete) == (ALICE, False)
    drafts, sent = (
        client.request(MailboxQuery(filter=MailboxQueryFilterCondition(role=role))).ids[0]
        for role in ("drafts", "sent")
    )
    draft = Email(
        mail_from=[EmailAddress(name=identity.name, email=identity.email)],
        to=[EmailAddress(name="Alice", email=ALICE)],
        subject="Sent by jmapc",
        keywords={"$draft": True},
        mailbox_ids={drafts: True},
        body_values={"1": EmailBodyValue(value="Hello")},
        text_body=[EmailBodyPart(part_id="1", type="text/plain")],
    )
    envelope = Envelope(mail_from=Address(email=ALICE), rcpt_to=[Address(email=ALICE)])
    results = client.request(
        [
            EmailSet(create={"draft": draft}),
            EmailSubmissionSet(
                create={"sub": EmailSubmission(email_id="#draft", identity_id=identity.id, envelope=envelope)},
                on_success_update_email={
                    "#sub": {f"mailboxIds/{drafts}": None, f"mailboxIds/{sent}": True, "keywords/$draft": None}
                },
            ),
        ]
    )
    made, submitted, moved = (one.response for one in results)
    assert moved.updated == {made.created["draft"].id: None}
    submission = submitted.created["sub"].id
    deadline = time.monotonic() + 20
    while (got := client.request(EmailSubmissionGet(ids=[submission])).data[0]).undo_status != UndoStatus.FINAL:
        assert time.monotonic() < deadline
    assert got.delivery_status[ALICE].delivered == Delivered.YES
    assert len(client.request(EmailQuery(filter=EmailQueryFilterCondition(text="jmapc"))).ids) == 2


def test_lists_are_kept_up_to_date(client):
    """Each /queryChanges and /changes tells what a mark, a new Mailbox and a destroyed Email have changed."""
    emails = client.request(EmailQuery(sort=[Comparator(property="receivedAt", is_ascending=False)]))
    boxes = client.request(MailboxQuery())
    threads = client.request(ThreadGet(ids=[]))
    first, *_, last = emails.ids
    client.request(EmailSet(update={first: {"keywords/$seen": True}}, destroy=[last]))
    made = client.request(MailboxSet(create={"new": Mailbox(name="Letters")})).created["new"].id

    changed = client.request(
        EmailQueryChanges(
            sort=[Comparator(property="receivedAt", is_ascending=False)], since_query_state=emails.query_state
        )
    )
    assert sorted(changed.removed) == sorted([first, last])
    assert [(one.id, one.index) for one in changed.added] == [(first, 0)]
    added = client.request(MailboxQueryChanges(since_query_state=boxes.query_state)).added
    assert made in [one.id for one in added]
    assert client.request(ThreadChanges(since_state=threads.state)).updated


def test_words_that_were_looked_for_are_marked(client):
    """SearchSnippet/get marks them; the rest is as it was."""
    wanted = EmailQueryFilterCondition(text="plans")
    ids = client.request(EmailQuery(filter=wanted)).ids
    snippets = client.request(SearchSnippetGet(ids=ids, filter=wanted)).data
    assert sorted(snippet.subject for snippet in snippets) == ["<mark>Plans</mark>", "Re: <mark>Plans</mark>"]


def test_identities_and_submissions_have_their_lists(client):
    """The life of an Identity; the lists of submissions; a copy within one account is refused by name."""
    before = client.request(IdentityGet())
    (own,) = before.data
    assert client.request(IdentitySet(update={own.id: {"name": "A. Appleby"}})).updated == {own.id: None}
    assert client.request(IdentityChanges(since_state=before.state)).updated == [own.id]
    assert client.request(IdentityGet()).data[0].name == "A. Appleby"

    listed = client.request(EmailSubmissionQuery())
    assert listed.ids == []
    state = client.request(EmailSubmissionGet(ids=None)).state
    assert client.request(EmailSubmissionChanges(since_state=state)).created == []
    assert client.request(EmailSubmissionQueryChanges(since_query_state=listed.query_state)).added == []

    refused = client.request(EmailCopy(from_account_id="a1", create={}))
    assert isinstance(refused, Error)
    assert refused.type == "invalidArguments"


def test_events(server):
    """What was missed since a state that it has never seen, and then a message that arrives."""
    host = f"localhost:{server.front.port}"
    client = Client(host, auth=(ALICE, "secret"), last_event_id="0:0")
    events = client.events
    missed = next(events)
    state = client.request(EmailGet(ids=[])).state
    assert missed.data.changed["a1"].email == missed.data.changed["a1"].email_delivery == state
    server.send(b"From: zoe@example.org\r\nSubject: Late\r\n\r\nx\r\n")
    told = next(events)
    assert told.id != missed.id
    assert told.data.changed["a1"].email == client.request(EmailGet(ids=[])).state != state
    client._events.resp.close()
    client.requests_session.close()
