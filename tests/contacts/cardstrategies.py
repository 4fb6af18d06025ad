"""Cards for hypothesis, made of the tables of `jscontact`: a member that is declared there is tried out by itself.

Every text may hold what vCard escapes, can't have or folds. A Card that is drawn is valid: what a rule refuses is taken
out again.
"""

import datetime as dt
import json

from hypothesis import assume
from hypothesis import strategies as st

from minijmap.contacts import jscontact, jscontactrules
from minijmap.contacts.jscontact import ADDRESS, CARD, NAME, check_card
from minijmap.jmap import values
from minijmap.jmap.objects import TYPE, Enumerated, OneOf, Pattern, TypedObject, UTCDateTime
from minijmap.jmap.values import ValueProblem

# RFC 7493 §2.1: JSON that comes from outside has none of these
NONCHARACTERS = "".join(
    map(chr, [*range(0xFDD0, 0xFDF0), *(16**4 * plane + last for plane in range(17) for last in (0xFFFE, 0xFFFF))])
)
AWKWARD = (
    *(
        "",
        " ",
        "\n",
        "\r\n",
        "\\",
        "\\n",
        "a\\,b;c",
        '"',
        "^n",
        "^'",
        "^^",
        "a:b",
        ",;:",
        "urn:uuid:1",
        "x;y,z",
        " lead",
        "trail ",
    ),
    *(
        "tab\there",
        "\x01\x1f",
        "\x7f",
        "\x85\u2028\u2029",
        "\ufeff",
        "🙂👩‍👩‍👧",
        "שלום, עולם",
        "e\u0301",
        "long " * 40,
        "é" * 90,
    ),
    *(
        "group",
        "true",
        "null",
        "1",
        "-0500",
        "Etc/UTC",
        "20000101",
        "data:,x",
        "tel:+1-555",
        "Jr.",
        "0,1",
        "s,;",
        "~0/~1",
        "=3D",
        "  ",
    ),
)
TEXTS = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(st.sampled_from(",;:\\\"^n\n\r'/~ .Aé🙂"), max_size=8),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters=NONCHARACTERS), max_size=10),
)
URIS = st.sampled_from(
    (
        *(
            "https://example.com/a,b;c?d=e#f",
            "urn:uuid:03a0e51f-d1aa-4385-8a53-e29025acd8af",
            "mailto:a%40b@example.com",
            "data:,",
        ),
        *(
            "data:image/png;base64,iVBORw0KGgo=",
            "xmpp:alice@example.com",
            "geo:1.5,-2",
            "tel:+1-555;ext=5",
            "A:",
            "x-a+b.c:%20%0A",
            "http:n",
        ),
    )
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
LANGUAGES = st.sampled_from(("en", "de-AT", "EN", "zh-Hant", "jp", "yue", "x-y", "de-at", "fr"))
UNKNOWN_NAMES = st.sampled_from(
    ("example.com:foo", "example.com:a/b~c", "someUnknown", "a.b:\t", "x.y:é\x85", "ext@1", "a:vCardProps")
)
GROUPS = ("item1", "g", "", "A b", "ITEM1")
JCARD_NAMES = st.sampled_from(
    (
        "x-foo",
        "X-Foo",
        "gender",
        "xml",
        "tel",
        "fn",
        "n",
        "uid",
        "kind",
        "categories",
        "version",
        "end",
        "jsprop",
        "clientpidmap",
        "bday",
        "adr",
        "note",
        "x-ablabel",
        "b d",
        "",
    )
)
PARAMETER_NAMES = st.sampled_from(
    (
        "x-a",
        "X-A",
        "group",
        "type",
        "language",
        "altid",
        "pid",
        "pref",
        "value",
        "prop-id",
        "sort-as",
        "derived",
        "phonetic",
        "jscomps",
        "label",
        "a b",
        "",
        "encoding",
        "charset",
    )
)
JCARD_TYPES = st.sampled_from(
    (
        "text",
        "uri",
        "unknown",
        "integer",
        "boolean",
        "float",
        "date-and-or-time",
        "timestamp",
        "utc-offset",
        "x-type",
        "URI",
        "",
    )
)


def parameters():
    """Some vCardParams (RFC 9555 §2.15.2)."""
    groups = st.fixed_dictionaries({"group": st.sampled_from(GROUPS)})
    return groups | st.dictionaries(PARAMETER_NAMES, TEXTS | st.lists(TEXTS, max_size=3), max_size=2)


def jcard_properties():
    """A property of vCardProps (RFC 9555 §2.15.1)."""
    value = TEXTS | JSON | st.lists(TEXTS | st.lists(TEXTS, max_size=2), max_size=4)
    return st.tuples(JCARD_NAMES, parameters(), JCARD_TYPES, st.lists(value, min_size=1, max_size=2)).map(
        lambda one: [*one[:3], *one[3]]
    )


def mailboxes():
    """An addr-spec."""
    return st.sampled_from(
        ("jane@example.com", '"a;b,c\\\\"@example.com', "müller@bücher.example", "a'b=c@[192.0.2.1]", "x^n@y")
    )


def moments():
    """A UTCDateTime."""
    times = st.datetimes(min_value=dt.datetime(1000, 1, 1)).map(  # noqa: DTZ001 - Z is written after it
        lambda one: one.replace(microsecond=0).isoformat() + "Z"
    )
    return times | st.just("2010-10-10T10:10:10.003Z")


def of_pattern(kind):
    """A string of a Pattern: the wide ones by example, the narrow ones by their expression."""
    chosen = {id(jscontact.URI): URIS, id(jscontact.LANGUAGE): LANGUAGES}.get(id(kind))
    if chosen is None and kind is jscontactrules.GEO:
        chosen = st.sampled_from(("geo:1,2", "GEO:1.25,-3,4;crs=wgs84;u=35", "geo:0,0;x=a,b"))
    return (
        st.from_regex(kind.pattern, fullmatch=True).filter(lambda text: len(text) < 300) if chosen is None else chosen
    )


def of(kind):
    """The strategy of a kind of values."""
    if kind in _MADE:
        return _MADE[kind]
    return next(make(kind) for types, make in MAKERS if isinstance(kind, types))


_MADE = {}
MAKERS = (
    (TypedObject, lambda kind: objects(kind)),  # noqa: PLW0108 - objects comes further down
    (OneOf, lambda kind: st.one_of([objects(one, typed=one is not kind.default) for one in kind.types.values()])),
    (Enumerated, lambda kind: st.sampled_from((*sorted(kind.values), "example.com:x;y,z"))),
    (UTCDateTime, lambda _: moments()),
    (values.Boolean, lambda _: st.booleans()),
    (values.TrueOnly, lambda _: st.just(True)),
    (values.Int, lambda kind: st.integers(max(kind.least, -3), min(kind.most, 120))),
    (values.Id, lambda _: st.sampled_from(("Gblob", "b_1-2"))),
    (values.String, lambda kind: TEXTS.filter(lambda text: len(text) >= kind.least) | URIS),
    (values.MapOf, lambda kind: st.dictionaries(of(kind.key), of(kind.value), max_size=3)),
    (values.ListOf, lambda kind: st.lists(of(kind.kind), max_size=4)),
    (jscontactrules.AddrSpec, lambda _: mailboxes()),
    (
        jscontactrules.TimeZone,
        lambda _: st.sampled_from(("Europe/Vienna", "Etc/UTC", "Etc/GMT+5", "America/Argentina/Ushuaia", "EST5EDT")),
    ),
    (
        jscontactrules.CalendarScale,
        lambda _: st.sampled_from(("gregorian", "japanese", "islamic-umalqura", "example.com:x")),
    ),
    (jscontactrules.StringOrStrings, lambda _: TEXTS | st.lists(TEXTS, max_size=3)),
    (jscontactrules.NotEmpty, lambda kind: st.lists(of(kind.kind.kind), min_size=1, max_size=3)),
    (jscontactrules.JCardProp, lambda _: jcard_properties()),
    (Pattern, of_pattern),
    (values.Anything, lambda _: JSON),
)
EVERYWHERE = {
    "vCardParams": parameters(),
    "vCardName": st.sampled_from(("impp", "IMPP", "socialprofile", "x-foo", "tel")),
}


@st.composite
def objects(draw, kind, *, typed=False, leave_out=()):
    """An object of a type, with members of its own, now and then some that no table knows, and its `@type`."""
    made = {TYPE: kind.name_of_type} if typed or draw(st.integers(0, 5)) == 0 else {}
    for name, member in kind.members.items():
        if name == TYPE or name in leave_out:
            continue
        if name in EVERYWHERE:
            if draw(st.integers(0, 7)) == 0:
                made[name] = draw(EVERYWHERE[name])
        elif member.mandatory or draw(st.integers(0, 2 if kind is not CARD else 5)) == 0:
            made[name] = draw(of(member.kind))
    if draw(st.integers(0, 11)) == 0:
        made[draw(UNKNOWN_NAMES)] = draw(JSON)
    return mended(kind, made)


def mended(kind, made):
    """The object without what its type's rules refuse."""
    if kind in (NAME, ADDRESS):
        _mend_components(made)
    for _ in range(20):
        try:
            kind.check_whole(made)
        except ValueProblem as problem:
            place = problem.path.split("/")[0] or "uri"
            assume(place in made and not kind.members[place].mandatory)
            del made[place]
        else:
            return made
    assume(False)
    return made


def _mend_components(made):
    kept = []
    for one in made.get("components") or ():
        if not (kept and one["kind"] == kept[-1]["kind"] == "separator"):
            kept.append(one)
    if not any(one["kind"] != "separator" for one in kept):
        made.pop("components", None)
        return
    made["components"] = kept
    if "defaultSeparator" in made or any(one["kind"] == "separator" for one in kept):
        made["isOrdered"] = True
    if any("phonetic" in one for one in kept) and "phoneticScript" not in made:
        made.setdefault("phoneticSystem", "piny")
    if "sortAs" in made:
        kinds = {one["kind"] for one in kept}
        made["sortAs"] = {name: text for name, text in made["sortAs"].items() if name in kinds}


@st.composite
def patches(draw, card):
    """A PatchObject of `localizations` that can be applied to a Card."""
    patch = {}
    for _ in range(draw(st.integers(1, 4))):
        path, kind, value = [], CARD, card
        while True:
            inside = (
                list(value)
                if isinstance(value, dict)
                else list(map(str, range(len(value))))
                if isinstance(value, list)
                else []
            )
            inside = [name for name in inside if name not in (TYPE, "uid", "version", "localizations")]
            if not inside or (path and draw(st.booleans())):
                break
            name = draw(st.sampled_from(sorted(inside)))
            kind = kind.inside(name, value)
            value = value[int(name)] if isinstance(value, list) else value[name]
            path.append(name)
        if path:
            key = "/".join(values.token(one) for one in path)
            patch[key] = draw(st.none() | of(kind)) if type(kind) is not values.Anything else draw(JSON)
    members = sorted(
        name for name in CARD.members if name in card and isinstance(CARD.members[name].kind, values.MapOf)
    )
    if members and draw(st.booleans()):
        name = draw(st.sampled_from(members))
        kind = CARD.members[name].kind
        patch["/".join((name, values.token(draw(of(kind.key)))))] = draw(of(kind.value))
    return patch


@st.composite
def cards(draw, *, localized=True):
    """A valid Card."""
    card = draw(objects(CARD, typed=True, leave_out=("localizations",)))
    card = {**card, "version": jscontact.VERSION}
    if localized and draw(st.booleans()):
        for language in draw(st.lists(LANGUAGES, max_size=2, unique=True)):
            patch = draw(patches(card))
            trial = {**card, "localizations": {**card.get("localizations", {}), language: patch}}
            if _is_valid(trial):
                card = trial
    assume(_is_valid(card))
    return json.loads(json.dumps(card))


def _is_valid(card):
    try:
        check_card(card)
    except ValueProblem:
        return False
    return True
