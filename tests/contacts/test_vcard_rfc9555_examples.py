"""Every figure of RFC 9555, in both directions: a vCard and the Card that it is.

The figures are pieces of cards; they stand here as the RFC has them, with BEGIN, VERSION and END around, and with these
corrections. Figure 5: `LANGUAGE:`, not `LANGUAGE=`. Figure 9: the day is not a second year. Figure 24: the UID of the
Card. Figure 50: the PROP-ID without which `phones/phone1` is nobody. Figure 53: street number and name in the order of
RFC 9554 §2.1. What the ids are, RFC 9555 §2.1.2 leaves free.
"""

import json

import pytest

from minijmap.contacts.cardtovcard import lines_of
from minijmap.contacts.vcardtocard import card_of
from tests.contacts.vcards import GOLDEN, bare, meaning, raw, renamed, same

FIGURES = sorted(path.stem for path in (GOLDEN / "rfc9555").glob("*.json"))
MADE_UP = {"VERSION", "UID"}
# Said in other words: the language of the whole card once, and not with each property (§2.3.11).
IN_OTHER_WORDS = {"figure-03", "figure-05"}


def figure(name):
    """The lines and the Card of a figure."""
    card = json.loads((GOLDEN / "rfc9555" / f"{name}.json").read_text())
    return raw((GOLDEN / "rfc9555" / f"{name}.vcf").read_bytes()), card


def whole(card):
    """A figure's piece of a Card as a Card."""
    return {"@type": "Card", "version": "1.0", "uid": "urn:uuid:1", **card}


def test_every_figure_is_there():
    """The RFC has 53 figures."""
    assert [f"figure-{number:02}" for number in range(1, 54)] == FIGURES


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_vcard_is_its_card(name):
    """The vCard of a figure becomes what the figure says."""
    lines, card = figure(name)

    found = bare(card_of(lines))

    if "uid" not in card:
        del found["uid"]
    assert renamed(found) == renamed(card)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_card_is_its_vcard(name):
    """The Card of a figure becomes what the figure says, besides the properties that every vCard must have."""
    lines, card = figure(name)
    wanted = meaning(line for line in lines if line.name not in MADE_UP)

    found = meaning(line for line in lines_of(whole(card)) if line.name not in MADE_UP)

    assert "JSPROP" not in {one[0] for one in (found - wanted)}
    if name not in IN_OTHER_WORDS:
        assert wanted - found == {}
    extra = {one[0] for one in (found - wanted)}
    assert extra <= ({"FN"} if name not in IN_OTHER_WORDS else {"FN", "LANGUAGE", "N", "TITLE"})


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_card_comes_back(name):
    """The Card of a figure goes to vCard and back without loss."""
    same(whole(figure(name)[1]))
