"""SearchSnippet/get: what is marked, and what is shown around it (RFC 8621 §5)."""

import html
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.jmap.engine import Limits
from minijmap.mail import search, snippet, words
from tests.mail import searchcorpus


@pytest.fixture(scope="module")
def mail(tmp_path_factory):
    """A household with the corpus in Alice's Inbox, and the ids of its Emails by key."""
    from tests.conftest import House

    house = House(tmp_path_factory.mktemp("snippets"))
    yield house, searchcorpus.deliver_all(house)
    house.database.close()


def snip(mail, key, filter_):
    """The (subject, preview) of one message of the corpus."""
    house, ids = mail
    answer = house.call("SearchSnippet/get", {"filter": filter_, "emailIds": [ids[key]]})
    (one,) = answer["list"]
    assert one.keys() == {"emailId", "subject", "preview"}
    assert one["emailId"] == ids[key]
    assert answer["notFound"] is None
    return one["subject"], one["preview"]


def test_snippets_of_a_search(house):
    """The shape of RFC 8621 §5.2: null where nothing matches, marks, entities, both cut ends."""
    filler = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. " * 10
    other = house.deliver(b"Subject: Nothing\r\n\r\nNothing here.")
    ball = house.deliver(
        f"Subject: The Foosball competition\r\n\r\n{filler}year the foosball competition will be held {filler}".encode()
    )
    call = house.deliver(f"Subject: R&D\r\n\r\n{filler}the Foo/bar method often returns <1 widget {filler}".encode())
    ids = [other, ball, call, "e999", "m1", "nonsense"]

    answer = house.call("SearchSnippet/get", {"filter": {"text": "foo*"}, "emailIds": ids})

    assert answer == {
        "accountId": house.account(),
        "list": [
            {"emailId": other, "subject": None, "preview": None},
            {
                "emailId": ball,
                "subject": "The <mark>Foo</mark>sball competition",
                "preview": "…ipsum dolor sit amet, consectetur adipiscing elit. Lorem ipsum dolor sit amet, consectetur "
                "adipiscing elit. year the <mark>foo</mark>sball competition will be held Lorem ipsum dolor sit amet, "
                "consectetur adipiscing elit. Lorem ipsum dolor sit amet,…",
            },
            {
                "emailId": call,
                "subject": None,
                "preview": "…ipsum dolor sit amet, consectetur adipiscing elit. Lorem ipsum dolor sit amet, consectetur "
                "adipiscing elit. the <mark>Foo</mark>/bar method often returns &lt;1 widget Lorem ipsum dolor sit amet, "
                "consectetur adipiscing elit. Lorem ipsum dolor sit…",
            },
        ],
        "notFound": ["e999", "m1", "nonsense"],
    }


