"""The download resource (RFC 8620 §6.2): a blob's octets, under the type and the name that the URL asks for.

Owns what makes foreign octets harmless in a browser, ranges (RFC 9110 §14) and the name's encoding (RFC 6266, RFC
8187). Must not know what the octets mean.
"""

import re
from urllib.parse import quote

from flask import Response, request

from minijmap.http.front import Front, account_of
from minijmap.http.problems import Problem
from minijmap.store import blobs

DEFAULT_TYPE = "application/octet-stream"
MOST_NAME = 255
MOST_TYPE = 255
# RFC 8620 §6.2: a blob never changes, and neither does what its URL gives.
CACHE = "private, immutable, max-age=31536000"
_TYPE = re.compile(r"[ -~]{1,255}")
_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)
_ATTR_CHAR = "!#$&+-.^_`|~"
"""What RFC 8187 §3.2.1 leaves unencoded beside letters and digits."""


def get_download(front: Front, account_id: str, blob_id: str, name: str) -> Response:
    """Answer GET and HEAD."""
    access = account_of(front.login(), account_id)
    media_type = request.args.get("type", "") or DEFAULT_TYPE
    if not _TYPE.fullmatch(media_type):
        raise Problem(400, "The “type” of the URL can't be a Content-Type.")
    with front.engine.database.read() as reader:
        octets = blobs.open_blob(reader, access.account, blob_id)
    if octets is None:
        raise Problem(404, "This account has no blob with this id.")
    headers = {
        "Cache-Control": CACHE,
        "ETag": f'"{blob_id}"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(name),
        # Whatever it is, it is shown as what the client said, and runs nothing with our origin's rights.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return _answer(octets, media_type, headers)


def _answer(octets: bytes, media_type: str, headers: dict[str, str]) -> Response:
    etag = headers["ETag"]
    if _names(request.headers.get("If-None-Match", ""), etag):
        return Response(b"", 304, headers)
    wanted = request.headers.get("Range", "")
    condition = request.headers.get("If-Range")
    # RFC 9110 §14.2: a Range means something for GET alone; §13.1.5: and only for the representation it was made for.
    if request.method == "GET" and wanted and condition in {None, etag}:
        part = parse_range(wanted, len(octets))
        if part is not None:
            if not part:
                headers["Content-Range"] = f"bytes */{len(octets)}"
                raise Problem(416, "The blob has no such range.", {"Content-Range": headers["Content-Range"]})
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(octets)}"
            return Response(octets[part.start : part.stop], 206, headers, content_type=media_type)
    return Response(octets, 200, headers, content_type=media_type)


def _names(if_none_match: str, etag: str) -> bool:
    """Say whether an If-None-Match value names the tag, compared weakly (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def parse_range(header: str, length: int) -> range | None:
    """Read a Range header of one range (RFC 9110 §14.1.2): empty when nothing of it exists, None to ignore it.

    Several ranges are ignored, which is allowed, rather than answered in parts.
    """
    found = _RANGE.fullmatch(header)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return range(max(length - int(found[2]), 0), length)
    first = int(found[1])
    last = min(int(found[2]), length - 1) if found[2] else length - 1
    if found[2] and int(found[2]) < first:
        return None
    return range(first, last + 1)


def disposition(name: str) -> str:
    """Return a Content-Disposition that saves under `name`, whatever characters it has (RFC 6266 §4.3)."""
    name = name[:MOST_NAME]
    if not name:
        return "attachment"
    plain = "".join(char if " " <= char <= "~" else "_" for char in name)
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    if plain == name and "%" not in name:
        return f'attachment; filename="{quoted}"'
    encoded = quote(name, safe=_ATTR_CHAR, encoding="utf-8", errors="replace")
    return f"attachment; filename=\"{quoted}\"; filename*=UTF-8''{encoded}"
