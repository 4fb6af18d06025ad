"""An account written into a folder and given back: the same account, in whatever account it comes to."""

import io
import json

import pytest

from minijmap.portable import exporting, filenames, restoring
from minijmap.portable.accountfile import AccountFile, BrokenFile

USING = (
    "urn:ietf:params:jmap:core",
    "urn:ietf:params:jmap:mail",
    "urn:ietf:params:jmap:contacts",
    "urn:ietf:params:jmap:sieve",
    "urn:ietf:params:jmap:vacationresponse",
)
BOB = "bob@example.com"
HOSTILE = ["../../etc", "a/b", "CON", "nul.txt", "Case", "case", "cur", "x" * 250, ".hidden", "e1.eml", "  ", "…\u202e"]


def export(house, folder, user="alice@example.com"):
    """Write a user's account into a folder."""
    return exporting.export(house.engine, house.users[user], folder, lambda _: None)


def restore(house, folder, user=BOB):
    """Give a folder to a user; return what was imported, what was there, and the failures."""
    done = list(restoring.restore(house.engine, house.users[user], folder, 50_000_000))
    return (
        sum(one.imported for one in done),
        sum(one.already_there for one in done),
        [f for d in done for f in d.failures],
    )


def objects(folder):
    """Return what account.json shows."""
    return json.loads((folder / "account.json").read_text())["objects"]


def fill(house):
    """Give Alice Mailboxes with all kinds of names, a message in each, a card and a script."""
    account = house.account()
    create = {f"k{number}": {"name": name, "sortOrder": number} for number, name in enumerate(HOSTILE) if name.strip()}
    create["inner"] = {"name": "inner", "parentId": "#k0", "isSubscribed": False}
    made = house.call("Mailbox/set", {"create": create})["created"]
    assert made.keys() == create.keys()
    for number, one in enumerate(made.values()):
        email = house.deliver(b"Subject: %d\r\n\r\nhello\r\n" % number)
        places = {one["id"]: True, house.mailbox("inbox"): True}
        house.call("Email/set", {"update": {email: {"mailboxIds": places, "keywords": {"$seen": True}}}})
    house.request(
        ["Blob/upload", {"accountId": account, "create": {"b": {"data": [{"data:asText": "keep;"}]}}}, "0"],
        [
            "SieveScript/set",
            {"accountId": account, "create": {"s": {"name": "rules", "blobId": "#b"}}, "onSuccessActivateScript": "#s"},
            "1",
        ],
        using=(*USING, "urn:ietf:params:jmap:blob"),
    )
    uri = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
    card = {"uid": "u1", "addressBookIds": {"ab1": True}, "name": {"full": "Zoe"}}
    answers = house.request(
        [
            "ContactCard/set",
            {"accountId": account, "create": {"c": card | {"media": {"m": {"kind": "photo", "uri": uri}}}}},
            "1",
        ],
        [
            "VacationResponse/set",
            {"accountId": account, "update": {"singleton": {"isEnabled": True, "subject": "x"}}},
            "2",
        ],
        using=USING,
    )
    assert [one[0] for one in answers] == ["ContactCard/set", "VacationResponse/set"]


def tree(folder):
    """Return each Mailbox's place in the tree, and what a client may set of it."""
    found = {one["id"]: one for one in objects(folder)["Mailbox"]}

    def path(one):
        return (*(path(found[one["parentId"]]) if one["parentId"] else ()), one["name"])

    return {one["id"]: (path(one), one["role"], one["sortOrder"], one["isSubscribed"]) for one in found.values()}


def test_a_round_trip_gives_the_same_account(house, tmp_path):
    """Mailboxes, Emails, a card with a picture and the VacationResponse are the same; a second time adds nothing."""
    fill(house)
    export(house, tmp_path / "a")
    imported, _, failures = restore(house, tmp_path / "a")
    assert (failures, imported > 0) == ([], True)
    again = restore(house, tmp_path / "a")
    assert (again[0], again[2]) == (0, [])
    export(house, tmp_path / "b", BOB)
    then, now = objects(tmp_path / "a"), objects(tmp_path / "b")
    trees = tree(tmp_path / "a"), tree(tmp_path / "b")
    assert sorted(map(repr, trees[0].values())) == sorted(map(repr, trees[1].values()))

    def shown(emails, places):
        fixed = ("blobId", "keywords", "receivedAt", "subject")
        return [[*(one[n] for n in fixed), sorted(places[m][0] for m in one["mailboxIds"])] for one in emails]

    assert shown(then["Email"], trees[0]) == shown(now["Email"], trees[1])
    own = {"id", "addressBookIds"}
    cards = [[{n: v for n, v in one.items() if n not in own} for one in these["ContactCard"]] for these in (then, now)]
    assert cards[0] == cards[1] != []
    assert then["VacationResponse"] == now["VacationResponse"]
    scripts = [[(one["name"], one["blobId"], one["isActive"]) for one in these["SieveScript"]] for these in (then, now)]
    assert scripts[0] == scripts[1]
    assert [one[2] for one in scripts[0]] == [True, False]


def test_messages_are_octet_for_octet_in_the_folder_of_their_first_mailbox(house, tmp_path):
    """Every path stays inside the folder, and no two are the same."""
    fill(house)
    export(house, tmp_path / "a")
    files = list((tmp_path / "a" / "mail").rglob("*.eml"))
    messages = [one for one in files if one.is_file()]
    assert len(messages) == len(objects(tmp_path / "a")["Email"])
    assert {one.read_bytes()[-7:] for one in messages} == {b"hello\r\n"}


def test_a_full_folder_is_refused(house, tmp_path):
    """Nothing of somebody's is mixed with an export."""
    (tmp_path / "there").touch()
    with pytest.raises(exporting.CannotExport, match="not empty"):
        export(house, tmp_path)


def test_a_broken_export_is_told(house, tmp_path):
    """Without account.json nothing is taken; of one that ends too early, what is there, and a failure."""
    fill(house)
    export(house, tmp_path / "a")
    file = tmp_path / "a" / "account.json"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 3 // 4])
    imported, _, failures = restore(house, tmp_path / "a")
    assert imported > 0
    assert len(failures) == 1
    file.rename(file.with_name("account.json.part"))
    assert restoring.is_export(tmp_path / "a")
    assert "broken off" in restore(house, tmp_path / "a")[2][0][1]


def test_file_names():
    """Names are safe on every system, and differ on a disk that knows no case."""
    names = filenames.file_names((str(number), name) for number, name in enumerate(HOSTILE)).values()
    assert len({name.casefold() for name in names}) == len(HOSTILE)
    assert all(filenames.is_safe(name) and len(name.encode()) <= 110 for name in names)
    assert not {"cur", "con", "e1.eml"} & {name.casefold() for name in names}
    assert not any(filenames.is_safe(path) for path in ("../x", "/etc", "a//b", "", "a/./b"))


@pytest.mark.parametrize(
    "octets", [b"", b"[]", b"{}", b'{"format": 1, "objects": {}}', b"[" * 100_000, b'{"a":"\xff"}']
)
def test_what_is_no_account_file_is_refused(octets):
    """With a sentence, whatever it is."""
    with pytest.raises(BrokenFile):
        list(AccountFile(io.BytesIO(octets)).items())
