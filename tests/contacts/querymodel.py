"""An address book as naive Python straight from RFC 9610 §3.3, and random cards and questions about it.

The model keeps plain lists and looks at all of them for every question. Words of the drawn cards are of an alphabet in
which no word is part of another, so that words and parts of words give the same.
"""

from unicodedata import normalize

from hypothesis import strategies as st

from tests.contacts.household import default_book, make_book, set_card

WORDS = ("apple", "Birne", "çedar", "дуб", "四", "fig")
FOLDED = dict(zip(WORDS, ("apple", "birne", "cedar", "дуб", "四", "fig"), strict=True))
UIDS = ("u1", "u2", "u3")
KINDS = (None, "individual", "group", "org", "example.com:x")
WORD = st.sampled_from(WORDS)
MAYBE = st.none() | WORD
STAMP = st.integers(0, 5)
DRAFT = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "members": st.lists(st.sampled_from(UIDS), max_size=2),
        "created": STAMP,
        "updated": STAMP,
        **dict.fromkeys(("full", "given", "surname", "surname2", "given2", "nickname", "organization"), MAYBE),
        **dict.fromkeys(("email", "emailLabel", "phoneLabel", "service", "locality", "addressFull", "note", "title"), MAYBE),
        "books": st.integers(1, 3),
    }
)  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(["new", "new", "new", "change", "move", "gone"]), st.integers(0, 20), DRAFT), max_size=10
)


NOW = 6


def stamp(number):
    """A moment; the last is that of the house."""
    if number == NOW:
        return "2026-01-01T00:00:00Z"
    return f"2020-01-0{number + 1}T00:00:00{'.5' if number % 2 else ''}Z"


def card_of(draft):
    """A Card as the RFC has it."""
    parts = [{"kind": kind, "value": draft[kind]} for kind in ("given", "given2", "surname", "surname2") if draft[kind]]
    name = {**({"components": parts} if parts else {}), **({"full": draft["full"]} if draft["full"] else {})}
    places = [{"kind": "locality", "value": draft["locality"]}] if draft["locality"] else []
    address = {
        **({"components": places} if places else {}),
        **({"full": draft["addressFull"]} if draft["addressFull"] else {}),
    }
    label = {"label": draft["emailLabel"]} if draft["emailLabel"] else {}
    phone = {"label": draft["phoneLabel"]} if draft["phoneLabel"] else {}
    card = {
        "kind": draft["kind"],
        "members": dict.fromkeys(draft["members"], True) if draft["kind"] == "group" else None,
        "created": stamp(draft["created"]),
        "updated": stamp(draft["updated"]),
        "name": name or None,
        "nicknames": {"n": {"name": draft["nickname"]}} if draft["nickname"] else None,
        "organizations": {"o": {"name": draft["organization"]}} if draft["organization"] else None,
        "emails": {"e": {"address": f"{draft['email']}@x.zz", **label}} if draft["email"] else None,
        "phones": {"p": {"number": "+1 555", **phone}},
        "onlineServices": {"s": {"service": draft["service"], "user": "me"}} if draft["service"] else None,
        "addresses": {"a": address} if address else None,
        "notes": {"n": {"note": draft["note"]}} if draft["note"] else None,
        "titles": {"t": {"name": draft["title"]}} if draft["title"] else None,
    }
    return {name: value for name, value in card.items() if value is not None}


TEXTS = {
    "name": ("full", "given", "given2", "surname", "surname2"),
    "name/given": ("given",),
    "name/surname": ("surname",),
    "name/surname2": ("surname2",),
    "nickname": ("nickname",),
    "organization": ("organization",),
    "email": ("email", "emailLabel"),
    "phone": ("phoneLabel",),
    "onlineService": ("service",),
    "address": ("locality", "addressFull"),
    "note": ("note",),
}
ALL_TEXTS = tuple({one for ones in TEXTS.values() for one in ones} | {"title"})


def words_of(draft, name):
    """The folded words that a condition looks at."""
    names = ALL_TEXTS if name == "text" else TEXTS[name]
    return {FOLDED[draft[one]] for one in names if draft[one] and (one != "emailLabel" or draft["email"])}


