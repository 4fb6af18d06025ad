"""ContactCard/query and /queryChanges (RFC 9610 §3.3, §3.4), by hand and against a naive model."""

import itertools
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.contacts import addressbook, cards
from tests.contacts.household import (
    ALICE,
    MINIMAL,
    add,
    change,
    default_book,
    drop_account,
    make_book,
    named,
    new_account,
    query,
    set_card,
)
from tests.contacts.querymodel import FILTERS, SORTS, STEPS, Model
from tests.mail.mailmodel import splice

NUMBERS = itertools.count(1)
JOE = {
    "name": {**named("Joe", "Bloggs"), "full": "Dr. Joe Q. Bloggs"},
    "nicknames": {"n": {"name": "Jojo"}},
    "organizations": {"o": {"name": "ABC, Inc.", "units": [{"name": "Marketing"}]}},
    "titles": {"t": {"name": "Research Scientist"}},
    "emails": {"e": {"address": "joe.bloggs@example.com", "label": "Hauptadresse"}},
    "phones": {"p": {"number": "tel:+1-201-555-0123", "label": "Boat"}},
    "onlineServices": {"s": {"service": "Mastodon", "user": "@joe@social.example", "uri": "https://social.example/@joe", "label": "fun"}},
    "addresses": {"a": {"components": [{"kind": "number", "value": "54321"}, {"kind": "name", "value": "Oak St"}], "isOrdered": True, "full": "54321 Oak St, Reston"}},
    "notes": {"n": {"note": "Open office hours are 1600 to 1715, said “the boss”"}},
    "keywords": {"rowing": True},
    "personalInfo": {"i": {"kind": "hobby", "value": "chess"}},
    "anniversaries": {"a": {"kind": "birth", "date": {"year": 1970}, "place": {"full": "Timbuktu"}}},
    "localizations": {"ja": {"name/full": "ジョー・ブロッグス"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"name": "joe"}, True), ({"name": "BLOGGS joe"}, True), ({"name": "Q"}, True), ({"name": "jojo"}, False),
        ({"name/given": "joe"}, True), ({"name/given": "bloggs"}, False), ({"name/surname": "bloggs"}, True),
        ({"name/surname": "joe"}, False), ({"name/surname2": "bloggs"}, False), ({"nickname": "jojo"}, True),
        ({"organization": "abc"}, True), ({"organization": "marketing"}, False), ({"text": "marketing"}, True),
        ({"email": "joe.bloggs@example.com"}, True), ({"email": "hauptadresse"}, True), ({"email": "bloggs@ex"}, True),
        ({"email": "bloggs@examples"}, False), ({"phone": "555-0123"}, True), ({"phone": "5550123"}, True),
        ({"phone": "(201) 555"}, True), ({"phone": "boat"}, True), ({"phone": "9999"}, False),
        ({"onlineService": "mastodon"}, True), ({"onlineService": "@joe@social.example"}, True),
        ({"onlineService": "social.example/@joe"}, True), ({"onlineService": "fun"}, True),
        ({"address": "oak"}, True), ({"address": "reston"}, True), ({"address": "54321 oak"}, True),
        ({"note": "office hours"}, True), ({"note": "'office hours'"}, True), ({"note": '"hours office"'}, False),
        ({"note": r'"said \"the boss\""'}, True), ({"note": "scientist"}, False), ({"text": "scientist chess"}, True),
        ({"text": "rowing"}, True), ({"text": "timbuktu"}, True), ({"text": "ブロッグス"}, True), ({"text": "ロッグ"}, True),
        ({"text": "joe marketing oak 5550123 mastodon"}, True), ({"text": "joe nowhere"}, False),
        ({"text": "blogg*"}, True), ({"text": "logg"}, True), ({"text": '"joe bloggs"'}, True),
        ({"text": '"bloggs jojo"'}, False), ({"text": ""}, False), ({"text": "…"}, False), ({"text": " "}, False),
        ({"name": "joe", "note": "office"}, True), ({"name": "joe", "note": "never"}, False),
        ({"operator": "NOT", "conditions": [{"name": "joe"}]}, False),
        ({"operator": "NOT", "conditions": [{"text": ""}]}, True),
        ({"operator": "OR", "conditions": [{"name": "nobody"}, {"phone": "201"}]}, True),
        ({"operator": "AND", "conditions": []}, True), ({}, True),
    ],
)  # fmt: skip
def test_words_are_looked_for_where_the_condition_says(house, condition, found):
    """In any case, whole or in part, phrases in quotes, `*` for any ending (RFC 9610 §3.3.1)."""
    card = add(house, JOE)
    add(house, {"name": {"full": "Someone Else"}, "kind": "org"})
    assert (card in query(house, condition)) is found


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("José Muñoz", "jose munoz"), ("Jose Munoz", "josé muñoz"), ("Zoë Müller-Lüdenscheidt", "ludenscheidt"),
        ("Straße", "strasse"), ("Łukasz Żak", "lukasz zak"), ("Øystein Ærø", "oystein aero"), ("Ελένη", "ελενη"),
        ("桜井 ゆき", "桜井"), ("桜井ゆき", "井ゆ"), ("孫中山", "中山"), ("김철수", "철수"), ("ｶﾀｶﾅ", "カタカナ"),
        ("สมชาย", "ชาย"), ("Иван Берёзкин", "березкин"), ("עֲלוֹן", "עלון"), ("O’Brien", "o'brien"),
    ],
)  # fmt: skip
def test_names_of_all_peoples_are_found(house, name, asked):
    """With and without accents, and by part where a script has no spaces."""
    card = add(house, {"name": {"full": name}})
    assert query(house, {"name": asked}) == query(house, {"text": asked}) == [card]