@pytest.mark.parametrize(
    ("key", "filter_", "expected"),
    [
        ("lunch", {"text": "LUNCH"}, (None, "Shall we have <mark>lunch</mark> there at noon?")),
        ("lunch", {"text": '"have lunch"'}, (None, "Shall we <mark>have lunch</mark> there at noon?")),
        ("lunch", {"text": "noon alice"}, (None, "Shall we have lunch there at <mark>noon</mark>?")),
        ("lunch", {"text": "lun"}, (None, None)),
        ("lunch", {"text": "morrow"}, ("To<mark>morrow</mark>", None)),
        ("lunch", {"from": "alice"}, (None, None)),
        ("lunch", {"hasAttachment": False}, (None, None)),
        ("lunch", None, (None, None)),
        ("lunch", {}, (None, None)),
        ("lunch", {"subject": "tomorrow", "body": "noon"}, ("<mark>Tomorrow</mark>", "Shall we have lunch there at <mark>noon</mark>?")),
        ("lunch", {"subject": "noon", "body": "tomorrow"}, (None, None)),
        ("lunch", {"operator": "NOT", "conditions": [{"text": "lunch"}]}, (None, None)),
        (
            "lunch",
            {"operator": "AND", "conditions": [{"text": "noon"}, {"operator": "NOT", "conditions": [{"body": "lunch"}]}]},
            (None, "Shall we have lunch there at <mark>noon</mark>?"),
        ),
        (
            "lunch",
            {"operator": "NOT", "conditions": [{"operator": "NOT", "conditions": [{"body": "lunch"}]}]},
            (None, "Shall we have <mark>lunch</mark> there at noon?"),
        ),
        (
            "lunch",
            {"operator": "OR", "conditions": [{"body": "we"}, {"body": "at"}]},
            (None, "Shall <mark>we</mark> have lunch there <mark>at</mark> noon?"),
        ),
        ("dots", {"text": "2.10.1 foo-bar"}, ("Release <mark>2.10.1</mark>-rc.3 of <mark>foo-bar</mark>_baz is out", None)),
        ("invoice", {"text": "00417"}, ("Invoice 2026-<mark>00417</mark>", None)),
        ("german", {"text": "strasse"}, ("Größere <mark>Straße</mark>nbauarbeiten", "Die <mark>Straße</mark> ist gesperrt.")),
        ("french", {"text": "ecole oeuvre creme"}, ("Déjà vu à l’<mark>école</mark>", "Un café <mark>crème</mark>, s’il te plaît. <mark>Œuvre</mark>!")),
        ("turkish", {"subject": "istanbul"}, ("<mark>İSTANBUL</mark> toplantısı", None)),
        ("greek", {"body": "ανθρωποσ"}, (None, "Ο <mark>άνθρωπος</mark> και η θάλασσα. ΟΔΥΣΣΕΥΣ")),
        ("russian", {"text": "елка"}, ("Зелёная <mark>ёлка</mark>", None)),
        ("arabic", {"text": "اجتماع الكتاب"}, ("<mark>اِجْتِمَاعٌ</mark> مُهِمّ", "أهلاً وسهلاً، <mark>الكتـــاب</mark> رقم ١٢٣")),
        ("hebrew", {"text": "שלום"}, ("<mark>שָׁלוֹם</mark> לכולם", None)),
        ("hindi", {"text": "हिन्दी"}, (None, "<mark>हिन्दी</mark> में लिखा हुआ पत्र।")),
        ("thai", {"text": "อาหาร"}, (None, "พรุ่งนี้กินข้าวเที่ยงที่ร้าน<mark>อาหาร</mark>ไทย")),
        ("japanese", {"text": "東京 会議 pdf"}, (
            "<mark>東京</mark>出張の件",
            "…世話になっております。<mark>会議</mark>は来週のカレンダーをご確認ください。資料は<mark>ＰＤＦ</mark>です。",
        )),
        ("halfwidth", {"text": "ジェクト 買う"}, ("プロ<mark>ジェクト</mark>報告", "iPhone15を<mark>買う</mark>予定")),
        ("chinese", {"text": "大学 会"}, ("北京<mark>大学会</mark>议通知", "我们明天下午三点开<mark>会</mark>。请带上报告。")),
        ("korean", {"text": "회의"}, ("<mark>회의</mark>를 연기합니다", None)),
        ("html", {"text": "gumboots hats"}, (None, "Sale on <mark>gumboots</mark> &amp; <mark>hats</mark>")),
        ("shy", {"text": "donaudampfschiff zerowidth"}, (None, "<mark>Donau\u00addampf\u00adschiff</mark> and <mark>zero\u200bwidth</mark>")),
    ],
)  # fmt: skip
def test_what_was_found_is_marked(mail, key, filter_, expected):
    """The words of the filter, as the search matched them."""
    subject, preview = snip(mail, key, filter_)
    if preview and expected[1] and expected[1].startswith("…"):
        assert preview.endswith(expected[1][1:])
        expected = (expected[0], preview)

    assert (subject, preview) == expected


def test_every_message_that_a_search_finds_by_its_body_has_a_preview(mail):
    """Snippets fold and split as the index does: what `body` finds has marks, and nothing else has."""
    house, ids = mail
    from tests.mail.test_search import GOLDEN

    for condition, text, _ in GOLDEN:
        if condition not in {"body", "subject"} or "echnung" in text:  # names of attachments have no preview
            continue
        found = set(house.call("Email/query", {"filter": {condition: text}})["ids"])
        answer = house.call("SearchSnippet/get", {"filter": {condition: text}, "emailIds": list(ids.values())})
        shown = "preview" if condition == "body" else "subject"
        assert {one["emailId"] for one in answer["list"] if one[shown] is not None} == found - (
            {ids["invoice"]} if text == "pdf" else set()
        ), text


def test_too_many_emails_are_refused_and_the_same_one_is_answered_once(house):
    """`emailIds` is bounded by maxObjectsInGet (RFC 8621 §5.1)."""
    house.engine = house.make_engine(limits=Limits(max_objects_in_get=2))
    email = house.deliver(b"Subject: one\r\n\r\n")

    assert house.call("SearchSnippet/get", {"emailIds": [email, "e2", "e3"]})["type"] == "requestTooLarge"
    answer = house.call("SearchSnippet/get", {"emailIds": [email, email, email], "filter": {"text": "one"}})
    assert answer["list"] == [{"emailId": email, "subject": "<mark>one</mark>", "preview": None}]


def test_bad_arguments_are_refused(house):
    """The filter is checked as Email/query checks it; `emailIds` must be there."""
    call = {"emailIds": [], "filter": None}

    assert house.call("SearchSnippet/get", call)["list"] == []
    assert house.call("SearchSnippet/get", {"filter": None})["type"] == "invalidArguments"
    assert house.call("SearchSnippet/get", {**call, "filter": {"colour": "red"}})["type"] == "unsupportedFilter"
    assert house.call("SearchSnippet/get", {**call, "filter": {"text": 1}})["type"] == "invalidArguments"
    assert house.call("SearchSnippet/get", {**call, "filter": "text"})["type"] == "invalidArguments"
    assert house.call("SearchSnippet/get", {**call, "accountId": "a99"})["type"] == "accountNotFound"


