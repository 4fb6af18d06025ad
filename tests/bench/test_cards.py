"""The benchmark's vCards: good ones, of which nothing is left over."""

from itertools import islice

from minijmap.contacts.vcardfile import BrokenCard, cards_in
from minijmap.contacts.vcardtocard import card_of
from tests.bench.cards import vcards


def test_vcards_are_read_whole():
    """Each is a person of its own, and every line has its place in JSContact."""
    made = list(islice(vcards(), 300))
    read = [raw for raw in cards_in("".join(made).encode()) if not isinstance(raw, BrokenCard)]
    cards = [card_of(raw.lines, raw.number) for raw in read]

    assert len({card["uid"] for card in cards}) == 300
    assert all("vCardProps" not in card for card in cards)
    assert cards[0]["addresses"]["ADDR-1"]["countryCode"] == "DE"
    assert cards[0]["links"]["LINK-1"]["uri"].startswith("https://")
    assert made == list(islice(vcards(), 300))
