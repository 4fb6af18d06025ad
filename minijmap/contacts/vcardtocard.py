"""vCard to JSContact (RFC 9555 §2): the lines of a card become a Card.

A line that is nothing in JSContact is kept in `vCardProps`, a parameter in `vCardParams`, so that nothing is lost.
Older versions and other programs' ways are made those of vCard 4.0 before (`vcardquirks`). Must not know a file, nor
where a Card is kept.
"""

import hashlib
import re
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from minijmap.contacts import jcard, jscontact, vcardconvert
from minijmap.contacts.vcardconvert import Piece, Unfit
from minijmap.contacts.vcardlanguages import Languages, pronunciation
from minijmap.contacts.vcardlines import Line, VCardError, text_of_line, unescape
from minijmap.contacts.vcardquirks import modernized
from minijmap.contacts.vcardtable import WITH_LABEL
from minijmap.jmap import ijson
from minijmap.jmap import patch as patching
from minijmap.jmap.objects import DEEPEST_KEPT
from minijmap.jmap.values import ValueProblem

LONGEST_PATH: Final = 200
"""Characters of a path that a sentence tells."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_NOT_KEPT: Final = frozenset(("VERSION", "BEGIN", "END"))
_NOT_HASHED: Final = frozenset(("REV", "PRODID", "VERSION"))
_LATE: Final = frozenset(("BIRTHPLACE", "DEATHPLACE", "GEO", "TZ"))
"""Properties that are part of an object which another has made."""
_GEOGRAPHY: Final = frozenset(("coordinates", "timeZone"))
_PLACES: Final = {"BIRTHPLACE": "birth", "DEATHPLACE": "death"}


def card_of(lines: Sequence[Line], number: int = 1) -> dict[str, Any]:
    """Return the Card that the lines of a vCard are; `number` is the line at which it begins.

    Without a UID it gets one that is the same each time (RFC 9555 §2.1.1). Raises VCardError for what can't be a Card
    even so: one that passes the limits of `jscontact`.
    """
    try:
        card = _Reading(modernized(lines)).result()
        if "uid" not in card:
            card["uid"] = _made_uid(lines)
        return jscontact.check_card(card)
    except ValueProblem as problem:
        path = problem.path if len(problem.path) <= LONGEST_PATH else f"{problem.path[:LONGEST_PATH]}…"
        raise VCardError(number, f"it can't be a card: “{path}” {problem.sentence}.") from None


def _made_uid(lines: Iterable[Line]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        if line.name not in _NOT_HASHED:
            digest.update(text_of_line(line).encode("utf-8", "surrogatepass") + b"\n")
    return f"urn:uuid:{uuid.UUID(bytes=digest.digest()[:16], version=5)}"


class _Reading:
    """One card while it is read."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = [line for line in lines if (line.first("derived") or "").lower() != "true"]
        self.card: dict[str, Any] = {"@type": "Card", "version": jscontact.VERSION}
        self.props: list[Any] = []
        self.counts: Counter[str] = Counter()
        self.placed: list[tuple[Line, Piece]] = []
        self.addresses: Counter[str] = Counter()
        """How many addresses each group has."""
        self.without: defaultdict[tuple[str, str], deque[Piece]] = defaultdict(deque)
        """Those of them that have no coordinates, or no time zone, by group."""
        self.has_components = any(line.name == "N" for line in self.lines)
        self.languages = Languages(self.lines)
        self.labels, self.read = _labels(self.lines)
        self.spoken_for = _spoken_for(self.lines, self.labels, self.read)

    def result(self) -> dict[str, Any]:
        """Read everything, in the order in which one thing needs another."""
        lines = [line for line in self.lines if line.name not in _NOT_KEPT and id(line) not in self.read]
        if self.languages.guessed is not None:
            self.card["language"] = self.languages.guessed
        own = [line for line in lines if not self.languages.is_foreign(line) and line.name != "JSPROP"]
        # RFC 9555 §2.5.2: of several FN it is the one with the least parameters
        for line in sorted(own, key=lambda line: (line.name in _LATE, len(line.params) if line.name == "FN" else 0)):
            self._own(line)
        foreign = [line for line in lines if self.languages.is_foreign(line)]
        for line in sorted(foreign, key=lambda line: "phonetic" in line.params):
            self._foreign(line)
        return self._finish([line for line in lines if line.name == "JSPROP"])

    def _keep(self, line: Line) -> None:
        """Keep a line as it is (RFC 9555 §2.15.1)."""
        self.props.append(jcard.of_line(line))

    # The card's own lines

    def _own(self, line: Line) -> None:
        single = vcardconvert.SINGLE.get(line.name)
        try:
            if single is not None:
                fits = single(self.card, line)
                # RFC 9555 §2.15.2 has no place for these parameters: the property is kept as well.
                if fits and line.name in vcardconvert.SCALAR and vcardconvert.says_more(line):
                    self._keep(line)
            else:
                put = [self._put(line, piece) for piece in self._pieces(line)]
                fits = all(put)
        except (Unfit, ValueProblem):
            fits = False
        if not fits:
            self._keep(line)

    def _pieces(self, line: Line) -> list[Piece]:
        if line.name in _PLACES:
            return self._place_of(line)
        if line.name in _LATE:
            return self._geography(line)
        return vcardconvert.pieces(line)

    def _put(self, line: Line, piece: Piece) -> bool:
        """Put a piece where it belongs; False where another is there that there can be only one of."""
        self._complete(line, piece)
        place = self.card
        for name in piece.place:
            place = place.setdefault(name, {})
        if piece.prefix:
            piece.key = self._id(line, piece.prefix, place)
            place[piece.key] = piece.value
        elif place.keys() & piece.value.keys() - {"vCardParams"}:
            return False
        else:
            place.update(piece.value)
        self.placed.append((line, piece))
        if piece.prefix == "ADDR":
            self.addresses[line.group] += 1
            for member in _GEOGRAPHY - piece.value.keys():
                self.without[line.group, member].append(piece)
        self.languages.add(line, piece)
        return True

    def _complete(self, line: Line, piece: Piece) -> None:
        """Add to a piece its label and what is left of the parameters (RFC 9555 §2.15.2)."""
        if line.group in self.labels and line.name in WITH_LABEL:
            piece.value["label"] = self.labels[line.group]
        rest = self.languages.unread(line, piece.rest)
        params = jcard.params_of(rest) if rest else {}
        if line.group and line.group not in self.spoken_for:
            params["group"] = line.group
        if not params:
            return
        if line.name == "FN" and self.has_components:
            self._keep(line)
        else:
            piece.value["vCardParams"] = params

    def _id(self, line: Line, prefix: str, there: Mapping[str, Any]) -> str:
        """Return the id of an object: as PROP-ID says, or the next one (RFC 9555 §2.1.2, §2.3.18)."""
        said = line.first("prop-id")
        if said is not None and _ID.fullmatch(said) and said not in there:
            return said
        while True:
            self.counts[prefix] += 1
            made = f"{prefix}-{self.counts[prefix]}"
            if made not in there:
                return made

    def _place_of(self, line: Line) -> list[Piece]:
        """Return where somebody was born or has died, as part of that anniversary (RFC 9555 §2.5.1)."""
        anniversaries = self.card.get("anniversaries") or {}
        key = next((key for key, one in anniversaries.items() if one["kind"] == _PLACES[line.name]), None)
        if key is None:
            raise Unfit
        rest = {name: values for name, values in line.params.items() if name != "value"}
        if (line.first("value") or "text").lower() == "text":
            value = {"full": unescape(line.value)}
        else:
            value = {"coordinates": vcardconvert.uri_of(line)}
        jscontact.ADDRESS.check(value)
        return [Piece(("anniversaries", key, "place"), "", value, rest)]

    def _geography(self, line: Line) -> list[Piece]:
        """Return GEO or TZ as part of the address that is meant (RFC 9555 §2.8)."""
        rest = {name: values for name, values in line.params.items() if name != "value"}
        if line.name == "GEO":
            member, said = "coordinates", vcardconvert.uri_of(line)
        elif (line.first("value") or "text").lower() == "uri":
            raise Unfit
        else:
            text = unescape(line.value)
            member, said = "timeZone", vcardconvert.zone_of(text) or text
        jscontact.ADDRESS.check({member: said})
        # RFC 9555 §2.8.3
        free = self.without[line.group, member]
        if not free or (self.addresses[line.group] > 1 and not line.group):
            return [Piece(("addresses",), "ADDR", {member: said}, rest)]
        if rest:
            raise Unfit
        return [Piece(free.popleft().path, "", {member: said})]

    # In other words

    def _foreign(self, line: Line) -> None:
        try:
            if "phonetic" in line.params:
                self._pronounce(line)
            else:
                for piece in self._pieces(line):
                    self._translate(line, piece)
        except (Unfit, ValueProblem):
            self._keep(line)

    def _pronounce(self, line: Line) -> None:
        base = self.languages.base(line)
        if base is None:
            raise Unfit
        own, patch = pronunciation(line, base)
        self.languages.pronounce(line, base, own, patch, self.card)

    def _translate(self, line: Line, piece: Piece) -> None:
        """Put a piece among the localizations of its language (RFC 9555 §2.3.11)."""
        rest = {name: values for name, values in piece.rest.items() if name not in ("language", "altid")}
        if rest:
            piece.value["vCardParams"] = jcard.params_of(rest)
        base = self.languages.base(line)
        patch = self.languages.patch(line)
        if base is None or not (piece.prefix or base.path == piece.place):
            there: Any = self.card
            for name in piece.place:
                there = there.get(name, {})
            if not piece.prefix or not there:
                raise Unfit
            path = "/".join((*piece.place, self._id(line, piece.prefix, there)))
            if path in patch:
                raise Unfit
            patch[path] = piece.value
            return
        for name, value in piece.value.items():
            if base.value.get(name) != value:
                patch.setdefault("/".join((*base.path, name)), value)

    # The end

    def _finish(self, patches: list[Line]) -> dict[str, Any]:
        self._link_titles()
        localizations = self.languages.localizations()
        if localizations:
            self.card["localizations"] = localizations
        if "members" in self.card and self.card.get("kind") != "group":
            del self.card["members"]
            for line in self.lines:
                if line.name == "MEMBER":
                    self._keep(line)
        card = self._whole()
        if not patches:
            return card
        try:
            patched = _patched(card, patches)
            checked = {"uid": "-", **patched}
            jscontact.check_card(checked)
        except (ValueProblem, patching.PatchError, ijson.NotIJson, Unfit):
            # RFC 9555 §3.2.1: an invalid PatchObject must not be applied
            for line in patches:
                self._keep(line)
            return self._whole()
        return patched

    def _whole(self) -> dict[str, Any]:
        return {**self.card, "vCardProps": self.props} if self.props else self.card

    def _link_titles(self) -> None:
        """Say of which organization a title is (RFC 9555 §2.9.6)."""
        organizations: dict[str, list[str]] = defaultdict(list)
        for line, piece in self.placed:
            if line.group and piece.prefix == "ORG":
                organizations[line.group].append(piece.key)
        for line, piece in self.placed:
            if piece.prefix == "TITLE" and len(organizations.get(line.group, ())) == 1:
                piece.value["organizationId"] = organizations[line.group][0]