def test_conditions_on_the_card_itself(house):
    """Uid and kind exactly, dates on either side, membership, books."""
    other = make_book(house)
    group = add(
        house, {"uid": "G", "kind": "group", "members": {"a": True}, "created": "2020-01-01T00:00:00.25Z"}, other
    )
    plain = add(house, {"uid": "g", "created": "2020-01-01T00:00:00Z", "updated": "2021-01-01T00:00:00Z"})
    for condition, found in (
        ({"uid": "G"}, [group]), ({"uid": "g"}, [plain]), ({"uid": ""}, []),
        ({"kind": "group"}, [group]), ({"kind": "individual"}, [plain]), ({"kind": "Group"}, []),
        ({"hasMember": "a"}, [group]), ({"hasMember": "A"}, []),
        ({"createdBefore": "2020-01-01T00:00:00.2Z"}, [plain]), ({"createdAfter": "2020-01-01T00:00:00Z"}, [group, plain]),
        ({"createdAfter": "2020-01-01T00:00:00.25Z"}, [group]), ({"updatedBefore": "2021-01-01T00:00:00Z"}, []),
        ({"updatedAfter": "2021-01-01T00:00:00Z"}, [group, plain]), ({"updatedBefore": "2022-01-01T00:00:00Z"}, [plain]),
        ({"inAddressBook": other}, [group]), ({"inAddressBook": default_book(house)}, [plain]), ({"inAddressBook": "x"}, []),
    ):  # fmt: skip
        assert query(house, condition) == found, condition


def test_a_new_book_may_be_named_by_its_creation_id(house):
    """In a filter too (RFC 8620 §5.3)."""
    account = house.account()
    made, asked = house.request(
        ["AddressBook/set", {"accountId": account, "create": {"n": {"name": "N"}}}, "0"],
        ["ContactCard/query", {"accountId": account, "filter": {"inAddressBook": "#n"}}, "1"],
    )
    assert made[1]["created"]["n"]
    assert asked[1]["ids"] == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filter": {"birthday": "x"}}, "unsupportedFilter"),
        ({"filter": {"name/title": "x"}}, "unsupportedFilter"),
        ({"filter": {"text": 5}}, "invalidArguments"),
        ({"filter": {"text": "x" * 10_001}}, "invalidArguments"),
        ({"filter": {"createdBefore": "yesterday"}}, "invalidArguments"),
        ({"filter": {"operator": "OR", "conditions": [{"text": f"{'a ' * 60}"}] * 5}}, "unsupportedFilter"),
        ({"sort": [{"property": "name"}]}, "unsupportedSort"),
        ({"sort": [{"property": "name/given", "collation": "i;klingon"}]}, "unsupportedSort"),
    ],
)
def test_what_can_not_be_asked(house, arguments, error):
    """Is told by its error's name."""
    assert house.call("ContactCard/query", arguments)["type"] == error