def test_other_accounts_emails_are_not_found(house):
    """An id of somebody else's Email is one that is not there."""
    email = house.deliver(b"Subject: one\r\n\r\n", "bob@example.com")

    assert house.call("SearchSnippet/get", {"emailIds": [email], "filter": {"text": "one"}})["notFound"] == [email]


def test_ids_of_a_query_are_taken_by_reference(mail):
    """As clients do it: search, then snippets of what was found, in one request."""
    house, ids = mail
    account = {"accountId": house.account()}
    filter_ = {"operator": "AND", "conditions": [{"text": "会議"}, {"inMailbox": house.mailbox("inbox")}]}

    _, (_, answer, _) = house.request(
        ["Email/query", {**account, "filter": filter_}, "0"],
        ["SearchSnippet/get", {**account, "filter": filter_, "#emailIds": {"resultOf": "0", "name": "Email/query", "path": "/ids"}}, "1"],
    )  # fmt: skip

    assert [one["emailId"] for one in answer["list"]] == [ids["japanese"]]


def test_what_one_call_reads_is_bounded(house, monkeypatch):
    """When a call has read enough, the rest has no preview; subjects are still marked."""
    ids = [house.deliver(b"Subject: word\r\n\r\na word") for _ in range(3)]
    monkeypatch.setattr(snippet, "MOST_READ", 60)

    answer = house.call("SearchSnippet/get", {"emailIds": ids, "filter": {"text": "word"}})["list"]

    assert [one["preview"] for one in answer] == ["a <mark>word</mark>", "a <mark>word</mark>", None]
    assert {one["subject"] for one in answer} == {"<mark>word</mark>"}


def test_a_match_that_is_longer_than_a_preview_is_shown_from_its_beginning():
    """A phrase with a long line between its words, and a word without an end."""
    phrase = snippet.preview("x " * 300 + "one " + "-" * 600 + " two " + "y " * 300, patterns('"one two"'))
    word = snippet.preview("x" * 1000, patterns("x" * 200 + "*"))

    assert phrase is not None
    assert phrase.startswith("…<mark>one ---")
    assert word == f"<mark>{'x' * 200}</mark>{'x' * 36}…"


# Properties


def patterns(text, *, parts=False):
    """A search text's patterns."""
    return [pattern for term in search.terms(text) for pattern in snippet._patterns(term, parts=parts)]


def unmarked(shown):
    """The text of a snippet; fails unless it is marked-up text with nothing but marks and entities in it."""
    assert re.fullmatch(r"(?:[^<>&]|&(?:amp|lt|gt);|<mark>(?:[^<>&]|&(?:amp|lt|gt);)+</mark>)*", shown)
    return html.unescape(shown.replace("<mark>", "").replace("</mark>", ""))


WORDS = st.sampled_from(
    ["foo", "Foo-bar", "<b>", "&amp;", "a&b", "<mark>", "Straße", "日本語の", "회의", "e\u0301te\u0301", "😀", "\u05e9\u05c1\u05dc", "ที่นี่", "x" * 300, "-" * 300, "\u00ad"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(WORDS, st.text(st.characters(codec="utf-8"), max_size=12)), max_size=120).map(" ".join)
SEARCHES = st.lists(
    st.one_of(st.sampled_from(["foo", "foo*", "bar", "b", '"foo bar"', "strasse", "本", "語の", "의", "ete", "mark", "x*", "amp", '"foo foo"']), st.text(max_size=5)),
    min_size=1, max_size=4,
).map(" ".join)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(TEXTS, SEARCHES)
def test_previews_are_pieces_of_the_text(text, wanted):
    """At most 255 octets, escaped, with at least one mark; without marks it is a piece of the text."""
    shown = snippet.preview(text, patterns(wanted))
    if shown is not None:
        assert len(shown.encode()) <= 255
        assert "<mark>" in shown
        whole = words.normal(" ".join(text.split()))
        plain = unmarked(shown)
        piece = plain.removeprefix("…") if not whole.startswith(plain.rstrip("…")) else plain
        assert piece in whole or piece.removesuffix("…") in whole


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, SEARCHES)
def test_marked_subjects_are_the_whole_text(text, wanted):
    """Without its marks, a subject is what it was; what is marked folds to what was looked for."""
    shown = snippet.marked(text, patterns(wanted, parts=True))
    if shown is not None:
        assert unmarked(shown) == words.normal(text)
        for mark in re.findall("<mark>(.*?)</mark>", shown, re.DOTALL):
            folded = words.fold(html.unescape(mark))
            assert any(search_words(term.text)[0] in folded for term in search.terms(wanted))


def search_words(text):
    """The tokens of a folded text."""
    return snippet.LETTERS.findall(text)
