"""Search that finds what is plainly there (RFC 8621 §4.4.1): golden cases, and the index made anew."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.mail import check, reindex, search, words
from minijmap.mail.text import scrub
from tests.mail import searchcorpus

# (condition, what is looked for, whose messages are found)
GOLDEN = [
    # words, case, all of them, in any field
    ("text", "lunch", "lunch"),
    ("text", "LUNCH", "lunch"),
    ("text", "there", "lunch"),
    ("text", "alice lunch", "lunch"),
    ("text", "lunch alice noon tomorrow", "lunch"),
    ("text", "alice dinner", ""),
    ("body", "lun", ""),
    ("body", "lun*", "lunch"),
    ("body", "lunches", ""),
    ("subject", "lunch", ""),
    # parts of addresses and host names
    ("from", "exam", " ".join(searchcorpus.MESSAGES)),
    ("from", "joe.public@example.com", "joe"),
    ("from", "ample.co", "lunch joe"),
    ("from", "@example.com", "lunch joe"),
    ("from", "ublic@exam", "joe"),
    ("from", "public", "joe"),
    ("text", "joe@example.com", ""),
    ("to", "sales+eu", "joe"),
    ("to", "widgets", "joe"),
    ("to", "idget", "joe"),
    ("from", "widgets", ""),
    ("cc", "carl", "copy"),
    ("bcc", "hidden.example", "copy"),
    ("cc", "bert", ""),
    ("text", "bert", "copy"),
    ("text", "opies.ex", "copy"),
    ("subject", "db01.internal.example.net", "host"),
    ("subject", "internal", "host"),
    ("text", "ternal.exam", "host"),
    # dots, hyphens, underscores, numbers
    ("subject", "2.10.1", "dots"),
    ("subject", "2.10.1-rc.3", "dots"),
    ("subject", "foo-bar", "dots"),
    ("subject", "bar_baz", "dots"),
    ("subject", "oo-ba", "dots"),
    ("subject", "rc.4", ""),
    ("text", "2026-00417", "invoice"),
    ("text", "00417", "invoice"),
    ("text", "1,234.56", "invoice"),
    ("text", "234", "invoice"),
    ("body", "97%", "host"),
    # names of attachments
    ("text", "rechnung", "invoice"),
    ("body", "Rechnung_00417.pdf", "invoice"),
    ("body", "echnung", "invoice"),
    ("subject", "rechnung", ""),
    # phrases
    ("body", '"have lunch"', "lunch"),
    ("body", "'have lunch'", "lunch"),
    ("body", "“have lunch”", "lunch"),
    ("body", '"lunch have"', ""),
    ("body", "lunch have", "lunch"),
    ("text", '"alice lunch"', ""),
    ("text", '"arche"', ""),
    ("body", r'"shall\" we"', "lunch"),
    ("body", "s'il", "french"),
    ("body", '"have lun"', ""),
    ("body", '"have lunch', "lunch"),
    # German, French, Spanish, Polish, Danish
    ("text", "Straße", "german"),
    ("text", "strasse", "german"),
    ("text", "STRASSE", "german"),
    ("subject", "grossere", "german"),
    ("subject", "größer", "german"),
    ("from", "gross", "german"),
    ("subject", "deja", "french"),
    ("subject", "l'école", "french"),
    ("subject", "ecole", "french"),
    ("body", "café", "french"),
    ("body", "CAFE", "french"),
    ("body", "oeuvre", "french"),
    ("body", "plait", "french"),
    ("text", "manana", "spanish"),
    ("body", "nina donde", "spanish"),
    ("text", "zazolc gesla", "polish"),
    ("from", "lukasz", "polish"),
    ("body", "lodz", "polish"),
    ("subject", "smorrebrod", "danish"),
    ("body", "aero", "danish"),
    ("body", "aerø", "danish"),
    ("body", "blåbær*", "danish"),
    # Turkish, Greek, Cyrillic, Arabic, Hebrew, Hindi
    ("subject", "istanbul", "turkish"),
    ("subject", "İstanbul", "turkish"),
    ("from", "isil", "turkish"),
    ("body", "diyarbakir", "turkish"),
    ("subject", "καλημερα", "greek"),
    ("body", "ΑΝΘΡΩΠΟΣ", "greek"),
    ("body", "οδυσσευς", "greek"),
    ("subject", "зеленая елка", "russian"),
    ("from", "петр", "russian"),
    ("body", "мой", "russian"),
    ("body", "мои", ""),
    ("body", "МОРЯ", "russian"),
    ("subject", "киї", "ukrainian"),
    ("subject", "اجتماع", "arabic"),
    ("body", "الكتاب", "arabic"),
    ("body", "اهلا", "arabic"),
    ("body", "123", "arabic"),
    ("subject", "שלום", "hebrew"),
    ("body", "הפגישה", "hebrew"),
    ("body", "הפגיש*", "hebrew"),
    ("subject", "नमस्ते", "hindi"),
    ("body", "हिन्दी", "hindi"),
    # Thai, Japanese, Chinese, Korean
    ("body", "อาหาร", "thai"),
    ("body", "ข้าวเที่ยง", "thai"),
    ("subject", "ประชุม", "thai"),
    ("body", "会議", "japanese"),
    ("subject", "東京", "japanese"),
    ("subject", "京", "japanese chinese"),
    ("subject", "京東", ""),
    ("body", "カレンダー", "japanese"),
    ("body", "ﾚﾝﾀﾞ", "japanese"),
    ("body", "の", "japanese"),
    ("body", "来週のカレンダーをご", "japanese"),
    ("body", "pdf", "japanese invoice"),
    ("from", "太郎", "japanese"),
    ("text", "東京 会議", "japanese"),
    ("subject", "プロジェクト", "halfwidth"),
    ("subject", "ジェクト報", "halfwidth"),
    ("body", "iPhone15を買う", "halfwidth"),
    ("body", "iphone15", "halfwidth"),
    ("body", "買う", "halfwidth"),
    ("subject", "北", "chinese taiwan"),
    ("subject", "大学", "chinese"),
    ("subject", "北京大学", "chinese"),
    ("body", "报告", "chinese"),
    ("body", '"下午三点" 报告', "chinese"),
    ("body", "午下", ""),
    ("from", "王", "chinese"),
    ("body", "來信", "taiwan"),
    ("subject", "회의", "korean"),
    ("subject", "회의를", "korean"),
    ("body", "월요일", "korean"),
    ("body", "학교", "korean"),
    ("from", "철수", "korean"),
    # HTML, soft hyphens
    ("body", "gumboots", "html"),
    ("body", "hats", "html"),
    ("text", "secretscript", ""),
    ("body", "amp", ""),
    ("body", "Donaudampfschiff", "shy"),
    ("body", "donaudampf*", "shy"),
    # What FTS5 would take for its syntax, and what has no word
    ("text", "lunch OR smorrebrod", ""),
    ("text", "NOT lunch", ""),
    ("text", "lunch NEAR(noon)", ""),
    ("text", "subject:lunch", ""),
    ("text", "{subject}:lunch", ""),
    ("text", "lunch)", "lunch"),
    ("text", '"', ""),
    ("text", '"""', ""),
    ("text", 'lunch""', "lunch"),
    ("text", "*", ""),
    ("text", "^lunch", "lunch"),
    ("text", "lunch + noon - there", "lunch"),
    ("text", "lunch\x00noon", ""),
    ("text", "\ue000lun", ""),
    ("text", "", ""),
    ("text", " \t\n", ""),
    ("text", "!!! ???", ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def mail(tmp_path_factory):
    """A household with the corpus in Alice's Inbox, and the ids of its Emails by key."""
    from tests.conftest import House

    house = House(tmp_path_factory.mktemp("search"))
    yield house, searchcorpus.deliver_all(house)
    house.database.close()


def find(mail, filter_):
    """The keys of the messages that Email/query finds."""
    house, ids = mail
    found = house.call("Email/query", {"filter": filter_})["ids"]
    return {key for key, one in ids.items() if one in found}


@pytest.mark.parametrize(("condition", "text", "expected"), GOLDEN)
def test_what_is_there_is_found_and_nothing_else(mail, condition, text, expected):
    """One condition by itself finds just these messages."""
    assert find(mail, {condition: text}) == set(expected.split())


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ({"from": "alice", "body": "lunch"}, "lunch"),
        ({"from": "alice", "body": "café"}, ""),
        ({"operator": "OR", "conditions": [{"from": "alice"}, {"subject": "ecole"}]}, "lunch french"),
        (
            {"operator": "OR", "conditions": [{"from": "alice"}, {"text": "!"}, {"hasAttachment": True}]},
            "lunch invoice",
        ),
        (
            {
                "operator": "AND",
                "conditions": [
                    {"operator": "OR", "conditions": [{"subject": "minutes"}, {"subject": "offer", "from": "joe"}]},
                    {"text": "example"},
                    {"hasAttachment": False},
                ],
            },
            "copy joe",
        ),
        (
            {
                "operator": "AND",
                "conditions": [{"from": "example.com"}, {"operator": "NOT", "conditions": [{"text": "lunch"}]}],
            },
            "joe",
        ),
        ({"operator": "OR", "conditions": []}, ""),
        ({"operator": "AND", "conditions": [{"text": "lunch"}, {"operator": "OR", "conditions": []}]}, ""),
    ],
)
def test_conditions_on_words_go_together(mail, filter_, expected):
    """Words under AND, OR and NOT, alone and with other conditions."""
    assert find(mail, filter_) == set(expected.split())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (["X-Corpus", "the lunch message"], "lunch"),
        (["x-corpus", "HE LUNCH MESS"], "lunch"),
        (["X-Corpus", "h"], " ".join(searchcorpus.MESSAGES)),
        (["Message-ID", "greek@"], "greek"),
        (["From", "public <joe"], "joe"),
        (["Subject", "東京出張"], "japanese"),
        (["Cc"], "copy"),
        (["X-Nothing"], ""),
    ],
)
def test_header_fields_are_found_by_any_piece_of_text(mail, header, expected):
    """The text of a `header` condition is looked for as it is, in whatever place."""
    assert find(mail, {"header": header}) == set(expected.split())


