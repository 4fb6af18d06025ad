"""Email/set: keywords and Mailboxes change, everything else stays, and an Email goes (RFC 8621 §4.1.1, §4.6)."""

import pytest

from minijmap.mail.capability import MOST_KEYWORDS_PER_EMAIL
from minijmap.store import blobs
from tests.mail.mailmodel import damage, get, make_mailbox, message, put, set_email, with_attachment


@pytest.fixture
def email(house):
    """An Email in the Inbox with two keywords."""
    return put(house, message(message_id="a@x"), keywords=["$seen", "work"])


def keywords(house, email_id):
    """Its keywords, sorted."""
    return sorted(get(house, email_id, "keywords"))


def test_keywords_by_patch(house, email):
    """One is added, one removed, null for one that is not there is nothing."""
    assert set_email(house, email, {"keywords/$flagged": True, "keywords/work": None, "keywords/none": None}) is None

    assert get(house, email, "keywords") == {"$flagged": True, "$seen": True}
    assert damage(house) == []


def test_keywords_as_a_whole(house, email):
    """The set is replaced; {} and null empty it."""
    assert set_email(house, email, {"keywords": {"a": True, "b": True}}) is None
    assert keywords(house, email) == ["a", "b"]
    for empty in ({}, None):
        assert set_email(house, email, {"keywords": {"a": True}}) is None
        assert set_email(house, email, {"keywords": empty}) is None
        assert keywords(house, email) == []
    assert damage(house) == []


def test_keywords_know_no_case(house, email):
    """They are returned in lower case however they came, and removed by any spelling."""
    assert set_email(house, email, {"keywords/$FLAGGED": True, "keywords/Work": None}) is None
    assert keywords(house, email) == ["$flagged", "$seen"]
    answer = house.call("Email/set", {"update": {email: {"keywords": {"ToDo": True}}}})
    assert answer["updated"] == {email: {"keywords": {"todo": True}}}
    assert house.call("Email/query", {"filter": {"hasKeyword": "TODO"}})["ids"] == [email]


def test_false_removes_in_a_patch_and_is_refused_in_a_whole(house, email):
    """Some clients send `keywords/x: false`; in a whole map the value MUST be true."""
    assert set_email(house, email, {"keywords/work": False}) is None
    assert keywords(house, email) == ["$seen"]
    error = set_email(house, email, {"keywords": {"$seen": False}})
    assert (error["type"], error["properties"]) == ("invalidProperties", ["keywords"])


@pytest.mark.parametrize("keyword", [*'(){]%*"\\ é\x7f', "", "a b", "x" * 256, "\t"])
def test_what_is_no_keyword(house, email, keyword):
    """1 to 255 characters of %x21-%x7e, without ( ) { ] % * " and backslash."""
    error = set_email(house, email, {"keywords": {keyword: True}})

    assert (error["type"], error["properties"]) == ("invalidProperties", ["keywords"])
    assert keywords(house, email) == ["$seen", "work"]


def test_every_character_of_a_keyword(house, email):
    """All others may stand in one, and `/` and `~` in a patch too when they are escaped."""
    all_of_them = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '(){]%*"\\')

    assert set_email(house, email, {"keywords": {all_of_them: True, "x" * 255: True}}) is None
    assert keywords(house, email) == sorted([all_of_them.lower(), "x" * 255])
    assert set_email(house, email, {"keywords": {}}) is None
    assert set_email(house, email, {"keywords/a~1b~0c": True}) is None
    assert keywords(house, email) == ["a/b~c"]


def test_mailboxes_by_patch_and_as_a_whole(house, email):
    """Added, moved, replaced; the id stays the same."""
    inbox, archive = house.mailbox("inbox"), house.mailbox("archive")

    assert set_email(house, email, {f"mailboxIds/{archive}": True}) is None
    assert get(house, email, "mailboxIds") == {inbox: True, archive: True}
    assert set_email(house, email, {f"mailboxIds/{inbox}": None}) is None
    assert get(house, email, "mailboxIds") == {archive: True}
    assert set_email(house, email, {"mailboxIds": {inbox: True}}) is None
    assert get(house, email, "mailboxIds") == {inbox: True}
    assert damage(house) == []


