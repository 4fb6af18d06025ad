"""The ways of older versions and of programs, made those of vCard 4.0: line by line, and several lines together."""

import pytest

from minijmap.contacts.vcardlines import parse_line, text_of_line
from minijmap.contacts.vcardquirks import modernized
from tests.contacts.vcards import read

PNG = "iVBORw0KGgo="


def modern(*lines):
    """Lines as vCard 4.0 has them."""
    return [text_of_line(one) for one in modernized([parse_line(line.encode(), 0) for line in lines])]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("EMAIL;TYPE=INTERNET,PREF:mailto:a@b.example", "EMAIL;PREF=1:a@b.example"),
        ("EMAIL;TYPE=INTERNET;TYPE=home:a@b.example", "EMAIL;TYPE=home:a@b.example"),
        ("TEL;TYPE=main:1", "TEL;TYPE=main-number:1"),
        ("TEL;TYPE=mobile;PREF=3;TYPE=pref:1", "TEL;TYPE=cell;PREF=3:1"),
        ("GEO:52.5;-13.4", "GEO:geo:52.5,-13.4"),
        ("GEO:somewhere", "GEO:somewhere"),
        ("URL:www.example.org/a b", "URL:http://www.example.org/a%20b"),
        ("URL;VALUE=URL:https\\://example.org", "URL:https://example.org"),
        ("URL:nothing of the kind", "URL:nothing of the kind"),
        ("BDAY;X-APPLE-OMIT-YEAR=1604;VALUE=date:1604-02-29", "BDAY:--02-29"),
        ("BDAY:0000-08-30", "BDAY:--08-30"),
        ("BDAY:19700512T000000", "BDAY:19700512"),
        ("BDAY;VALUE=DATE-TIME:1970-05-12T00:00:00.000Z", "BDAY;VALUE=DATE-TIME:1970-05-12"),
        ("REV:2024-01-15T10:00:00Z(3)", "REV:2024-01-15T10:00:00Z"),
        (f"PHOTO;ENCODING=b;TYPE=PNG:{PNG}", f"PHOTO:data:image/png;base64,{PNG}"),
        (f"PHOTO;ENCODING=b;TYPE=image/png:{PNG}", f"PHOTO:data:image/png;base64,{PNG}"),
        (f"PHOTO;ENCODING=b;TYPE=X-EVOLUTION-UNKNOWN:{PNG[:4]} {PNG[4:]}", f"PHOTO:data:image/png;base64,{PNG}"),
        ("PHOTO;ENCODING=b:no base64!", "PHOTO;ENCODING=b:no base64!"),
        ("PHOTO;ENCODING=b:aGVsbG8=", "PHOTO;ENCODING=b:aGVsbG8="),
        ("PHOTO;VALUE=uri;TYPE=JPEG:http://a.example/x", "PHOTO;MEDIATYPE=image/jpeg:http://a.example/x"),
        ("KEY;TYPE=PGP:-----BEGIN PGP\\n", "KEY:data:application/pgp-keys,-----BEGIN%20PGP%0A"),
        ("X-AIM;TYPE=home:me", "SOCIALPROFILE;TYPE=home;SERVICE-TYPE=AIM;VALUE=text:me"),
        ("IMPP;X-SERVICE-TYPE=Skype:skype:me", "IMPP;SERVICE-TYPE=Skype:skype:me"),
        ("IMPP;TYPE=SIGNAL:+49176", "SOCIALPROFILE;SERVICE-TYPE=Signal;VALUE=text:+49176"),
        ("IMPP;TYPE=home,XMPP:xmpp:me@a.example", "IMPP;SERVICE-TYPE=XMPP;TYPE=home:xmpp:me@a.example"),
        ("IMPP;TYPE=WhatsApp:x-apple:%2B353", "SOCIALPROFILE;SERVICE-TYPE=WhatsApp;VALUE=text:+353"),
        ("X-SIP:me@a.example", "IMPP:sip:me@a.example"),
        ("X-SOCIALPROFILE;TYPE=pref,x;X-USER=me:x-apple:me", "SOCIALPROFILE;SERVICE-TYPE=x;VALUE=text;PREF=1:me"),
        (
            "X-SOCIAL-PROFILE;TYPE=x;X-USER=me:https://x.example/me",
            "SOCIALPROFILE;SERVICE-TYPE=x;USERNAME=me:https://x.example/me",
        ),
        ("X-MS-IMADDRESS:me@a.example", "SOCIALPROFILE;VALUE=text:me@a.example"),
        ("X-MS-TEL;VOICE;COMPANY:1", "TEL;TYPE=VOICE,COMPANY:1"),
        ("X-MS-MANAGER:Ida", "RELATED;VALUE=text;X-ABLABEL=manager:Ida"),
        ("X-EVOLUTION-SPOUSE:Ole", "RELATED;TYPE=spouse;VALUE=text:Ole"),
        ("X-MS-ANNIVERSARY:20040612", "ANNIVERSARY:20040612"),
        ("X-ABShowAs:COMPANY", "KIND:org"),
        ("X-ADDRESSBOOKSERVER-KIND:group", "KIND:group"),
        ("X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1", "MEMBER:1"),
        ("X-ANDROID-CUSTOM:vnd.android.cursor.item/nickname;Jo;1;;", "NICKNAME:Jo"),
        ("X-ANDROID-CUSTOM:vnd.android.cursor.item/contact_event;1970-05-12;3;;", "BDAY:1970-05-12"),
        (
            "X-ANDROID-CUSTOM:vnd.android.cursor.item/relation;Jo;13;;",
            "RELATED;TYPE=sibling;VALUE=text;X-ABLABEL=sister:Jo",
        ),
        ("X-ANDROID-CUSTOM:vnd.android.cursor.item/relation;Jo;0;Pate;", "RELATED;VALUE=text;X-ABLABEL=Pate:Jo"),
        ("X-ANDROID-CUSTOM:vnd.android.cursor.item/other;x", "X-ANDROID-CUSTOM:vnd.android.cursor.item/other;x"),
        ("X-ANYTHING;A=b:c", "X-ANYTHING;A=b:c"),
    ],
)
def test_a_line_is_made_that_of_vcard_4(old, new):
    """What says nothing that 4.0 knows stays as it is."""
    assert modern(old) == [new]


