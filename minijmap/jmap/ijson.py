"""Reading I-JSON: RFC 7493, as RFC 8620 §1.5 and §3.6.1 (`notJSON`) require it of a request.

Holds `loads`, the one door through which JSON from outside becomes Python values, and the error it raises.
It must not know what a request, a method or an HTTP answer is: whoever calls it turns `NotIJson` into `notJSON`.

The standard library's C scanner does the work. What it lets through (duplicate names, lone surrogates, NaN, numbers no
double can hold, nesting up to a RecursionError) is refused by hooks or by cheap searches over the octets, and the
costlier looks are taken only where such a search finds a reason.
"""

import json
import re
from itertools import accumulate
from typing import Any

MAX_DEPTH = 128
"""Arrays and objects inside one another that a document may have, unless `loads` is told otherwise."""

_SHOWN = 60  # Characters of foreign text repeated in a sentence.
_DOUBLE_DIGITS = 309  # The largest finite double, written as an integer.
_LEAST_64, _MOST_64 = -(2**63), 2**64 - 1  # What can be written out again as an integer.
_SURE_DIGITS = 19  # Fewer are surely within 64 bits.

_NOT_BRACKETS = bytes(octet for octet in range(256) if octet not in b"[]{}")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

# Escapes that may spell a surrogate or a noncharacter.
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:[dD][89a-fA-F]|[fF][dD][deDE]|[fF]{3}[efEF])")
# The UTF-8 forms of U+FDD0 to U+FDEF and of the last two code points of every plane.
_NONCHARACTER = re.compile(
    rb"\xef\xb7[\x90-\xaf]|\xef\xbf[\xbe\xbf]|[\xf0-\xf4][\x8f\x9f\xaf\xbf]\xbf[\xbe\xbf]",
)
_NONCHARACTER_PIECES = (b"\xef\xb7", b"\xbf\xbe", b"\xbf\xbf")


class NotIJson(ValueError):
    """The octets are not an I-JSON message.

    `sentence` says why, for a person; `position` is the offset of the fault where it is known cheaply: in octets
    when the fault is in the UTF-8, else in characters.
    """

    def __init__(self, sentence: str, position: int | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.position = position


def loads(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """The value of the I-JSON message `data`: dict, list, str, int, float, bool or None.

    Integers of 64 bits are exact, larger ones are doubles as RFC 7493 §2.2 has every number; RFC 8620 §1.3's narrower
    range is a matter of the argument's type. `data` is bounded by the caller (`maxSizeRequest`); the time taken is
    linear in its length.
    Raises NotIJson for anything that RFC 7493 §2 does not allow, and for nesting deeper than `max_depth`.
    """
    # The number of openings is a bound for the depth, and nearly always a sufficient one.
    if data.count(b"[") + data.count(b"{") > max_depth and _depth(data) > max_depth:
        raise _too_deep(max_depth)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        # RFC 7493 §2.1. The decoder refuses surrogates and overlong forms too.
        raise NotIJson(f"Not UTF-8 at octet {error.start}: {error.reason}.", error.start) from None
    if text.startswith("\ufeff"):
        raise NotIJson("A byte order mark is not part of JSON.", 0)  # RFC 8259 §8.1
    try:
        value = _DECODER.decode(text)
        if _is_suspect(data, text):
            _check_characters(value)
    except json.JSONDecodeError as error:
        sentence = f"{error.msg} at line {error.lineno}, column {error.colno}."
        raise NotIJson(sentence, error.pos) from None
    except RecursionError:
        # Only where a caller asks for more depth than the interpreter has left.
        raise _too_deep(max_depth) from None
    return value


def _too_deep(max_depth: int) -> NotIJson:
    return NotIJson(f"Arrays and objects are nested more than {max_depth} deep.")


def _depth(data: bytes) -> int:
    """The deepest nesting of brackets outside strings. Right up to the first fault, if the text has one."""
    # Escaped backslashes go first: what precedes a quote then tells whether it ends its string.
    unescaped = data.replace(rb"\\", b"").replace(rb"\"", b"")
    brackets = b"".join(unescaped.split(b'"')[::2]).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _is_suspect(data: bytes, text: str) -> bool:
    """Whether some string may hold a lone surrogate or a noncharacter; false is certain, true is not."""
    if b"\\u" in data and _SUSPECT_ESCAPE.search(data):
        return True
    return not text.isascii() and any(piece in data for piece in _NONCHARACTER_PIECES)


def _check_characters(value: Any) -> None:
    """Refuse surrogates and noncharacters in names and strings, however they were spelled (RFC 7493 §2.1)."""
    try:
        # Written out again, every name and string of the value is searched in two passes of C.
        octets = _ENCODER.encode(value).encode()
    except UnicodeEncodeError as error:
        surrogate = ord(error.object[error.start])
        raise NotIJson(f"A string holds the unpaired surrogate U+{surrogate:04X}.") from None
    found = _NONCHARACTER.search(octets)
    if found:
        raise NotIJson(f"A string holds the noncharacter U+{ord(found[0].decode()):04X}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different (RFC 7493 §2.3)."""
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotIJson(f"An object has the member {name[:_SHOWN]!a} twice.")
            seen.add(name)
    return members


def _integer(digits: str) -> int | float:
    """An integer no larger than a double (RFC 7493 §2.2); its length is looked at before it is converted."""
    if len(digits) < _SURE_DIGITS:
        return int(digits)
    if len(digits) >= _DOUBLE_DIGITS and (
        len(digits) > _DOUBLE_DIGITS + 1 or float(digits) in (float("inf"), float("-inf"))
    ):
        raise _too_large(digits)
    number = int(digits)
    return number if _LEAST_64 <= number <= _MOST_64 else float(number)


def _real(digits: str) -> float:
    """A number with a fraction or an exponent that a double can hold (RFC 7493 §2.2)."""
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _too_large(digits)
    return number


def _too_large(digits: str) -> NotIJson:
    return NotIJson(f"The number {digits[:_SHOWN]} is larger than a double can hold.")


def _constant(name: str) -> Any:
    """NaN and the infinities, which the standard library would take."""
    raise NotIJson(f"{name} is not a JSON value.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_real,
    parse_constant=_constant,
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False)
