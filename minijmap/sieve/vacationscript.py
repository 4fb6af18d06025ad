"""The VacationResponse written as a Sieve script: what a client is shown that looks at it as one (RFC 9661 §4).

Owns that text, and the texts of a VacationResponse that leaves some out (RFC 8621 §8). The script says what is done and
would do the same if it were run; what is run is the VacationResponse itself (see `replies`).
"""

import re
import secrets
from collections.abc import Callable
from typing import Final

from minijmap.jmap import dates
from minijmap.mail import text as texts
from minijmap.mail.composebody import encode_octets
from minijmap.mail.vacation import VacationResponse

DAYS: Final = 7
"""How long nobody is answered twice: what RFC 5230 §4.1 has as the default."""
DEFAULT_TEXT: Final = "I am away at the moment, and will answer your message when I am back."
MOST_TEXT: Final = 100_000
"""Characters of a text that is made from HTML."""
MADE_FROM: Final = "# Made from the VacationResponse, which is where it can be changed."
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_STUFFED: Final = re.compile(r"^\.", re.MULTILINE)


def source(response: VacationResponse) -> bytes:
    """Return a script that does what a VacationResponse is set to do."""
    wanted = ["vacation"]
    conditions = [
        f'currentdate :zone "+0000" :value "{relation}" "iso8601" {_quoted(dates.format_utc_date(at)[:-1] + "+00:00")}'
        for relation, at in (("ge", response.from_date), ("lt", response.to_date))
        if at is not None
    ]
    if conditions:
        wanted += ["date", "relational"]
    subject = "" if response.subject is None else f" :subject {_quoted(response.subject)}"
    # The boundary is the same every time: the same settings have the same script.
    content = entity(response, lambda: "vacation-response").decode()
    lines = [MADE_FROM]
    lines.append(f"require [{', '.join(_quoted(one) for one in wanted)}];")
    action = f"vacation :days {DAYS}{subject} :mime text:\r\n{_STUFFED.sub('..', content)}\r\n.\r\n;"
    if response.html_body is None:
        plain = _LINE_END.sub("\r\n", _plain(response))
        action = f"vacation :days {DAYS}{subject} text:\r\n{_STUFFED.sub('..', plain)}\r\n.\r\n;"
    if conditions:
        test = conditions[0] if len(conditions) == 1 else f"allof({', '.join(conditions)})"
        lines += [f"if {test} {{", action, "}"]
    else:
        lines.append(action)
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "replace")


def is_made(content: bytes) -> bool:
    """Say whether a script was made from a VacationResponse."""
    return content.startswith(MADE_FROM.encode())


def entity(response: VacationResponse, token: Callable[[], str] = lambda: secrets.token_hex(16)) -> bytes:
    """Return the MIME entity that is answered: a text, with HTML as its alternative if there is any."""
    plain = _part("text/plain", _plain(response))
    if response.html_body is None:
        return plain
    boundary = f"=_{token()}"
    head = f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
    parts = [plain, _part("text/html", response.html_body)]
    delimited = [f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts]
    return b"".join([head.encode(), *delimited, f"--{boundary}--\r\n".encode()])


def _plain(response: VacationResponse) -> str:
    """Return the text, made from the HTML or of our own where none is given (RFC 8621 §8, textBody)."""
    if response.text_body is not None:
        return response.text_body
    if response.html_body is not None:
        return texts.html_to_text(response.html_body, MOST_TEXT)
    return DEFAULT_TEXT


def _part(media_type: str, text: str) -> bytes:
    encoded = encode_octets(_LINE_END.sub("\r\n", text).encode("utf-8", "replace"))
    head = f"Content-Type: {media_type}; charset=utf-8\r\nContent-Transfer-Encoding: {encoded.encoding}\r\n\r\n"
    return head.encode() + encoded.body


def _quoted(text: str) -> str:
    """Return a quoted string of Sieve (RFC 5228 §2.4.2)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