@pytest.mark.parametrize("line", ["PHOTO:", "X-AIM:", "X-SIP:", "X-SPOUSE:", "X-MANAGER:"])
def test_a_line_that_says_nothing_goes(line):
    """Exports are full of them."""
    assert modern(line) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("i.TEL:1", "i.X-ABLABEL:_$!<HomeFAX>!$_"), ["TEL;TYPE=home,fax:1"]),
        (("i.TEL:1", "i.X-ABLABEL:_$!<AppleWatch>!$_"), ["i.TEL:1", "i.X-ABLABEL:apple watch"]),
        (("i.EMAIL:a@b.c", "i.X-ABLABEL:_$!<Mobile>!$_"), ["i.EMAIL:a@b.c", "i.X-ABLABEL:mobile"]),
        (("i.EMAIL:a@b.c", "i.X-ABLABEL:Home"), ["i.EMAIL:a@b.c", "i.X-ABLABEL:Home"]),
        (("i.ADR:;;x", "i.X-ABADR:de"), ["ADR;CC=DE:;;x"]),
        (("i.ADR:;;x", "i.X-ABADR:Narnia"), ["i.ADR:;;x", "i.X-ABADR:Narnia"]),
        (("i.ADR:;;x", "i.X-ABADR:de", "i.X-ABLABEL:_$!<Work>!$_"), ["ADR;CC=DE;TYPE=work:;;x"]),
        (("i.X-ABDATE:2004-06-12", "i.X-ABLABEL:_$!<Anniversary>!$_"), ["ANNIVERSARY:2004-06-12"]),
        (("i.X-ABDATE:2004-06-12", "i.X-ABLABEL:Umzug"), ["i.X-ABDATE:2004-06-12", "i.X-ABLABEL:Umzug"]),
        (("i.X-ABRELATEDNAMES:Ida", "i.X-ABLABEL:_$!<Mother>!$_"), ["RELATED;VALUE=text;TYPE=parent;X-ABLABEL=mother:Ida"]),
        (("i.X-ABRELATEDNAMES:Ida", "i.X-ABLABEL:Pate"), ["RELATED;VALUE=text;X-ABLABEL=Pate:Ida"]),
        (("X-ABRELATEDNAMES:Ida",), ["RELATED;VALUE=text:Ida"]),
        (("ADR;TYPE=home:;;x", "LABEL;TYPE=HOME,pref:x y"), ["ADR;TYPE=home;LABEL=x y:;;x"]),
        (("ADR;TYPE=work:;;x", "LABEL;TYPE=home:y"), ["ADR;TYPE=work:;;x", "ADR;TYPE=home;LABEL=y:;;;;;;"]),
        (("N:b;a", "SORT-STRING:B"), ["N;SORT-AS=B:b;a"]),
        (("N:山田;太郎", "X-PHONETIC-LAST-NAME:やまだ"), ["N;ALTID=1:山田;太郎", "N;ALTID=1;PHONETIC=script;SCRIPT=Hira:やまだ;;;;"]),
        (("N:;a", "X-PHONETIC-LAST-NAME:x"), ["N:;a", "X-PHONETIC-LAST-NAME:x"]),
        (("UID:urn:uuid:2", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1"), ["UID:urn:uuid:2", "MEMBER:urn:uuid:1"]),
        (("X-EVOLUTION-LIST:TRUE", "EMAIL;X-EVOLUTION-DEST-CONTACT-UID=p1:A <a@b.c>"),
         ["X-EVOLUTION-LIST:TRUE", "KIND:group", "MEMBER:p1", "EMAIL;X-EVOLUTION-DEST-CONTACT-UID=p1:A <a@b.c>"]),
        (("VERSION:2.1", "ADR;HOME:;;Way 1, Apt 2", "ORG:A\\, B,C"), ["VERSION:2.1", "ADR;TYPE=HOME:;;Way 1\\, Apt 2", "ORG:A\\, B\\,C"]),
        (("VERSION:2.1", "TEL;CELL;X-Boot:1"), ["VERSION:2.1", "label2.TEL;TYPE=CELL:1", "label2.X-ABLABEL:Boot"]),
        (("VERSION:3.0", "TEL;TYPE=X-Boot:1"), ["VERSION:3.0", "TEL;TYPE=X-Boot:1"]),
        (("X-ANNIVERSARY:2004-06-12", "ANNIVERSARY:20040612"), ["ANNIVERSARY:2004-06-12"]),
    ],
)  # fmt: skip
def test_lines_are_read_together(old, new):
    """Labels, countries, formatted and spoken forms, lists; and what is no such thing."""
    assert modern(*old) == new


def test_the_lines_given_stay_as_they_are():
    """Whoever has them may need them as the program wrote them."""
    lines = [parse_line(one, 0) for one in (b"i.TEL;TYPE=pref:1", b"i.X-ABLabel:_$!<Home>!$_", b"BDAY:0000-08-30")]
    before = [text_of_line(one) for one in lines]
    modernized(lines)
    assert [text_of_line(one) for one in lines] == before


def test_a_photo_that_is_none_is_kept_as_it_is():
    """Nothing is lost, and no client is shown a picture that is none."""
    card = read("PHOTO;ENCODING=b:aGVsbG8=", version="3.0")
    assert "media" not in card
    assert card["vCardProps"] == [["photo", {"encoding": "b"}, "uri", "aGVsbG8="]]
