"""People: users, passwords and app passwords, and how their secrets are kept."""

import base64
import hashlib

import pytest

from minijmap.store import accounts
from minijmap.store.accounts import NameTaken, UnknownName, User


@pytest.fixture
def tom(database) -> User:
    """Tom, whose password is `open sesame`."""
    return database.write(lambda tx: accounts.add_user(tx, " Tom@Example.COM ", "Tom", "open sesame", 1000))


def test_a_user_is_found_by_the_address(database, tom):
    """In whatever case it is typed; by key too, and in the list of all."""
    assert (tom.address, tom.name) == ("tom@example.com", "Tom")
    with database.read() as reader:
        assert accounts.find_user(reader, "TOM@example.com ") == tom
        assert accounts.need_user(reader, "tom@example.com") == tom
        assert accounts.get_user(reader, tom.key) == tom
        assert accounts.users(reader) == [tom]
        assert accounts.find_user(reader, "tim@example.com") is None
        assert accounts.get_user(reader, tom.key + 1) is None
        with pytest.raises(UnknownName, match=r"tim@example\.com"):
            accounts.need_user(reader, "Tim@example.com")
        assert reader.value("SELECT name FROM account WHERE key = ?", (tom.account,)) == "tom@example.com"


def test_an_address_is_one_persons(database, tom):
    """The second is refused by name, and nothing of it is kept."""
    with pytest.raises(NameTaken, match=r"tom@example\.com"):
        database.write(lambda tx: accounts.add_user(tx, "TOM@example.com", "Other", "x", 1000))

    with database.read() as reader:
        assert accounts.users(reader) == [tom]
        assert reader.value("SELECT count(*) FROM credential") == 1


def test_a_password_is_checked_and_replaced(database, tom):
    """Only the newest one signs in."""

    def right(password: str) -> bool:
        with database.read() as reader:
            credential = accounts.password_of(reader, tom)
        assert credential is not None
        assert (credential.user, credential.label) == (tom.key, None)
        return accounts.check_password(password, credential.secret)

    assert [right(one) for one in ("open sesame", "Open sesame", "", "open sesame ")] == [True, False, False, False]
    database.write(lambda tx: accounts.set_password(tx, tom, "päss wörd"))
    assert [right(one) for one in ("open sesame", "päss wörd")] == [False, True]


def test_a_password_is_kept_as_a_salted_hash():
    """The parameters are beside it, the password is not, and twice the same is not the same."""
    secret = accounts.hash_password("open sesame")
    kind, n, r, p, salt, digest = secret.split("$")

    assert (kind, n, r, p) == ("scrypt", "16384", "8", "1")
    assert (len(salt), len(digest)) == (24, 88)
    assert "sesame" not in secret
    assert accounts.hash_password("open sesame") != secret


def test_a_hash_of_other_parameters_is_checked_by_them():
    """Older hashes stay good when the cost is raised."""
    digest = base64.b64encode(hashlib.scrypt(b"x", salt=b"salt", n=2, r=8, p=1)).decode()
    secret = f"scrypt$2$8$1${base64.b64encode(b'salt').decode()}${digest}"

    assert accounts.check_password("x", secret) is True
    assert accounts.check_password("y", secret) is False


@pytest.mark.parametrize(
    "secret", ["", "scrypt", "scrypt$1", "sha256$" + "0" * 64, "plain$x$x$x$x$x", "scrypt$1$2$3$4$5$6"]
)
def test_what_is_no_hash_matches_nothing(secret):
    """An app password's digest is no password either."""
    assert accounts.check_password("x", secret) is False


def test_a_very_long_password_is_refused_unhashed():
    """1024 octets are hashed, one more is not; octets count, not characters."""
    longest = "x" * 1024
    assert accounts.check_password(longest, accounts.hash_password(longest))
    assert accounts.check_password("é" * 512, accounts.hash_password("é" * 512))
    for too_long in ("x" * 1025, "é" * 513):
        assert accounts.check_password(too_long, accounts.hash_password(too_long)) is False


def test_a_lone_surrogate_does_no_harm():
    """Whatever a client sends is a wrong password, not an error."""
    assert accounts.check_password("\ud800", accounts.hash_password("x")) is False
    assert accounts.hash_token("\ud800").startswith("sha256$")


def test_an_app_password_is_shown_once(database, tom):
    """It is found by itself alone, and kept as a digest."""
    token = database.write(lambda tx: accounts.add_token(tx, tom, "phone", 2000))

    assert token.startswith("mj-")
    assert len(token) == 3 + 32
    with database.read() as reader:
        found = accounts.find_token(reader, f" {token}\n")
        assert found is not None
        assert (found.user, found.label) == (tom.key, "phone")
        assert accounts.get_credential(reader, found.key) == found
        assert token not in found.secret
        assert accounts.find_token(reader, token + "x") is None
        assert accounts.find_token(reader, "open sesame") is None
        assert accounts.tokens(reader, tom) == [("phone", 2000)]


def test_an_app_password_is_revoked(database, tom):
    """It stops working at once; its label is free again; others and the password stay."""
    first = database.write(lambda tx: accounts.add_token(tx, tom, "phone", 1))
    second = database.write(lambda tx: accounts.add_token(tx, tom, "laptop", 2))
    with database.read() as reader:
        key = accounts.find_token(reader, first).key
    with pytest.raises(NameTaken, match="phone"):
        database.write(lambda tx: accounts.add_token(tx, tom, "phone", 3))
    database.write(lambda tx: accounts.revoke_token(tx, tom, "phone"))
    with pytest.raises(UnknownName, match="phone"):
        database.write(lambda tx: accounts.revoke_token(tx, tom, "phone"))

    with database.read() as reader:
        assert accounts.find_token(reader, first) is None
        assert accounts.get_credential(reader, key) is None
        assert accounts.find_token(reader, second) is not None
        assert accounts.password_of(reader, tom) is not None
    assert database.write(lambda tx: accounts.add_token(tx, tom, "phone", 4)) != first


def test_two_users_may_have_a_label_alike(database, tom):
    """A label is a user's own, and so is revoking it."""
    tim = database.write(lambda tx: accounts.add_user(tx, "tim@example.com", "Tim", "x", 1))
    toms = database.write(lambda tx: accounts.add_token(tx, tom, "phone", 1))
    database.write(lambda tx: accounts.add_token(tx, tim, "phone", 1))
    database.write(lambda tx: accounts.revoke_token(tx, tim, "phone"))

    with database.read() as reader:
        assert accounts.find_token(reader, toms).user == tom.key
        assert accounts.tokens(reader, tim) == []


def test_a_user_who_is_removed_is_gone(database, tom):
    """With credentials and the account; the next user gets keys that nobody had."""
    token = database.write(lambda tx: accounts.add_token(tx, tom, "phone", 1))
    database.write(lambda tx: tx.touch(tom.account, "Thing", tx.next_modseq(tom.account)))
    database.write(lambda tx: accounts.remove_user(tx, tom))

    with database.read() as reader:
        assert accounts.find_user(reader, tom.address) is None
        assert accounts.find_token(reader, token) is None
        for table, column in (("state", "account"), ("account", "key")):
            assert reader.value(f"SELECT count(*) FROM {table} WHERE {column} = ?", (tom.account,)) == 0
        assert reader.value("SELECT count(*) FROM credential") == 0
    again = database.write(lambda tx: accounts.add_user(tx, tom.address, "Tom", "y", 1))
    assert again.key > tom.key
    assert again.account > tom.account