class Model:
    """An account, and the same as a dict of drafts by id."""

    def __init__(self, house, user):
        self.house, self.user = house, user
        self.books = [default_book(house, user), make_book(house, "Two", user)]
        self.drafts = {}

    def run(self, steps):
        """Do the steps in both."""
        for what, number, draft in steps:
            if what == "new":
                self._set(create={"k": {**card_of(draft), "addressBookIds": self._places(draft)}}, draft=draft)
            elif self.drafts:
                card = sorted(self.drafts)[number % len(self.drafts)]
                self._change(what, card, draft)

    def _change(self, what, card, draft):
        if what == "gone":
            set_card(self.house, user=self.user, destroy=[card])
            del self.drafts[card]
        elif what == "move":
            self._set(update={card: {"addressBookIds": self._places(draft)}}, draft=None)
            self.drafts[card] = {**self.drafts[card], "books": draft["books"]}
        else:
            was = self.drafts[card]
            gone = dict.fromkeys(card_of(was))
            self._set(update={card: {**gone, **card_of(draft), "addressBookIds": self._places(draft)}}, draft=None)
            # A client that sends a whole card back has not said when it was changed.
            stale = draft["updated"] == was["updated"] and card_of(draft) != card_of(was)
            self.drafts[card] = {**draft, "updated": NOW} if stale else draft

    def _set(self, draft, **arguments):
        answer = set_card(self.house, user=self.user, **arguments)
        assert answer["notCreated"] is None, answer
        assert answer["notUpdated"] is None, answer
        if draft is not None:
            self.drafts[answer["created"]["k"]["id"]] = draft

    def _places(self, draft):
        return {book: True for bit, book in enumerate(self.books) if draft["books"] >> bit & 1}

    # Questions

    def filled(self, node):
        """A drawn filter with this account's books in the places of numbers."""
        if node is None or "operator" not in node:
            return node and {
                name: self.books[value] if name == "inAddressBook" else value for name, value in node.items()
            }
        return {**node, "conditions": [self.filled(one) for one in node["conditions"]]}

    def answer(self, node, sort):
        """The ids that match, in order."""
        found = [card for card, draft in self.drafts.items() if self._matches(node, draft)]
        found.sort(key=lambda card: int(card[1:]))
        for comparator in reversed(sort or ()):
            found.sort(
                key=lambda card: self._key(card, comparator["property"]),
                reverse=not comparator.get("isAscending", True),
            )
        return found

    def _key(self, card, name):
        draft = self.drafts[card]
        if name in ("created", "updated"):
            return draft[name]
        value = draft[name.partition("/")[2]]
        # RFC 5051 §2, for these words.
        return "" if value is None else normalize("NFKD", value.upper())

    def _matches(self, node, draft):
        if node is None:
            return True
        if "operator" in node:
            all_of = [self._matches(one, draft) for one in node["conditions"]]
            return {"AND": all(all_of), "OR": any(all_of), "NOT": not any(all_of)}[node["operator"]]
        return all(self._holds(name, value, draft) for name, value in node.items())

    def _holds(self, name, value, draft):
        if name == "inAddressBook":
            return bool(draft["books"] >> self.books.index(value) & 1)
        if name == "hasMember":
            return draft["kind"] == "group" and value in draft["members"]
        if name == "kind":
            return (draft["kind"] or "individual") == value
        if name.endswith(("Before", "After")):
            its, moment = stamp(draft[name.removesuffix("Before").removesuffix("After")]), value
            return (its[:10] < moment[:10]) if name.endswith("Before") else (its[:10] >= moment[:10])
        return bool(value.split()) and {FOLDED[one] for one in value.split()} <= words_of(draft, name)


CONDITIONS = {
    "inAddressBook": st.integers(0, 1),
    "hasMember": st.sampled_from(UIDS),
    "kind": st.sampled_from([kind for kind in KINDS if kind]),
    **{name: STAMP.map(stamp) for name in ("createdBefore", "createdAfter", "updatedBefore", "updatedAfter")},
    **{name: st.lists(WORD, min_size=1, max_size=2).map(" ".join) for name in ("text", *TEXTS)},
}
LEAVES = st.lists(st.sampled_from(sorted(CONDITIONS)), max_size=2, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: CONDITIONS[name] for name in names})
)
FILTERS = st.none() | st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries(
        {"operator": st.sampled_from(["AND", "OR", "NOT"]), "conditions": st.lists(inner, max_size=3)}
    ),
    max_leaves=4,
)
SORTS = st.none() | st.lists(
    st.fixed_dictionaries(
        {"property": st.sampled_from(["created", "updated", "name/given", "name/surname", "name/surname2"])},
        optional={"isAscending": st.booleans()},
    ),
    max_size=3,
    unique_by=lambda one: one["property"],
)
