"""Mail data: from the 354 reply to the line with a single dot (RFC 5321 §4.1.1.4, §4.5.2).

Owns where the data ends and what the dots before that mean. Only CRLF.CRLF ends it: a bare LF or CR, in whatever
company, is an octet of the message and is kept like every other. So nobody can hide a second message in a first one by
line ends that two servers read differently. Must not know what the data holds.
"""

from asyncio import LimitOverrunError, StreamReader
from collections.abc import Callable

END = b"\r\n.\r\n"


class TooMuch(Exception):
    """The data never seems to end: so far past the limit that reading on is not worth it."""


async def receive(reader: StreamReader, take: Callable[[int], bool], overrun: int) -> bytes | None:
    """Read mail data up to its end and return the message in it, the transparency dots removed.

    `take(octets)` is asked before a piece is kept; once it says no, nothing is kept, but the rest is still read, so
    that the client hears the refusal where it waits for it. Then the result is None. More than `overrun` octets of
    such useless data raise TooMuch. A connection that ends before the data does raises IncompleteReadError.
    """
    # RFC 5321 §4.1.1.4: the first CRLF of the end may be the one that ended the DATA command. StreamReader has no
    # public way to put octets back, and reading bit by bit until the end can't begin here is slow for hostile data.
    reader._buffer[:0] = b"\r\n"  # type: ignore[attr-defined]  # noqa: SLF001
    pieces: list[bytes] | None = []
    wasted, ended = 0, False
    while not ended:
        piece, ended = await _piece(reader)
        if pieces is not None and take(len(piece)):
            pieces.append(piece)
            continue
        pieces = None
        wasted += len(piece)
        if wasted > overrun:
            raise TooMuch
    return None if pieces is None else message_in(b"".join(pieces))


async def _piece(reader: StreamReader) -> tuple[bytes, bool]:
    """Read what there is, at most to the end of the data, and say whether that is reached."""
    try:
        return await reader.readuntil(END), True
    except LimitOverrunError as full:
        # The octets that could be the beginning of the end stay in the reader.
        return await reader.readexactly(full.consumed), False


def message_in(data: bytes) -> bytes:
    """Return the message in mail data that goes from the CRLF after DATA to the end of the line with the dot."""
    # RFC 5321 §4.5.2: a line's first dot goes. The end's own line goes with it, the CRLF before it is the message's.
    return data.removesuffix(b".\r\n").replace(b"\r\n.", b"\r\n")[2:]