def test_sorting(house):
    """By the first component of a kind, in any case and collation; what has none comes first."""
    names = [("ann", "Zett"), ("Bob", "ärmel"), ("bob", "Beta"), ("Ann", "beta")]
    ids = [add(house, {"name": named(*one)}) for one in names]
    bare = add(house, {"name": {"full": "Aaron Aaronson"}})
    two = add(house, {"name": {"components": [{"kind": "surname", "value": "Zz"}, {"kind": "surname", "value": "Aa"}]}})
    second = {"name": {"components": [{"kind": "surname2", "value": "Cruz"}]}}
    last = add(house, second)

    def by(*names, **more):
        return query(house, sort=[{"property": name, **more} for name in names])

    a, b, c, d = ids
    assert by("name/given") == [bare, two, last, a, d, b, c]
    assert by("name/given", "name/surname") == [bare, last, two, d, a, b, c]
    assert by("name/surname", "name/given") == [bare, last, b, d, c, a, two]
    assert by("name/surname", isAscending=False)[:2] == [two, a]
    assert by("name/surname", collation="i;ascii-casemap")[-1] == b
    assert by("name/surname2")[-1] == last
    assert by("name/given", "name/surname") == query(
        house, {"inAddressBook": default_book(house)}, sort=[{"property": "name/given"}, {"property": "name/surname"}]
    )
    house.now += 60
    change(house, a, {"kind": "org"})
    assert by("updated")[-1] == a
    assert by("created") == sorted(by("created"), key=lambda one: int(one[1:]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, STEPS, st.lists(st.tuples(FILTERS, SORTS), min_size=1, max_size=5), st.integers(0, 20))
def test_answers_and_their_changes_are_the_models(house, before, after, asked, cut):
    """What is found, in what order, how many; and a spliced old list is the new one (RFC 8620 §5.6)."""
    user = new_account(house, f"query{next(NUMBERS)}@example.com")
    try:
        model = Model(house, user)
        model.run(before)
        questions = [{"filter": model.filled(draft), "sort": sort, "calculateTotal": True} for draft, sort in asked]
        old = [house.call("ContactCard/query", one, user) for one in questions]
        for question, answer in zip(questions, old, strict=True):
            expected = model.answer(question["filter"], question["sort"])
            assert (answer["ids"], answer["total"]) == (expected, len(expected))
        model.run(after)
        for question, was in zip(questions, old, strict=True):
            check(house, user, model, question, was, cut)
    finally:
        drop_account(house, user)


def check(house, user, model, question, was, cut):
    """Bring one cached list up to date; a page and an anchor are where the whole list has them."""
    now = model.answer(question["filter"], question["sort"])
    change = house.call("ContactCard/queryChanges", {**question, "sinceQueryState": was["queryState"]}, user)
    assert change["total"] == len(now)
    assert splice(was["ids"], change, len(now)) == now
    page = house.call("ContactCard/query", {**question, "position": cut % 5, "limit": 2}, user)
    assert page["ids"] == now[cut % 5 : cut % 5 + 2]
    if now:
        anchor = now[cut % len(now)]
        assert house.call("ContactCard/query", {**question, "anchor": anchor, "limit": 1}, user)["ids"] == [anchor]


def test_a_change_of_the_query_is_told(house):
    """A card comes, goes and moves in the order of names."""
    ids = [add(house, {"name": named(name, "X")}) for name in ("a", "c", "e")]
    sort = [{"property": "name/given"}]
    was = house.call("ContactCard/query", {"sort": sort})
    new = add(house, {"name": named("b", "X")})
    change(house, ids[0], {"name": named("d", "X")})
    set_card(house, destroy=[ids[2]])
    answer = house.call("ContactCard/queryChanges", {"sort": sort, "sinceQueryState": was["queryState"]})
    assert set(answer["removed"]) == {ids[0], ids[2]}
    assert answer["added"] == [{"id": new, "index": 0}, {"id": ids[0], "index": 2}]


def test_queries_do_not_grow_with_the_address_book(house):
    """50 of 3,000 by name are read along an index that has their order, and any list takes far below 0.2 s."""
    account = house.users[ALICE].account

    def fill(tx):
        book = addressbook.default_book(tx, account)
        for number in range(3000):
            name = named(f"Given{number % 97}", f"Surname{number % 89}")
            cards.add_card(tx, account, {**MINIMAL, "uid": f"u{number}", "name": name}, [book], 0)

    house.database.write(fill)
    sort = [{"property": "name/surname"}, {"property": "name/given"}]
    plan = "EXPLAIN QUERY PLAN SELECT t.key FROM card_index AS t WHERE t.account = 1 ORDER BY t.surname_key, t.given_key, t.key LIMIT 50"
    with house.database.read() as reader:
        steps = " ".join(row[3] for row in reader.all(plan))
    assert "card_index_surname" in steps
    assert "TEMP B-TREE" not in steps
    for condition in (None, {"name": "given7"}, {"text": "surname8*"}, {"inAddressBook": default_book(house)}):
        start = time.process_time()
        answer = house.call(
            "ContactCard/query", {"filter": condition, "sort": sort, "limit": 50, "calculateTotal": True}
        )
        assert time.process_time() - start < 0.2
        assert 30 <= len(answer["ids"]) <= 50
