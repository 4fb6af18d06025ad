"""vCard to JSContact (RFC 9555 §2): what several lines are together, and limits. Each figure is in test_vcard_rfc9555_examples."""

import time

import pytest

from minijmap.contacts.vcardlines import VCardError
from minijmap.contacts.vcardtocard import card_of
from tests.contacts.vcards import raw, read, vcard


def test_geography_belongs_to_the_address_that_is_meant():
    """GEO and TZ are those of the only address, or of their group's; or else an address of their own (RFC 9555 §2.8.3)."""
    alone = read("FN:x", "ADR:;;Ring;;;;", "GEO:geo:1,2", "TZ:Europe/Vienna")["addresses"]
    assert [(one["coordinates"], one["timeZone"]) for one in alone.values()] == [("geo:1,2", "Europe/Vienna")]

    two = read("FN:x", "a.ADR:;;Ring;;;;", "b.ADR:;;Gasse;;;;", "b.GEO:geo:1,2", "b.GEO:geo:3,4")["addresses"]
    assert [one.get("coordinates") for one in two.values()] == [None, "geo:1,2", "geo:3,4"]

    many = read("FN:x", "ADR:;;Ring;;;;", "ADR:;;Gasse;;;;", "TZ:Europe/Vienna")["addresses"]
    assert [one.get("timeZone") for one in many.values()] == [None, None, "Europe/Vienna"]


@pytest.mark.parametrize("line", ["GEO:geo:1,2", "g.GEO:geo:1,2", "FN;X=1:a", "TZ:nowhere{}", "ADR;LABEL=x:;;a;;;;"])
def test_thousands_of_a_property_take_linear_time(line):
    """A card has at most 10,000 lines; none of them looks at all others."""
    lines = raw(vcard("N:a;b;;;", *(line.format(number) for number in range(5_000))))
    start = time.process_time()

    card_of(lines)

    assert time.process_time() - start < 4


def test_a_card_that_can_not_be_is_told_in_a_sentence_of_some_length():
    """However long what is wrong with it is."""
    with pytest.raises(VCardError) as caught:
        card_of(raw(vcard("FN:x", f"CATEGORIES:{'k' * 2_000_000}")), 7)
    assert caught.value.line == 7
    assert len(caught.value.sentence) < 500
