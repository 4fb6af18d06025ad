"""The examples of RFC 8621 §2 to §4, played as transcripts: the calls as they stand there, our ids in the place of theirs."""

import pytest

from tests.mail.mailmodel import START_MS, get, make_mailbox, message, put, set_email

MAIL = ("urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail")


def play(house, *calls):
    """Send calls as in the RFC; the account is ours. The arguments of each response, which must not be errors."""
    responses = house.request(
        *[[name, {"accountId": house.account(), **arguments}, call_id] for name, arguments, call_id in calls],
        using=MAIL,
    )
    assert [(name, call_id) for name, _, call_id in responses] == [(name, call_id) for name, _, call_id in calls], (
        responses
    )
    return [arguments for _, arguments, _ in responses]


def reference(result_of, name, path):
    """A ResultReference."""
    return {"resultOf": result_of, "name": name, "path": path}


@pytest.fixture
def threads(house):
    """An Inbox with a Thread of two Emails and another of one, newest last; the second of the first Thread is archived."""
    inbox, archive = house.mailbox("inbox"), house.mailbox("archive")
    one = put(house, message("The plan", message_id="a@x"), [inbox], at=START_MS)
    two = put(
        house, message("Re: The plan", message_id="b@x", references=["a@x"]), [archive], ["$seen"], START_MS + 1000
    )
    three = put(house, message("The Big Reveal", message_id="c@x"), [inbox], ["$seen", "$flagged"], START_MS + 2000)
    return one, two, three


def test_2_6_mailboxes_and_their_changes(house, threads):
    """§2.6: all Mailboxes; then an Email is marked read, and only the counts are fetched, by back-references."""
    (all_of_them,) = play(house, ("Mailbox/get", {"ids": None}, "0"))
    (shown,) = [one for one in all_of_them["list"] if one["role"] == "inbox"]
    assert (shown["name"], shown["totalEmails"], shown["unreadEmails"], all_of_them["notFound"]) == ("Inbox", 2, 1, [])
    set_email(house, threads[0], {"keywords/$seen": True})

    changes, created, updated = play(
        house,
        ("Mailbox/changes", {"sinceState": all_of_them["state"]}, "0"),
        ("Mailbox/get", {"#ids": reference("0", "Mailbox/changes", "/created")}, "1"),
        (
            "Mailbox/get",
            {"#ids": reference("0", "Mailbox/changes", "/updated"), "#properties": reference("0", "Mailbox/changes", "/updatedProperties")},
            "2",
        ),
    )  # fmt: skip

    inbox, archive = house.mailbox("inbox"), house.mailbox("archive")
    assert (changes["created"], sorted(changes["updated"]), changes["destroyed"], changes["hasMoreChanges"]) == (
        [],
        sorted([inbox, archive]),
        [],
        False,
    )
    assert (created["list"], created["notFound"]) == ([], [])
    shown = {one["id"]: one for one in updated["list"]}
    assert shown[inbox] == {"id": inbox, "totalEmails": 2, "unreadEmails": 0, "totalThreads": 2, "unreadThreads": 0}
    assert updated["state"] == changes["newState"]


def test_2_6_rename_one_and_destroy_another(house):
    """§2.6: the rename succeeds, the destroy is forbidden, for it is the Inbox."""
    box, inbox = make_mailbox(house, "Important mail"), house.mailbox("inbox")
    state = house.call("Mailbox/get", {"ids": []})["state"]

    (answer,) = play(
        house,
        (
            "Mailbox/set",
            {"ifInState": state, "update": {box: {"name": "Maybe important mail"}}, "destroy": [inbox]},
            "0",
        ),
    )

    assert answer["oldState"] == state != answer["newState"]
    assert answer["updated"] == {box: None}
    assert answer["notDestroyed"][inbox]["type"] == "forbidden"


def test_3_1_1_threads(house, threads):
    """§3.1.1: two Threads with their Emails, oldest first; call ids may begin with #."""
    first, second = get(house, threads[0], "threadId"), get(house, threads[2], "threadId")

    (answer,) = play(house, ("Thread/get", {"ids": [first, second]}, "#1"))

    assert answer["list"] == [{"id": first, "emailIds": [*threads[:2]]}, {"id": second, "emailIds": [threads[2]]}]
    assert answer["notFound"] == []