def test_header_fields_beyond_what_is_indexed_are_found(house):
    """A message with more header fields than the index takes is read."""
    fields = "".join(f"X-Padding-{number}: {'p' * 900}\r\n" for number in range(20))
    late = house.deliver(f"Subject: x\r\n{fields}X-Late: at the end\r\n\r\n".encode())
    house.deliver(b"Subject: y\r\nX-Other: at the end\r\n\r\n")

    assert house.call("Email/query", {"filter": {"header": ["X-Late", "at the"]}})["ids"] == [late]


def test_many_terms_and_long_terms_are_answered(mail):
    """A search is cut at 64 terms of 200 characters, and never an error."""
    assert find(mail, {"text": "lunch " * 1500}) == {"lunch"}
    assert find(mail, {"text": "lunch" * 1900}) == set()
    assert find(mail, {"text": '"' + "a " * 4900 + '"'}) == set()
    assert find(mail, {"operator": "AND", "conditions": [{"text": "lunch alice noon " * 20}] * 4}) == {"lunch"}
    assert find(mail, {"from": "aaaaa" * 100 + "@example.com"}) == set()


def test_the_index_is_where_a_search_starts(mail):
    """SQLite begins with the index of words, whatever else is asked, and looks Emails up by key."""
    from minijmap.jmap.datatype import Scope
    from minijmap.mail import emailquery
    from minijmap.mail.email import EmailType

    house, _ = mail
    box = house.mailbox("inbox")
    for filter_ in (
        {"text": "example"},
        {"inMailbox": box, "text": "example", "hasAttachment": False},
        {"operator": "OR", "conditions": [{"from": "exam"}, {"subject": "北京"}]},
    ):
        with house.database.read() as reader:
            arguments = {"filter": filter_, "sort": None, "collapseThreads": False}
            plan = emailquery.plan(EmailType(), Scope(reader, house.users["alice@example.com"].account), arguments)
            walk, bound = plan._walk()
            steps = [row[3] for row in reader.all(f"EXPLAIN QUERY PLAN SELECT e.key {walk}", bound)]
        assert steps[0].startswith("SCAN email_search VIRTUAL TABLE"), steps
        assert steps[1].startswith("SEARCH e USING INTEGER PRIMARY KEY"), steps


