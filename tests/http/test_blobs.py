"""Upload and download (RFC 8620 §6.1, §6.2): exact octets, types, names and limits."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.http.download import disposition, parse_range
from minijmap.jmap.engine import Limits
from minijmap.store import blobs, usage
from minijmap.store.accounts import add_user


def upload(site, octets, **headers):
    """Upload, and return the answer's object."""
    answer = site.ask("POST", "/jmap/upload/a1", octets, **headers)
    assert answer.status == 201
    return answer.json()


def test_upload_and_download(site):
    """What goes in comes out, under the id that was given."""
    octets = bytes(range(256)) * 100
    blob = upload(site, octets, Content_Type="image/png")
    assert blob == {"accountId": "a1", "blobId": blob["blobId"], "type": "image/png", "size": 25_600}
    assert blob["blobId"][0].isalpha()
    answer = site.ask("GET", f"/jmap/download/a1/{blob['blobId']}/picture.png?type=image/png")
    assert (answer.status, answer.body) == (200, octets)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="picture.png"'
    assert answer.headers["Cache-Control"] == "private, immutable, max-age=31536000"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Encoding"] is None


def test_uploads_that_nobody_uses_have_a_quota_of_their_own(site, clock):
    """The newest always has room; the oldest go for it (RFC 8620 §6)."""
    account = site.user.account
    first = upload(site, b"a" * 5000)["blobId"]
    clock.now += 1
    second = upload(site, b"b" * 50)["blobId"]
    # As though there were as much as may be, but for what the second one takes.
    most = blobs.MOST_UNREFERENCED - 7050
    site.database.write(lambda tx: usage.add(tx, account, usage.UPLOADS, most))
    clock.now += 1
    third = upload(site, b"c" * 4000)["blobId"]
    found = [site.ask("GET", f"/jmap/download/a1/{one}/x").status for one in (first, second, third)]
    assert found == [404, 200, 200]


@pytest.mark.parametrize("media_type", ["text/plain", "text/plain; charset=iso-8859-1", "message/rfc822", "x/y"])
def test_type_is_what_the_client_says(site, media_type):
    """The type is neither guessed nor changed, in both directions."""
    blob = upload(site, b"<html>", Content_Type=media_type)
    assert blob["type"] == media_type
    answer = site.ask("GET", f"/jmap/download/a1/{blob['blobId']}/x?type={quote(media_type)}")
    assert answer.headers["Content-Type"] == media_type


def test_no_type(site):
    """Without a type it is octets."""
    blob = upload(site, b"<html>")
    assert blob["type"] == "application/octet-stream"
    for query in ("", "?type=", "?accept=text/html"):
        answer = site.ask("GET", f"/jmap/download/a1/{blob['blobId']}/x{query}")
        assert answer.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("bad", ["a%0d%0aSet-Cookie:x=y", "a%00b", "%C3%A9", "x" * 300])
def test_impossible_type(site, bad):
    """A type that can't stand in a header is refused."""
    blob = upload(site, b"x")
    answer = site.ask("GET", f"/jmap/download/a1/{blob['blobId']}/x?type={bad}")
    assert answer.status == 400
    assert answer.headers["Set-Cookie"] is None


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("plain.txt", 'attachment; filename="plain.txt"'),
        ('a"b\\c', 'attachment; filename="a\\"b\\\\c"'),
        ("Zoë.pdf", "attachment; filename=\"Zo_.pdf\"; filename*=UTF-8''Zo%C3%AB.pdf"),
        ("100%.txt", "attachment; filename=\"100%.txt\"; filename*=UTF-8''100%25.txt"),
        ("a/b//c", 'attachment; filename="a/b//c"'),
        ("/lead", 'attachment; filename="/lead"'),
        ("a\r\nSet-Cookie: x", "attachment; filename=\"a__Set-Cookie: x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x"),
        ("what?#&=.x", 'attachment; filename="what?#&=.x"'),
        ("{name}", 'attachment; filename="{name}"'),
        ("", "attachment"),
    ],
)
def test_names(site, name, header):
    """RFC 8620 §6.2: the name is the one of the URL, whatever characters it has."""
    blob = upload(site, b"x")
    answer = site.ask("GET", f"/jmap/download/a1/{blob['blobId']}/{quote(name, safe='')}?type=text/plain")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"] == header
    assert answer.headers["Set-Cookie"] is None


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_name_is_one_header(name):
    """No name can end a header, and every one is printable ASCII."""
    header = disposition(name)
    assert header.startswith("attachment")
    assert all(" " <= char <= "~" for char in header)


def test_conditional_and_head(site):
    """An ETag is answered with 304; HEAD has no body and the right length."""
    blob = upload(site, b"0123456789")
    url = f"/jmap/download/a1/{blob['blobId']}/x?type=text/plain"
    etag = site.ask("GET", url).headers["ETag"]
    again = site.ask("GET", url, If_None_Match=f'"other", W/{etag}')
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert site.ask("GET", url, If_None_Match='"other"').status == 200
    head = site.ask("HEAD", url)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "10")


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=5-4", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
    ],
)
def test_ranges(site, asked, status, body, content_range):
    """RFC 9110 §14: one range is given, an impossible one refused, anything else ignored."""
    blob = upload(site, b"0123456789")
    answer = site.ask("GET", f"/jmap/download/a1/{blob['blobId']}/x", Range=asked, Accept_Encoding="gzip")
    assert answer.status == status
    assert answer.headers["Content-Range"] == content_range
    assert body is None or answer.body == body
    assert answer.headers["Content-Encoding"] is None


