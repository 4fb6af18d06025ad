"""BER made definite: a CMS object in the one form that a parser has to know (X.690 §8.1.3, §8.7.3.2).

CMS may come with indefinite lengths and with an OCTET STRING in pieces (RFC 5652 §4); mail programs that sign while
they read write both. This puts every length definite and every OCTET STRING in one piece, in one bounded pass; what is
in that form already comes out octet for octet. Knows no type of CMS.
"""

from typing import Final

MOST_ELEMENTS: Final = 200_000
"""Elements of one object that are looked at: a signature has some hundred, an opaque message one in each kilobyte."""
DEEPEST: Final = 40
_END: Final = b"\0\0"
_CONSTRUCTED: Final = 0x20
_OCTET_STRING: Final = 0x04


class NotBER(ValueError):
    """The octets are no BER, or beyond the limits."""


def definite(octets: bytes) -> bytes:
    """Return the first element of the octets in definite form. Raises NotBER."""
    return _Pass(octets).element(0, len(octets), 0)[0]


def encoded(tag: bytes, content: bytes) -> bytes:
    """Return an element with a definite length."""
    length = len(content)
    if length < 0x80:
        return tag + bytes((length,)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return tag + bytes((0x80 | len(size),)) + size + content


class _Pass:
    """One pass over an object. `octets` are copied only where they change."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.left = MOST_ELEMENTS

    def element(self, start: int, end: int, depth: int) -> tuple[bytes, int, bool]:
        """Return the element at `start` in definite form, where the next one begins, and whether it has changed."""
        self.left -= 1
        if self.left < 0 or depth > DEEPEST:
            raise NotBER("there are too many elements, or they are nested too deeply")
        tag, position = self._tag(start, end)
        length, content = self._length(position, end)
        is_constructed = bool(tag[0] & _CONSTRUCTED)
        if length is not None:
            after = content + length
            if after > end:
                raise NotBER("an element is longer than what it is in")
            if not is_constructed:
                return self.octets[start:after], after, False
            children, changed, _ = self._children(content, after, depth)
        elif is_constructed:
            children, _, after = self._children(content, None, depth, end)
            changed = True
        else:
            raise NotBER("only what consists of elements may be of indefinite length")
        if tag[0] & 0xDF == _OCTET_STRING:
            return encoded(bytes((_OCTET_STRING,)), b"".join(map(_content_of, children))), after, True
        if not changed:
            return self.octets[start:after], after, False
        return encoded(tag, b"".join(children)), after, True

    def _children(self, start: int, stop: int | None, depth: int, end: int = 0) -> tuple[list[bytes], bool, int]:
        """Return the elements from `start` to `stop`, or up to the end-of-contents octets and behind them."""
        children: list[bytes] = []
        changed, position, limit = False, start, end if stop is None else stop
        while position < limit:
            if stop is None and self.octets.startswith(_END, position):
                return children, True, position + len(_END)
            child, position, its_changed = self.element(position, limit, depth + 1)
            children.append(child)
            changed = changed or its_changed
        if stop is None:
            raise NotBER("an element of indefinite length has no end")
        return children, changed, position

    def _tag(self, start: int, end: int) -> tuple[bytes, int]:
        position = start + 1
        if start < end and self.octets[start] & 0x1F == 0x1F:
            while position < end and self.octets[position] & 0x80 and position - start < 6:
                position += 1
            position += 1
        if position >= end:
            raise NotBER("an element has no length")
        return self.octets[start:position], position

    def _length(self, position: int, end: int) -> tuple[int | None, int]:
        first = self.octets[position]
        if first < 0x80:
            return first, position + 1
        if first == 0x80:
            return None, position + 1
        size = first & 0x7F
        if size > 8 or position + 1 + size > end:
            raise NotBER("the length of an element can't be read")
        return int.from_bytes(self.octets[position + 1 : position + 1 + size]), position + 1 + size


def _content_of(element: bytes) -> bytes:
    """Return what is in a piece of an OCTET STRING, which is an OCTET STRING in definite form itself."""
    if element[0] != _OCTET_STRING:
        raise NotBER("a piece of an OCTET STRING is none itself")
    first = element[1]
    return element[2:] if first < 0x80 else element[2 + (first & 0x7F) :]