def test_a_filter_of_too_many_words_is_refused(mail):
    """Each word is a look-up, and a filter may have 500 conditions: all in all there are at most 256 words."""
    house, _ = mail
    filter_ = {"operator": "OR", "conditions": [{"text": "lunch alice"}] * 128}

    assert len(house.call("Email/query", {"filter": filter_})["ids"]) == 1
    filter_["conditions"].append({"body": "noon"})
    assert house.call("Email/query", {"filter": filter_})["type"] == "unsupportedFilter"


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(TEXTS, TEXTS)
def test_folding_goes_character_by_character(one, two):
    """What a normal text folds to is what its pieces fold to, and folding again changes nothing."""
    text = words.normal(one + two)

    assert words.fold(text) == "".join(words.fold(character) for character in text)
    assert words.fold(words.normal(words.fold(text))) == words.fold(text) or "\u3099" in text or "\u309a" in text


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS.map(scrub))
def test_any_text_is_a_search(mail, text):
    """No text makes FTS5 stumble, in any condition."""
    house, _ = mail
    for condition in search.COLUMNS:
        assert "ids" in house.call("Email/query", {"filter": {condition: text}})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(searchcorpus.MESSAGES)), st.data())
def test_every_part_of_an_address_and_of_a_run_is_found(mail, key, data):
    """Three characters or more of an address, and any characters in a row of what is written without spaces."""
    given_ = searchcorpus.MESSAGES[key]
    address = given_["from"].rpartition("<")[2].rstrip(">")
    start = data.draw(st.integers(0, len(address) - 3))
    part = address[start : data.draw(st.integers(start + 3, len(address)))]
    if part[0].isalnum() and part[-1].isalnum():
        assert key in find(mail, {"from": part})
    for run in words.RUNS.findall(words.normal(given_["subject"])):
        start = data.draw(st.integers(0, len(run) - 1))
        piece = run[start : data.draw(st.integers(start + 1, len(run)))]
        if any(character.isalnum() for character in piece):  # a vowel of Thai is nothing by itself
            assert key in find(mail, {"subject": piece})