@pytest.mark.parametrize("patch", [{"mailboxIds": {}}, {"mailboxIds": None}, "the only one", {"mailboxIds": {"m999": True}},
                                   {"mailboxIds/m999": True}, {"mailboxIds": ["m1"]}, {"mailboxIds/m01": True},
                                   {"mailboxIds/#nobody": True}, "somebody else's"])  # fmt: skip
def test_an_email_is_in_mailboxes_that_are_there(house, email, patch):
    """At least one, each of this account; a refused change leaves everything as it was, keywords too."""
    inbox = house.mailbox("inbox")
    if patch == "the only one":
        patch = {f"mailboxIds/{inbox}": None}
    elif patch == "somebody else's":
        patch = {f"mailboxIds/{house.mailbox('inbox', 'bob@example.com')}": True}

    error = set_email(house, email, {**patch, "keywords/new": True})

    assert (error["type"], error["properties"]) == ("invalidProperties", ["mailboxIds"])
    assert get(house, email, "mailboxIds", "keywords") == {
        "id": email, "mailboxIds": {inbox: True}, "keywords": {"$seen": True, "work": True},
    }  # fmt: skip


def test_a_mailbox_of_the_same_request_is_named_by_its_creation_id(house, email):
    """In the map's names, as a whole and in a patch."""
    responses = house.request(
        ["Mailbox/set", {"accountId": house.account(), "create": {"new": {"name": "New"}}}, "0"],
        ["Email/set", {"accountId": house.account(), "update": {email: {"mailboxIds/#new": True}}}, "1"],
    )

    box = responses[0][1]["created"]["new"]["id"]
    assert responses[1][1]["notUpdated"] is None
    assert get(house, email, "mailboxIds") == {house.mailbox("inbox"): True, box: True}


PATCHES = [
    {"keywords": {}, "keywords/a": True}, {"keywords/a/b": True}, {"nothing/a": True}, {"keywords/$seen/x": None}, {"keywords/~2": True},
]  # fmt: skip


@pytest.mark.parametrize("patch", PATCHES)
def test_patches_that_are_none(house, email, patch):
    """RFC 8620 §5.3: prefixes of each other, parents that are not there."""
    assert set_email(house, email, patch)["type"] == "invalidPatch"


def test_immutable_properties_may_be_repeated(house, email):
    """A whole Email as /get shows it is a valid patch: what can't change is accepted if it is equal (RFC 8620 §5.3)."""
    (whole,) = house.call("Email/get", {"ids": [email]})["list"]
    state = house.call("Email/get", {"ids": []})["state"]

    answer = house.call("Email/set", {"update": {email: whole}})

    assert answer["notUpdated"] is None
    assert answer["updated"] == {email: None}
    assert answer["newState"] == state
    (whole,) = house.call(
        "Email/get", {"ids": [email], "properties": ["header:Subject:asText", "headers", "bodyStructure", "subject"]}
    )["list"]
    assert set_email(house, email, {**whole, "keywords/new": True}) is None
    assert keywords(house, email) == ["$seen", "new", "work"]


@pytest.mark.parametrize(
    "name", ["id", "blobId", "threadId", "size", "receivedAt", "subject", "from", "to", "hasAttachment", "preview",
             "headers", "textBody", "bodyStructure", "messageId", "header:Subject:asText", "nothing", "header:From:asDate"],
)  # fmt: skip
def test_immutable_properties_cannot_change(house, email, name):
    """Anything else than what is there is refused by name; so is what no Email has."""
    error = set_email(house, email, {name: "2020-01-01T00:00:00Z", "keywords/new": True})

    assert (error["type"], error["properties"]) == ("invalidProperties", [name])
    assert keywords(house, email) == ["$seen", "work"]