def _patched(card: dict[str, Any], lines: Iterable[Line]) -> dict[str, Any]:
    """Apply what JSPROP says (RFC 9555 §3.2.1). Raises PatchError, NotIJson or Unfit."""
    patch: dict[str, Any] = {}
    for line in lines:
        pointer = line.first("jsptr")
        if pointer is None or pointer.removeprefix("/") in patch:
            raise Unfit
        value = ijson.loads(unescape(line.value).encode("utf-8", "surrogatepass"), DEEPEST_KEPT)
        patch[pointer.removeprefix("/")] = value
    applied = patching.apply(card, patch)
    return {name: value for name, value in applied.items() if value is not None}


# Groups


def _labels(lines: Iterable[Line]) -> tuple[dict[str, str], set[int]]:
    """Return the label of each group that has one property for it, and which lines are read by that."""
    by_group: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.group:
            by_group[line.group].append(line)
    labels, read = {}, set()
    for group, members in by_group.items():
        said = [line for line in members if line.name == "X-ABLABEL"]
        taking = [line for line in members if line.name in WITH_LABEL]
        if len(said) == 1 and not said[0].params and (len(taking) == 1 or not said[0].value):
            read.add(id(said[0]))
            if said[0].value:
                labels[group] = unescape(said[0].value)
    return labels, read


def _spoken_for(lines: Iterable[Line], labels: Mapping[str, str], read: set[int]) -> set[str]:
    """Return the groups whose meaning the Card has in other words, so that their names say nothing more."""
    names: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line.group and id(line) not in read:
            names[line.group].append(line.name)
    return {group for group, members in names.items() if (group in labels and len(members) == 1) or _is_one(members)}


def _is_one(names: Sequence[str]) -> bool:
    """Say whether the properties of a group are an organization and its titles, or one address."""
    there = set(names)
    if len(names) < 2:
        return False
    organization = names.count("ORG") == 1 and there <= {"ORG", "TITLE", "ROLE"}
    return organization or (there <= {"ADR", "GEO", "TZ"} and "ADR" in there and len(there) == len(names))
