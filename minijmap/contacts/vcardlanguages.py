"""What a vCard says in several languages, and how it is pronounced (RFC 9555 §2.3.1, §2.3.11, §2.3.15).

Properties with one ALTID are one thing in other words. The card's own language is that of LANGUAGE, or that in which
all its full names are; what is in another becomes a patch of `localizations`. A property in another language beside
which there is none in the card's own belongs to the card, so that it is seen. Must not know a property's value.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from minijmap.contacts import vcardparts
from minijmap.contacts.vcardconvert import CONVERTERS, Piece, Unfit
from minijmap.contacts.vcardlines import Line, split_components, texts
from minijmap.contacts.vcardtable import BY_NAME

_TAG: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,15}")
_SCRIPT: Final = re.compile(r"[A-Za-z]{4}")
_PLACES: Final = frozenset(("BIRTHPLACE", "DEATHPLACE"))
_SYSTEMS: Final = frozenset(("ipa", "jyut", "piny"))


def normal_tag(tag: str | None) -> str | None:
    """Return a language tag in its usual case (RFC 5646 §2.1.1), or None where it is none."""
    if not tag or not _TAG.fullmatch(tag):
        return None
    first, *rest = tag.lower().split("-")
    return "-".join([first, *(one.title() if len(one) == 4 else one.upper() if len(one) == 2 else one for one in rest)])


class Languages:
    """The languages of one card's lines."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.guessed: str | None = None
        """The card's language, where no LANGUAGE says it."""
        there = [line for line in lines if line.params and ("language" in line.params or "altid" in line.params)]
        self.own = self._own(lines) if there else None
        self._with_own: set[str] = set()
        self._altids: dict[tuple[str, str], list[bool]] = {}
        """By property and ALTID, whether each of the lines is in some language or a pronunciation."""
        if there:
            self._look(lines)
        self._bases: dict[tuple[str, str], Piece] = {}
        self._patches: dict[str, dict[str, Any]] = {}

    def _own(self, lines: Iterable[Line]) -> str | None:
        said = next((line.value for line in lines if line.name == "LANGUAGE"), None)
        if said is not None:
            return normal_tag(said)
        of_names = [line.first("language") for line in lines if line.name == "FN"]
        if of_names and all(of_names):
            self.guessed = normal_tag(of_names[0])
        return self.guessed

    def _look(self, lines: Iterable[Line]) -> None:
        for line in lines:
            altid = line.first("altid")
            if altid is not None:
                told = "language" in line.params or "phonetic" in line.params
                self._altids.setdefault((line.name, altid), []).append(told)
            if "phonetic" not in line.params and normal_tag(line.first("language")) in (None, self.own):
                self._with_own.add(line.name)

    def is_foreign(self, line: Line) -> bool:
        """Say whether a line is another one in other words."""
        if "phonetic" in line.params and line.name in ("N", "ADR"):
            return True
        if "language" not in line.params or line.name not in self._with_own:
            return False
        converts = line.name in BY_NAME or line.name in CONVERTERS or line.name in _PLACES
        return converts and normal_tag(line.first("language")) not in (None, self.own)

    def unread(self, line: Line, rest: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Return the parameters of a line of the card's own that nothing else tells."""
        left = dict(rest)
        told = self._altids.get((line.name, line.first("altid") or ""), ())
        if len(told) > 1 and any(told):
            left.pop("altid", None)
        if self.own is not None and normal_tag(line.first("language")) == self.own:
            left.pop("language", None)
        return left

    def add(self, line: Line, piece: Piece) -> None:
        """Note what a line of the card's own has become."""
        altid = line.first("altid")
        if altid is not None:
            self._bases.setdefault((line.name, altid), piece)
        if not piece.prefix:
            self._bases.setdefault((line.name, ""), piece)

    def base(self, line: Line) -> Piece | None:
        """Return of what a line is another form, or None where it stands for itself."""
        return self._bases.get((line.name, line.first("altid") or "")) or self._bases.get((line.name, ""))

    def patch(self, line: Line) -> dict[str, Any]:
        """Return the patch of a line's language, to be added to."""
        return self._patches.setdefault(normal_tag(line.first("language")) or "", {})

    def localizations(self) -> dict[str, dict[str, Any]]:
        """Return the patches of all languages."""
        return {language: patch for language, patch in self._patches.items() if patch}

    def pronounce(
        self, line: Line, base: Piece, own: dict[str, Any], sounds: dict[int, str], card: dict[str, Any]
    ) -> None:
        """Add how a name or an address is pronounced: to itself, or in the language of a line. Raises Unfit."""
        language = normal_tag(line.first("language"))
        target: Any = card
        for name in base.path:
            target = target[name]
        taken = "phoneticSystem" in target or "phoneticScript" in target
        if language is None or language == self.own:
            if taken:
                raise Unfit
            target.update(own)
            for index, sound in sounds.items():
                target["components"][index]["phonetic"] = sound
            return
        patch = self.patch(line)
        for name, value in own.items():
            patch["/".join((*base.path, name))] = value
        for index, sound in sounds.items():
            patch["/".join((*base.path, "components", str(index), "phonetic"))] = sound


def pronunciation(line: Line, base: Piece) -> tuple[dict[str, Any], dict[int, str]]:
    """Return the phonetic system or script, and the sound of each component of the line's base. Raises Unfit.

    RFC 9554 §4.6: where the line has a value, its base has one.
    """
    system, script = (line.first("phonetic") or "").lower(), line.first("script")
    own = {"phoneticSystem": system} if system in _SYSTEMS else {}
    if script is not None and _SCRIPT.fullmatch(script):
        own["phoneticScript"] = script
    known = {"altid", "phonetic", "script", "language", "value", "prop-id"}
    if not own or system not in {*_SYSTEMS, "script"} or line.params.keys() - known or base.structured is None:
        raise Unfit
    places = {position: index for index, position in enumerate(base.structured.positions) if position is not None}
    sounds: dict[int, str] = {}
    for place, component in enumerate(split_components(line.value)):
        for index, text in enumerate(texts(component)):
            at = places.get((place, index))
            if text and at is not None:
                sounds[at] = text
            elif text and not _is_double(base, place):
                raise Unfit
    if not sounds:
        raise Unfit
    return own, sounds


def _is_double(base: Piece, place: int) -> bool:
    """Say whether a place of a structured value is there for old readers (RFC 9554 §2)."""
    return place in (vcardparts.ADDRESS.combined if base.prefix else (0, 4))