def test_4_2_1_an_email_with_a_header_form_and_body_values(house):
    """§4.2.1: an HTML body and a footer of the list in plain text; values cut at 256 octets; an id that is not found."""
    html = "<html><body><p>Hello " + "dear " * 100 + "</p></body></html>"
    raw = (
        'From: "Joe Bloggs" <joe@example.com>\r\nSubject: Dinner on Thursday?\r\nList-POST: <mailto:partytime@lists.example.com>\r\n'
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n" + html + "\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\n-- Sent by your friendly mailing list\r\n--b--\r\n"
    ).encode()
    email = put(house, raw, at=1_381_673_520_000)

    (answer,) = play(house, ("Email/get", {
        "ids": ["f123u456", email],
        "properties": ["threadId", "mailboxIds", "from", "subject", "receivedAt", "header:List-POST:asURLs", "htmlBody", "bodyValues"],
        "bodyProperties": ["partId", "blobId", "size", "type"], "fetchHTMLBodyValues": True, "maxBodyValueBytes": 256,
    }, "#1"))  # fmt: skip

    (shown,) = answer["list"]
    assert answer["notFound"] == ["f123u456"]
    first, second = shown.pop("htmlBody")
    values = shown.pop("bodyValues")
    assert shown == {
        "id": email, "threadId": "t1", "mailboxIds": {house.mailbox("inbox"): True}, "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}],
        "subject": "Dinner on Thursday?", "receivedAt": "2013-10-13T14:12:00Z", "header:List-POST:asURLs": ["mailto:partytime@lists.example.com"],
    }  # fmt: skip
    assert [sorted(one) for one in (first, second)] == [["blobId", "partId", "size", "type"]] * 2
    assert (first["type"], first["size"], second["type"]) == ("text/html", len(html), "text/plain")
    assert values[first["partId"]]["isTruncated"] is True
    assert html.startswith(values[first["partId"]]["value"])
    assert values[second["partId"]] == {
        "isEncodingProblem": False,
        "isTruncated": False,
        "value": "-- Sent by your friendly mailing list",
    }


def test_4_4_2_the_example_sort(house, threads):
    """§4.4.2: flagged Threads first, then by subject, then newest first."""
    other = put(house, message("a different matter", message_id="d@x"), at=START_MS + 5000)
    twin = put(house, message("The Plan", message_id="e@x"), at=START_MS + 6000)
    sort = [
        {"property": "someInThreadHaveKeyword", "keyword": "$flagged", "isAscending": False},
        {"property": "subject", "collation": "i;ascii-casemap"}, {"property": "receivedAt", "isAscending": False},
    ]  # fmt: skip

    (answer,) = play(house, ("Email/query", {"sort": sort}, "0"))

    assert answer["ids"] == [threads[2], other, twin, threads[1], threads[0]]


def first_page(house):
    """The four calls that open an Inbox (§4.10)."""
    return (
        ("Email/query", {
            "filter": {"inMailbox": house.mailbox("inbox")}, "sort": [{"isAscending": False, "property": "receivedAt"}],
            "collapseThreads": True, "position": 0, "limit": 30, "calculateTotal": True,
        }, "0"),
        ("Email/get", {"#ids": reference("0", "Email/query", "/ids"), "properties": ["threadId"]}, "1"),
        ("Thread/get", {"#ids": reference("1", "Email/get", "/list/*/threadId")}, "2"),
        ("Email/get", {"#ids": reference("2", "Thread/get", "/list/*/emailIds"), "properties": [
            "threadId", "mailboxIds", "keywords", "hasAttachment", "from", "subject", "receivedAt", "size", "preview"]}, "3"),
    )  # fmt: skip


def test_4_10_a_client_opens_the_inbox(house, threads):
    """§4.10: the first Threads of the Inbox, with every Email of each, in one request of four calls."""
    one, two, three = threads

    query, emails, found, shown = play(house, *first_page(house))

    assert (query["ids"], query["total"], query["position"], query["canCalculateChanges"]) == ([three, one], 2, 0, True)
    assert emails["list"] == [{"id": three, "threadId": "t2"}, {"id": one, "threadId": "t1"}]
    assert found["list"] == [{"id": "t2", "emailIds": [three]}, {"id": "t1", "emailIds": [one, two]}]
    assert [email["id"] for email in shown["list"]] == [three, one, two]
    size = shown["list"][0].pop("size")
    assert size > 100
    assert shown["list"][0] == {
        "id": three, "threadId": "t2", "mailboxIds": {house.mailbox("inbox"): True}, "keywords": {"$seen": True, "$flagged": True},
        "hasAttachment": False, "from": [{"name": "Ann Example", "email": "ann@example.org"}], "subject": "The Big Reveal",
        "receivedAt": "2026-01-01T00:00:02Z", "preview": "Good day.",
    }  # fmt: skip
    assert [one["state"] for one in (emails, shown)] == [query["queryState"]] * 2


