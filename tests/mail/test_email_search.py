"""Looking for words: phrases, prefixes, addresses, header fields, and text that means harm (RFC 8621 §4.4.1)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import House
from tests.mail.mailmodel import message, put, set_email, with_attachment

FILTERS = ("text", "from", "to", "cc", "bcc", "subject", "body")


def found(house, **filter_):
    """The ids that a condition finds, oldest first."""
    return sorted(house.call("Email/query", {"filter": filter_})["ids"], key=lambda one: int(one[1:]))


def store_two(house):
    """Store one Email with something in every field, whose id is returned, and one with nothing of it."""
    fields = ["Cc: Carl Ccson <carl@cc.example>", "Bcc: Bea Bccson <bea@bcc.example>", "X-Project: Big  Blue_Whale; phase=2",
              "List-Id: Sea <sea.lists.example>", "MIME-Version: 1.0", "Content-Type: text/html; charset=utf-8"]  # fmt: skip
    body = '<html><head><title>hiddenhead</title><style>p{color:stylish}</style></head><body class="klass"><p>The quick brown fox <b>jump</b>s.</p><img class=x ALT=\'alternative &amp; picture\' src=x><a title="tip of it" href=y>there</a><script>scripted()</script> Crème brûlée, state-of-the-art</body></html>'
    one = put(
        house,
        message(
            "Straße nach Zürich: the plan",
            message_id="a@x",
            sender='"Ann O\'Hara-Smith" <ann.smith+news@mail.Example-Host.org>',
            to="Tom To <tom@to.example>",
            body=body,
            fields=fields,
        ),
    )
    put(
        house,
        message(
            "Other", message_id="b@x", sender="Nobody <none@nowhere.invalid>", to="x@y.invalid", body="Nothing at all"
        ),
    )
    return one


@pytest.fixture
def mail(house):
    """Those two, for a test that changes them."""
    return store_two(house)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A house with those two, for the tests that only look; and the id of the first."""
    house = House(tmp_path_factory.mktemp("library") / "data")
    yield house, store_two(house)
    house.database.close()


@pytest.mark.parametrize("text", [
    "quick", "QUICK Fox", "fox quick", '"quick brown"', "'quick brown'", '"brown fox jumps"', "qui*", "bro* fo*", "jumps", "creme", "CRÈME",
    "brulee", "zurich", "Zürich", "ann", "smith", "o'hara", "news", "ann.smith", "mail.example-host.org", "example-host", "@mail.example-host.org",
    "ann.smith+news@mail.example-host.org", "exam* smi*", "carl", "bcc.example", "tom", "state-of-the-art", "the plan",
    "quick -", "quick \u2014 fox", '"quick brown" carl zurich', "quick*", "picture", "alternative", "tip of", "The QUICK brown fox jumps",
])  # fmt: skip
def test_what_is_plainly_there_is_found(library, text):
    """In all fields together: words in any order, phrases, prefixes, parts of addresses, without case or accents."""
    house, mail = library
    assert found(house, text=text) == [mail]


@pytest.mark.parametrize("text", [
    '"brown quick"', "'brown quick'", "quick nothing", "qui", "*uick", "hiddenhead", "stylish", "scripted", "klass", "ick", '"qui*"', "jump*ed",
    "xml", '"fox quick"', "blue", '"the plan zurich"',
])  # fmt: skip
def test_what_is_not_there_is_not(library, text):
    """Order counts in a phrase, all words must be there, markup is no text, and a word is not a part of one."""
    house, _ = library
    assert found(house, text=text) == []


@pytest.mark.parametrize(("field", "yes", "no"), [
    ("from", "smith", "tom"), ("from", "Ann", "carl"), ("to", "to.example", "ann"), ("cc", "ccson", "bea"), ("bcc", "bea@bcc.example", "carl"),
    ("subject", "zurich", "fox"), ("body", "fox", "zurich"),
])  # fmt: skip
def test_each_field_is_looked_at_by_itself(library, field, yes, no):
    """From by name and address (clarification Q10), the others alike; `body` is the text alone."""
    house, mail = library
    assert found(house, **{field: yes}) == [mail]
    assert found(house, **{field: no}) == []


def test_quotes_inside_of_a_phrase_are_escaped(house):
    r"""Within a phrase \" \' and \\ stand for the characters (§4.4.1)."""
    one = put(house, message('She said "well done" to us'))
    put(house, message("She said done well to us"))

    assert found(house, subject=r'"said \"well done\" to"') == [one]
    assert found(house, subject=r"'said \"well done\" to'") == [one]
    assert found(house, subject=r'"said \\ well"') == [one]
    assert len(found(house, subject=r'"she said')) == 2
    assert len(found(house, subject="'she said")) == 2


