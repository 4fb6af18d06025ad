"""Keywords: their syntax, and the two that the server knows the truth of (RFC 8621 §4.1.1, RFC 9979).

All others mean what clients make of them. `$hasattachment` and `$hasnoattachment` are set when mail arrives, and
never contradict the property `hasAttachment`, which “MUST reflect the same information” (RFC 9979 §4.1).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from minijmap.jmap.errors import invalid_properties
from minijmap.jmap.values import Kind, MapOf, TrueOnly, ValueProblem

SYNTAX = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,255}\Z")
HAS, HAS_NOT = "$hasattachment", "$hasnoattachment"


class Keyword(Kind):
    r"""A keyword: 1-255 visible ASCII characters, but for ( ) { ] % * " and \, in lower case (RFC 8621 §4.1.1)."""

    name = "a keyword"

    def check(self, value: Any) -> str:
        """Return it in lower case."""
        if not isinstance(value, str) or not SYNTAX.match(value):
            raise ValueProblem('must be 1 to 255 visible ASCII characters without ( ) { ] % * " \\')
        return value.lower()


KEYWORDS = MapOf(Keyword(), TrueOnly())


def of_arrival(has_attachment: bool) -> str:
    """Return the keyword that tells of a message that arrives whether it has an attachment."""
    return HAS if has_attachment else HAS_NOT


def aligned(keywords: Iterable[str], has_attachment: bool) -> list[str]:
    """Return the keywords of a message from elsewhere, with the truth about attachments if they speak of them."""
    known = list(keywords)
    told = [of_arrival(has_attachment)] if HAS in known or HAS_NOT in known else []
    return [*(one for one in known if one not in (HAS, HAS_NOT)), *told]


def check_truth(keywords: Mapping[str, Any], has_attachment: bool) -> None:
    """Raise SetError for keywords that say what is not so."""
    wrong = HAS_NOT if has_attachment else HAS
    if wrong in keywords:
        raise invalid_properties(f"“{wrong}” contradicts the message.", "keywords")