def test_4_10_another_device_changes_things_and_the_client_catches_up(house, threads):
    """§4.10: marked unread, some deleted, one arrives; /changes and /queryChanges bring the client up to date."""
    one, _, three = threads
    query, emails, _, _ = play(house, *first_page(house))
    (answer,) = play(house, ("Email/set", {"update": {three: {"keywords/$seen": None}}}, "0"))
    assert (answer["oldState"], answer["updated"]) == (emails["state"], {three: None})
    house.call("Email/set", {"destroy": [one]})
    new = put(house, message("News", message_id="n@x"), at=START_MS + 9000)
    inbox = {
        "filter": {"inMailbox": house.mailbox("inbox")},
        "sort": [{"property": "receivedAt", "isAscending": False}],
        "collapseThreads": True,
    }

    changes, spliced = play(
        house,
        ("Email/changes", {"sinceState": emails["state"], "maxChanges": 50}, "3"),
        (
            "Email/queryChanges",
            {**inbox, "sinceQueryState": query["queryState"], "upToId": one, "maxChanges": 25, "calculateTotal": True},
            "11",
        ),
    )

    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([new], [three], [one])
    assert (changes["oldState"], changes["hasMoreChanges"]) == (emails["state"], False)
    assert one in spliced["removed"]
    assert {"id": new, "index": 0} in spliced["added"]
    assert spliced["total"] == 2
    cached = [known for known in query["ids"] if known not in spliced["removed"]]
    for item in spliced["added"]:
        cached.insert(item["index"], item["id"])
    assert cached == house.call("Email/query", inbox)["ids"] == [new, three]


def draft(drafts, sent_at, **more):
    """The draft of §4.10."""
    return {
        "mailboxIds": {drafts: True}, "keywords": {"$seen": True, "$draft": True}, "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}],
        "subject": "World domination", "receivedAt": "2018-07-10T01:03:11Z", "sentAt": sent_at, **more,
    }  # fmt: skip


def test_4_10_a_draft_is_saved_and_replaced_by_the_next(house):
    """§4.10: a draft in plain text with a language, then one with HTML; the old one is destroyed in the same call."""
    drafts = house.mailbox("drafts")
    text = "I have the most brilliant plan.  Let me tell you all about it.  What we do is, we"
    plain = {"type": "text/plain", "partId": "bd48", "header:Content-Language": "en"}
    (answer,) = play(house, ("Email/set", {"create": {"k192": draft(
        drafts, "2018-07-10T11:03:11+10:00", bodyStructure=plain, bodyValues={"bd48": {"value": text, "isTruncated": False}})}}, "0"))  # fmt: skip
    first = answer["created"]["k192"]
    assert sorted(first) == ["blobId", "id", "size", "threadId"]
    shown = house.call("Email/get", {"ids": [first["id"]], "properties": ["sentAt", "receivedAt", "keywords", "bodyValues", "textBody", "messageId"],
                                     "fetchTextBodyValues": True, "bodyProperties": ["language", "type"]})["list"][0]  # fmt: skip
    assert (shown["sentAt"], shown["receivedAt"]) == ("2018-07-10T11:03:11+10:00", "2018-07-10T01:03:11Z")
    assert [one["value"] for one in shown["bodyValues"].values()] == [text]
    assert shown["textBody"] == [{"language": ["en"], "type": "text/plain"}]
    assert len(shown["messageId"]) == 1

    parts = [{"partId": "a49d", "type": "text/html", "header:Content-Language": "en"}, plain]
    html = "<!DOCTYPE html><html><body><div>I have the most <b>brilliant</b> plan.</div></body></html>"
    second = draft(drafts, "2018-07-10T11:05:08+10:00", to=[{"name": "John", "email": "john@example.com"}],
                   bodyStructure={"type": "multipart/alternative", "subParts": parts},
                   bodyValues={"bd48": {"value": text, "isTruncated": False}, "a49d": {"value": html, "isTruncated": False}})  # fmt: skip
    (answer,) = play(house, ("Email/set", {"create": {"k1546": second}, "destroy": [first["id"]]}, "0"))

    assert (answer["destroyed"], answer["notCreated"], answer["notDestroyed"]) == ([first["id"]], None, None)
    shown = get(house, answer["created"]["k1546"]["id"], "to", "bodyStructure")
    assert shown["to"] == [{"name": "John", "email": "john@example.com"}]
    assert [one["type"] for one in shown["bodyStructure"]["subParts"]] == ["text/html", "text/plain"]
    counts = house.call("Mailbox/get", {"ids": [drafts]})["list"][0]
    assert (counts["totalEmails"], counts["unreadEmails"], counts["totalThreads"]) == (1, 0, 1)