def test_if_range(site):
    """RFC 9110 §13.1.5: a range of something else is all of this."""
    blob = upload(site, b"0123456789")
    url = f"/jmap/download/a1/{blob['blobId']}/x"
    assert site.ask("GET", url, Range="bytes=0-0", If_Range=f'"{blob["blobId"]}"').status == 206
    assert site.ask("GET", url, Range="bytes=0-0", If_Range='"other"').status == 200


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_ranges_against_slices(length, first, last):
    """A range is the slice it names."""
    octets = bytes(range(length))
    part = parse_range(f"bytes={first}-{last}", length)
    expected = octets[first : last + 1] if last >= first else None
    assert (None if part is None else octets[part.start : part.stop]) == expected


def test_foreign_and_unknown(site):
    """Nobody else's account, and nothing that is not in one's own: 404 with a problem document."""
    blob = upload(site, b"secret of alice")["blobId"]
    bob = site.database.write(lambda tx: add_user(tx, "bob@example.com", "Bob", "b", 0))
    as_bob = {"authorization": site.basic("bob@example.com", "b")}
    for path in (f"a1/{blob}/x", f"a{bob.account}/{blob}/x", f"a{bob.account}/nonsense/x", f"zz/{blob}/x"):
        answer = site.ask("GET", f"/jmap/download/{path}", **as_bob)
        assert answer.status == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
    for account in ("a1", "a99", "nonsense"):
        assert site.ask("POST", f"/jmap/upload/{account}", b"x", **as_bob).status == 404


def test_same_content_has_one_id(site):
    """Identical content may have the same id, and so it has; nothing at all is content too."""
    assert upload(site, b"twice")["blobId"] == upload(site, b"twice")["blobId"]
    empty = upload(site, b"")
    assert empty["size"] == 0
    assert site.ask("GET", f"/jmap/download/a1/{empty['blobId']}/x").body == b""


def chunks(octets):
    """Give the octets in pieces: http.client sends them chunked."""
    return (octets[at : at + 100_000] for at in range(0, len(octets), 100_000))


@pytest.mark.parametrize("send", [bytes, chunks])
def test_max_size_upload_is_exact(open_site, send):
    """The advertised size is taken, one octet more is not: 413 with the limit's name."""
    site = open_site(Limits(max_size_upload=3_000_000))
    octets = b"x" * 3_000_000
    assert site.ask("POST", "/jmap/upload/a1", send(octets)).json()["size"] == 3_000_000
    refused = site.ask("POST", "/jmap/upload/a1", send(octets + b"x"))
    assert refused.status == 413
    problem = refused.json()
    assert (problem["type"], problem["limit"]) == ("urn:ietf:params:jmap:error:limit", "maxSizeUpload")
    assert "3000000" in problem["detail"]


def test_the_default_limit(site):
    """50 MB of an upload are taken and given back; one octet more is refused."""
    octets = bytes(50_000_000)
    blob = upload(site, octets)
    assert blob["size"] == 50_000_000
    assert site.ask("GET", f"/jmap/download/a1/{blob['blobId']}/zeros").body == octets
    assert site.ask("POST", "/jmap/upload/a1", octets + b"x").status == 413


def test_concurrent_uploads(open_site):
    """Uploads that are still coming count: one beyond the limit is refused, with the limit's name."""
    site = open_site(Limits(max_concurrent_upload=2))
    head = f"POST /jmap/upload/a1 HTTP/1.1\r\nHost: x\r\nAuthorization: {site.basic()}\r\nContent-Length: 5\r\n\r\nabc"
    with site.raw(head.encode()), site.raw(head.encode()):
        for _ in range(1000):
            answer = site.ask("POST", "/jmap/upload/a1", b"x")
            if answer.status != 201:
                break
        assert answer.status == 429
        assert answer.json()["limit"] == "maxConcurrentUpload"
        assert site.api().status == 200


def test_all_uploads_together_are_bounded(open_site):
    """When strangers' uploads fill what may be held, the next is asked to come later, and smaller requests go on."""
    site = open_site(
        Limits(max_size_upload=1_000_000, max_concurrent_upload=1, max_size_request=10, max_concurrent_requests=1)
    )
    with site.raw() as one, site.raw() as two:
        for number, connection in enumerate((one, two)):
            connection.sendall(
                f"POST /jmap/upload/a1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {number}\r\n"
                "Content-Length: 1000000\r\n\r\n".encode()
            )
        for _ in range(1000):
            answer = site.ask("POST", "/jmap/upload/a1", b"x" * 1000)
            if answer.status != 201:
                break
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
        assert site.ask("GET", "/jmap/session").status == 200