def test_there_are_limits_to_keywords(house, email):
    """TooManyKeywords beyond what an Email may have."""
    many = {f"k{number}": True for number in range(MOST_KEYWORDS_PER_EMAIL)}

    assert set_email(house, email, {"keywords": many}) is None
    assert set_email(house, email, {"keywords/one-more": True})["type"] == "tooManyKeywords"
    assert len(get(house, email, "keywords")) == MOST_KEYWORDS_PER_EMAIL


def test_keywords_do_not_lie_about_attachments(house):
    """RFC 9979's pair may be set and unset, but not against the message."""
    plain, file = put(house, message()), put(house, with_attachment())

    assert set_email(house, plain, {"keywords/$hasattachment": True})["properties"] == ["keywords"]
    assert set_email(house, file, {"keywords/$hasattachment": True}) is None


def test_destroy_takes_an_email_out_of_everything(house, email):
    """Mailboxes, keywords, queries, its Thread, and an hour later its blob when nothing else has it."""
    blob = get(house, email, "blobId")
    answer = house.call("Email/set", {"destroy": [email, email, "e999", "x"]})

    assert answer["destroyed"] == [email]
    assert answer["notDestroyed"] == {"e999": {"type": "notFound"}, "x": {"type": "notFound"}}
    assert house.call("Email/query", {"filter": {"text": "hello"}})["ids"] == []
    assert house.call("Email/query", {"filter": {"hasKeyword": "work"}})["ids"] == []
    assert house.call("Email/get", {"ids": [email]})["notFound"] == [email]
    with house.database.read() as reader:
        assert blobs.open_blob(reader, house.users["alice@example.com"].account, blob) is not None  # RFC 8620 §6
    house.an_hour_later()
    with house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM blob WHERE hex(digest) = ?", (blob[1:].upper(),)) == 0
    assert damage(house) == []


def test_update_and_destroy_of_one_email_is_will_destroy(house, email):
    """The update is skipped by name."""
    answer = house.call("Email/set", {"update": {email: {"keywords/a": True}}, "destroy": [email]})

    assert answer["notUpdated"][email]["type"] == "willDestroy"
    assert answer["destroyed"] == [email]


def test_nobody_changes_somebody_elses_email(house, email):
    """Another account's Email is not found, by update and by destroy."""
    answer = house.call("Email/set", {"update": {email: {"keywords/a": True}}, "destroy": ["e999"]}, "bob@example.com")
    assert answer["notUpdated"][email]["type"] == "notFound"
    answer = house.call("Email/set", {"destroy": [email]}, "bob@example.com")
    assert answer["notDestroyed"][email]["type"] == "notFound"
    assert keywords(house, email) == ["$seen", "work"]


def test_one_bad_update_stops_no_other(house, email):
    """Each object by itself; the state moves for what was done."""
    other = put(house, message(message_id="b@x"))

    answer = house.call("Email/set", {"update": {email: {"subject": "x"}, other: {"keywords/a": True}, "e999": {}}})

    assert answer["updated"] == {other: None}
    assert {one: error["type"] for one, error in answer["notUpdated"].items()} == {
        email: "invalidProperties", "e999": "notFound",
    }  # fmt: skip
    assert answer["oldState"] != answer["newState"] == house.call("Email/get", {"ids": []})["state"]


def test_if_in_state_guards_the_whole_call(house, email):
    """A state that is not current is stateMismatch, and nothing happens."""
    state = house.call("Email/get", {"ids": []})["state"]
    assert set_email(house, email, {"keywords/a": True}) is None

    answer = house.call("Email/set", {"ifInState": state, "destroy": [email]})

    assert answer["type"] == "stateMismatch"
    assert house.call("Email/get", {"ids": [email], "properties": ["id"]})["list"] == [{"id": email}]


def test_emptying_the_trash_leaves_what_is_elsewhere(house, email):
    """Taking an Email out of the trash alone keeps it in its other Mailbox (§2)."""
    trash, box = house.mailbox("trash"), make_mailbox(house, "A")
    assert set_email(house, email, {"mailboxIds": {trash: True, box: True}}) is None

    assert set_email(house, email, {f"mailboxIds/{trash}": None}) is None

    assert get(house, email, "mailboxIds") == {box: True}
    assert damage(house) == []
