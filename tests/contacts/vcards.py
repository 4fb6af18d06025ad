"""What the tests of vCard share: cards from text and back, and forms in which two of them can be compared."""

import json
from collections import Counter
from pathlib import Path

from minijmap.contacts.carddifferences import plain
from minijmap.contacts.cardtovcard import vcard_of
from minijmap.contacts.vcardfile import BrokenCard, cards_in
from minijmap.contacts.vcardlines import split_components, unescape
from minijmap.contacts.vcardtocard import card_of

GOLDEN = Path(__file__).parent / "golden"
MAPS = (
    *("nicknames", "organizations", "titles", "emails", "onlineServices", "phones", "preferredLanguages", "calendars"),
    *("schedulingAddresses", "addresses", "cryptoKeys", "directories", "links", "media", "anniversaries", "notes"),
    "personalInfo",
)


def vcard(*lines, version="4.0"):
    """The octets of a vCard with these lines."""
    return "\r\n".join(("BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", "")).encode()


def raw(octets):
    """The lines of the only vCard in a file."""
    (one,) = cards_in(octets)
    assert not isinstance(one, BrokenCard), one
    return one.lines


def read(*lines, version="4.0"):
    """The Card of a vCard with these lines, without what every Card has."""
    return bare(card_of(raw(vcard(*lines, version=version))))


def bare(card):
    """A Card without the members that every Card has but for its uid."""
    return {name: value for name, value in card.items() if name not in ("@type", "version")}


def written(card):
    """The unfolded lines of a Card's vCard, between BEGIN and END."""
    text = vcard_of({"@type": "Card", "version": "1.0", "uid": "urn:uuid:1", **card}).decode()
    lines = text.replace("\r\n ", "").split("\r\n")
    assert (lines[0], lines[1], lines[-2:]) == ("BEGIN:VCARD", "VERSION:4.0", ["END:VCARD", ""])
    return lines[2:-2]


def back(card):
    """A Card that went to vCard, as octets, and came back."""
    return card_of(raw(vcard_of(card)))


def same(card):
    """Assert that a Card comes back from vCard as it was, but for what says nothing."""
    assert plain(back(card)) == plain(card)


def renamed(card):
    """A Card with its ids by number, which RFC 9555 §2.1.2 leaves to us, without defaults and what was made up."""
    text = json.dumps(plain(card))
    for place in MAPS:
        for number, key in enumerate(card.get(place) or (), 1):
            text = text.replace(f'"{key}"', f'"{place}{number}"').replace(f"{place}/{key}", f"{place}/{place}{number}")
    for number, key in enumerate((card.get("speakToAs") or {}).get("pronouns") or (), 1):
        text = text.replace(f'"{key}"', f'"pronouns{number}"')
    return {name: value for name, value in json.loads(text).items() if name not in ("@type", "version")}


def meaning(lines):
    """What the lines of a vCard say: names, parameters and values, without their order and the names of groups."""
    groups = {}
    said = Counter()
    for line in lines:
        group = groups.setdefault(line.group, len(groups)) if line.group else None
        params = {
            name: sorted(
                one.lower() if name in ("type", "derived") else one for value in values for one in value.split(",")
            )
            for name, values in line.params.items()
            if name not in ("prop-id", "value")
        }
        if line.name in ("N", "ADR", "ORG"):
            value = tuple(unescape(one) for one in split_components(line.value.rstrip(";")))
        else:
            value = unescape(line.value).lower() if line.name == "GRAMGENDER" else unescape(line.value)
        said[line.name, group, json.dumps(params, sort_keys=True), value] += 1
    return said