# The index made anew


def hits(house, text="word"):
    """How many rows of the index have a word, those of Emails that are gone included."""
    with house.database.read() as reader:
        query = search.match_query("text", text)
        return reader.value("SELECT count(*) FROM email_search WHERE email_search MATCH ?", (query,))


def problems(house):
    """What `minijmap check` finds wrong with mail."""
    with house.database.read() as reader:
        return list(check.problems(reader))


def test_the_words_of_what_is_gone_go_when_the_index_is_made_anew(house, monkeypatch):
    """Ghosts are counted, and a new index has just what is there."""
    ids = [house.deliver(f"Subject: word {number}\r\n\r\nbody".encode()) for number in range(6)]
    house.call("Email/set", {"destroy": ids[:3]})
    monkeypatch.setattr(reindex, "FEWEST_GHOSTS", 4)
    assert hits(house) == 6
    assert reindex.upkeep(house.database) is False
    monkeypatch.setattr(reindex, "FEWEST_GHOSTS", 3)

    assert reindex.upkeep(house.database) is True

    assert hits(house) == 3
    assert (
        house.call("Email/query", {"filter": {"subject": "word"}, "sort": [{"property": "subject"}]})["ids"] == ids[3:]
    )
    assert reindex.upkeep(house.database) is False
    assert problems(house) == []
    later = house.deliver(b"Subject: word later\r\n\r\n")
    assert house.call("Email/query", {"filter": {"subject": "later"}})["ids"] == [later]


def test_mail_that_comes_while_the_index_is_made_is_in_it(house, monkeypatch):
    """The new index takes over only when nothing is missing from it; readers never see half of one."""
    monkeypatch.setattr(reindex, "BATCH_ROWS", 2)
    for number in range(9):
        house.deliver(f"Subject: word {number}\r\n\r\nbody".encode())
    came = []

    def come():
        if len(came) < 4:
            came.append(house.deliver(b"Subject: word new\r\n\r\n"))
        assert hits(house) == 9 + len(came)
        return False

    assert reindex.rebuild(house.database, come) is True

    assert len(came) == 4
    assert hits(house) == 13
    assert problems(house) == []


def test_making_the_index_can_be_stopped_and_begun_again(house, monkeypatch):
    """A rebuild that stops leaves the old index serving."""
    monkeypatch.setattr(reindex, "BATCH_CHARACTERS", 1)
    for number in range(5):
        house.deliver(f"Subject: word {number}\r\n\r\nbody".encode())
    stopped = threading.Event()
    answers = iter((False, False, True))

    assert reindex.rebuild(house.database, lambda: next(answers)) is False
    assert hits(house) == 5
    assert problems(house) == []
    assert reindex.rebuild(house.database, stopped.is_set) is True
    assert hits(house) == 5


def test_an_email_that_is_not_in_the_index_is_a_problem(house):
    """`minijmap check` names what no search can find."""
    email = house.deliver(b"Subject: word\r\n\r\n")
    assert problems(house) == []

    house.database.write(lambda tx: tx.execute("DELETE FROM email_search_docsize"))

    assert any(email in one for one in problems(house))
