"""What vCard 3.0 (RFC 2426) and well-known programs call things: the tables by which they are read and written.

`vcardquirks` makes vCard 4.0 of it by these tables, `vcardclassic` makes it of vCard 4.0 again. Must not know a card.
"""

from collections.abc import Mapping
from typing import Final

from minijmap.contacts.vcardconvert import RELATIONS

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    **{name: f"image/{name}" for name in ("png", "gif", "webp", "heic", "avif", "tiff", "bmp")},
    "svg": "image/svg+xml",
    "wave": "audio/wav",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "basic": "audio/basic",
    "aiff": "audio/aiff",
    "ogg": "audio/ogg",
    "pcm": "audio/pcm",
    "pgp": "application/pgp-keys",
    "x509": "application/pkix-cert",
}
"""What a TYPE of 3.0 says a file is. Of several that say the same, the first is written."""

SERVICES: Final[Mapping[str, str]] = {
    "X-AIM": "AIM",
    "X-ICQ": "ICQ",
    "X-JABBER": "Jabber",
    "X-MSN": "MSN",
    "X-YAHOO": "Yahoo",
    "X-SKYPE": "Skype",
    "X-SKYPE-USERNAME": "Skype",
    "X-GOOGLE-TALK": "Google Talk",
    "X-GTALK": "Google Talk",
    "X-QQ": "QQ",
    "X-GADUGADU": "Gadu-Gadu",
    "X-GROUPWISE": "GroupWise",
    "X-TWITTER": "Twitter",
    "X-MATRIX": "Matrix",
    "X-TELEGRAM": "Telegram",
    "X-SIGNAL": "Signal",
}
"""The service for which a property says who somebody is there. Of several for one, the first is written."""

PHONETIC: Final[Mapping[str, int]] = {
    "X-PHONETIC-LAST-NAME": 0,
    "X-PHONETIC-FIRST-NAME": 1,
    "X-PHONETIC-MIDDLE-NAME": 2,
}
"""Properties that say how a component of N is pronounced, and which."""

# What Apple's programs have with a label of their own or anybody's (X-ABDATE, X-ABRELATEDNAMES and X-ABLabel)

DATES: Final[Mapping[str, str]] = {"anniversary": "ANNIVERSARY", "death": "DEATHDATE"}
"""The property that a labelled date is, by its label."""

RELATION_LABELS: Final[Mapping[str, str]] = {
    **{relation: relation for relation in RELATIONS},
    "sweetheart": "partner",
    "agent": "assistant",
    "": "other",
}
"""The label that a TYPE of RELATED has; that of no TYPE at all is under the empty text."""

RELATED: Final[Mapping[str, str]] = {
    **{relation: relation for relation in RELATIONS},
    **{label: relation for relation, label in RELATION_LABELS.items()},
    **dict.fromkeys(("mother", "father"), "parent"),
    **dict.fromkeys(("brother", "sister"), "sibling"),
    **dict.fromkeys(("son", "daughter"), "child"),
    **dict.fromkeys(("husband", "wife"), "spouse"),
}
"""The TYPE of RELATED that a label is."""

APPLES_LABELS: Final = frozenset(
    (
        *("anniversary", "assistant", "brother", "child", "daughter", "father", "friend", "manager", "mother", "other"),
        *("parent", "partner", "sister", "son", "spouse"),
    )
)
"""Labels that Apple's programs have in every language."""

# What other programs have beside it: Outlook (X-MS-…), Evolution and KDE's

ALSO_DATES: Final[Mapping[str, str]] = dict.fromkeys(
    ("X-ANNIVERSARY", "X-MS-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY"), "ANNIVERSARY"
)
ALSO_RELATED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("X-SPOUSE", "X-MS-SPOUSE", "X-EVOLUTION-SPOUSE"), "spouse"),
    "X-MS-CHILD": "child",
    **dict.fromkeys(("X-ASSISTANT", "X-MS-ASSISTANT", "X-EVOLUTION-ASSISTANT"), "assistant"),
    **dict.fromkeys(("X-MANAGER", "X-MS-MANAGER", "X-EVOLUTION-MANAGER"), "manager"),
}
"""The label of the relative that a property names."""
