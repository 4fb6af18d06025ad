"""The benchmark's report: ratios, budgets and the table."""

import json

import pytest

from tests.bench.report import JUDGED, RELAYED, Budget, Level, Timing, as_json, budgets, growth, render

LISTS = ["open inbox", "mailboxes"]


def level(messages: int, inbox: float, **facts: float) -> Level:
    """A size at which the empty request took 1 ms and the open inbox so many."""
    timings = {
        "echo": {1: Timing(1.0, 2.0, 300), 4: Timing(2.0, 3.0, 900)},
        "header search": {},
        "open inbox": {1: Timing(inbox, 2 * inbox, 200), 4: Timing(3 * inbox, 4 * inbox, 500)},
    }
    return Level(messages, timings, {"header search": "unsupportedFilter"}, facts)


def kept(levels: list[Level]) -> dict[str, Budget]:
    """The budgets by name."""
    return {budget.name: budget for budget in budgets(levels, LISTS)}


def test_growth_is_largest_against_smallest() -> None:
    """Growth compares medians over one connection at the outer sizes, and one size has none."""
    levels = [level(2000, 4.0), level(20_000, 40.0), level(100_000, 5.0)]
    assert growth(levels, "open inbox") == pytest.approx(1.25)
    assert growth(levels[:1], "open inbox") is None
    assert growth(levels, "header search") is None


def test_open_inbox_is_held_against_bare_sql() -> None:
    """Open inbox may cost four times bare SQL and an empty request together."""
    facts = {"bare SQL, ms": 0.5}
    name = "open inbox / (bare SQL + empty request)"
    assert kept([level(2000, 6.0, **facts)])[name] == Budget(name, 4.0, 4)
    assert kept([level(2000, 6.0, **facts)])[name].ok
    assert not kept([level(2000, 6.1, **facts)])[name].ok
    assert name not in kept([level(2000, 6.0)])


def test_list_operations_may_grow_by_half() -> None:
    """Only measured list operations are judged, at the largest size against the smallest."""
    found = kept([level(2000, 2.0), level(100_000, 3.2)])
    assert list(found) == ["open inbox: 100,000 / 2,000 messages"]
    assert not found["open inbox: 100,000 / 2,000 messages"].ok


def test_worst_size_counts() -> None:
    """A floor is judged by the smallest value and a ceiling by the largest."""
    rate, memory = "import on one core, messages/s", "idle memory, MB"
    found = kept([level(1, 1.0, **{rate: 500.0, memory: 40.0}), level(2, 1.0, **{rate: 299.0, memory: 50.5})])
    assert (found[rate].value, found[rate].ok) == (299.0, False)
    assert (found[memory].value, found[memory].ok) == (50.5, False)
    assert Budget("rate", 300, 300, at_least=True).ok


def test_mail_with_the_outside_has_floors() -> None:
    """Judged mail may not fall below 50 messages/s, sent mail not below 100."""
    found = kept([level(1, 1.0, **{JUDGED: 50.0, RELAYED: 99.0})])
    assert (found[JUDGED].limit, found[JUDGED].ok) == (50, True)
    assert (found[RELAYED].limit, found[RELAYED].ok) == (100, False)


def test_table() -> None:
    """The table has a row per operation with times, ratio, growth and refusals, then facts and budgets."""
    text = render([level(2000, 4.0, **{"idle memory, MB": 41.25}), level(100_000, 5.0)], [1, 4], LISTS)
    lines = text.splitlines()
    inbox = next(line for line in lines if line.startswith("open inbox"))
    assert inbox.split() == [
        "open",
        "inbox",
        "|",
        "4.00/8.00",
        "12.00/16.00",
        "4.0",
        "|",
        "5.00/10.00",
        "15.00/20.00",
        "5.0",
        "|",
        "1.25",
    ]
    assert next(line for line in lines if line.startswith("header")).count("unsupportedFilter") == 2
    assert next(line for line in lines if line.startswith("idle")).split()[-1] == "41.25"
    assert "100,000 messages" in text
    assert [line[:4] for line in lines[lines.index("Budgets") + 1 :]] == ["ok  ", "ok  "]
    assert max(map(len, lines)) <= 120


def test_table_of_another_server() -> None:
    """Without facts and budgets there is a table alone."""
    text = render([Level(7, {"echo": {1: Timing(1.0, 1.5, 9)}})], [1], [])
    assert "Budgets" not in text
    assert "1.00/1.50" in text


def test_json() -> None:
    """The results survive JSON, budgets with their verdict."""
    read = json.loads(json.dumps(as_json([level(2000, 2.0), level(100_000, 3.2)], LISTS)))
    assert read["levels"][1]["messages"] == 100_000
    assert read["levels"][0]["timings"]["echo"]["4"] == [2.0, 3.0, 900]
    assert read["budgets"][0]["ok"] is False