def test_an_apostrophe_is_no_quote(house):
    """Inside of a word, or without its match, it means itself."""
    one = put(house, message("It's Bob's rock 'n' roll, dogs' life"))

    for text in ("it's bob's", "Bob's", "rock 'n' roll", "dogs' life", "bob's dogs'", "'n roll"):
        assert found(house, subject=text) == [one], text


def test_names_of_files_are_found(house):
    """An attachment's name is in `text` and in `body`."""
    one = put(house, with_attachment(name="Jahresbericht 2025.pdf"))

    for text in ("jahresbericht", "2025.pdf", "jahres*"):
        assert found(house, text=text) == found(house, body=text) == [one]


def test_an_email_that_is_gone_is_not_found(house, mail):
    """The index keeps its words; every search joins."""
    set_email(house, mail, {"keywords/a": True})
    house.call("Email/set", {"destroy": [mail]})

    assert found(house, text="quick") == []


@pytest.mark.parametrize(("header", "is_there"), [
    (["X-Project"], True), (["x-project"], True), (["X-Project", "blue_whale"], True), (["X-PROJECT", "ig  Bl"], True),
    (["X-Project", "phase=2"], True), (["X-Project", "whale phase"], False), (["X-Project", "red"], False), (["X-Proj"], False),
    (["List-Id", "sea.lists"], True), (["X-Project", "Blue_Whale; phase"], True), (["From"], True), (["From", "mail.example-HOST"], True),
    (["From", "carl"], False), (["Subject", "aße nach Z"], True), (["Content-Type", "text/html"], True), (["Message-ID", "a@x"], True),
    (["Received"], False), (["Nothing-Such"], False), (["X:Y"], False), (["é"], False),
])  # fmt: skip
def test_header_fields_by_name_and_text(library, header, is_there):
    """The name in any case, the text anywhere in the decoded value, without case."""
    house, mail = library
    assert (mail in found(house, header=header)) is is_there


def test_the_last_of_very_many_header_fields_is_found(house):
    """However long the header is, a field that is there is found."""
    fields = [f"X-Filler-{number}: {'word ' * 30}" for number in range(150)]
    one = put(house, message(fields=[*fields, "X-Last: needle in the hay"]))
    put(house, message(message_id="b@x", fields=fields))

    assert found(house, header=["X-Last"]) == [one]
    assert found(house, header=["X-Last", "needle in the"]) == [one]
    assert found(house, header=["X-Last", "pin"]) == []


HOSTILE = [
    '"', '""', '"""', "'", "''", "*", "**", "\\", '\\"', '"\\', "(", ")", "a AND", "AND", "OR OR", "NOT a", "NEAR(a b)", "NEAR/2", "subject:", "subject : a",
    "{subject} : a", "-subject : a", "^a", "^", "a^b", "+", "a + b", "\0", "a\0b", '"a\0b"', ":", "a:b", "body:fox", ";", "--", "/*", "%", "_", "?1", "rowid",
    "email_search", "x" * 10_000, "a " * 5_000, '"' * 10_000, "* " * 5_000, "🦊", "\ufeff", "\u0301", "a\u0301", "\u200b", "٣", "ª", "①", " ", "", "\n", "狐",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("collapse", [False, True])
def test_no_text_is_an_error(library, text, collapse):
    """Whatever FTS5 might take for syntax is only text here, alone and among other conditions."""
    house, _ = library
    for name in FILTERS:
        assert "ids" in house.call(
            "Email/query", {"filter": {name: text}, "collapseThreads": collapse, "calculateTotal": True}
        ), name
    asked = {
        "operator": "OR",
        "conditions": [{"body": text, "subject": text}, {"operator": "NOT", "conditions": [{"text": text}]}],
    }
    assert "ids" in house.call("Email/query", {"filter": asked, "collapseThreads": collapse})
    if text:
        assert "ids" in house.call("Email/query", {"filter": {"header": ["X-Project", text]}})


SYNTAX = st.text(st.sampled_from("\"'*\\^(){}:+- \0ab\u0301é狐\n"), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.one_of(SYNTAX, st.text(max_size=20)), st.sampled_from(FILTERS))
def test_any_text_is_answered(library, text, name):
    """No text at all makes a query fail."""
    house, _ = library
    assert "ids" in house.call("Email/query", {"filter": {name: text}})
    if text:
        assert "ids" in house.call("Email/query", {"filter": {"header": [text, text]}})


def test_longer_than_anybody_writes_is_refused_by_name(house):
    """Past 10,000 octets the answer is an error of the call, not of the server."""
    assert house.call("Email/query", {"filter": {"text": "é" * 5001}})["type"] == "invalidArguments"
