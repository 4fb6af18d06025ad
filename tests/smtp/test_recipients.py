"""Whose an address is (RFC 5321 §4.1.2, §4.5.1)."""

import pytest

from minijmap.smtp.recipients import MOST_STEPS, Recipients
from minijmap.store.accounts import add_user
from minijmap.store.database import Database
from minijmap.store.schema import STORE_MIGRATIONS, migrate

USERS = ("alice@example.org", "bob@example.net", "c+d@example.org", "jörg@bücher.example", "eve@xn--mnchen-3ya.example")
ALIASES = {
    "sales@example.org": "bob@example.net",
    "help@shop.example": "sales@example.org",
    "*@shop.example": "alice@example.org",
    "alice@example.org": "bob@example.net",
    "post+box@example.org": "alice+post@example.org",
    "loop@example.org": "pool@example.org",
    "pool@example.org": "loop@example.org",
    "gone@example.org": "nobody@example.org",
    "*@void.example": "nobody@void.example",
    **{f"step{n}@example.org": f"step{n + 1}@example.org" for n in range(1, MOST_STEPS + 2)},
    f"step{MOST_STEPS + 2}@example.org": "alice@example.org",
}


@pytest.fixture(scope="module")
def find(tmp_path_factory):
    """Return a function from an address to the address of the user who has it."""
    path = tmp_path_factory.mktemp("recipients") / "minijmap.sqlite3"
    migrate(path, STORE_MIGRATIONS)
    database = Database(path)

    def find(address, aliases=ALIASES):
        with database.read() as reader:
            user = Recipients(aliases).find(reader, address)
            return None if user is None else user.address

    find.empty, find.database = find("postmaster"), database
    for address in USERS:
        database.write(lambda tx, address=address: add_user(tx, address, "", "secret", 0))
    yield find
    database.close()


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("alice@example.org", "alice@example.org"),
        ("ALICE@Example.ORG", "alice@example.org"),
        ("alice+tag@example.org", "alice@example.org"),
        ("alice+a+b@example.org", "alice@example.org"),
        ("alice+@example.org", "alice@example.org"),
        ('"alice"@example.org', "alice@example.org"),
        ('"al\\ice+x y"@example.org', "alice@example.org"),
        ("c+d@example.org", "c+d@example.org"),
        ("c+d+e@example.org", "c+d@example.org"),
        ("c@example.org", None),
        ("+alice@example.org", None),
        ("alice@example.net", None),
        ("alice", None),
        ("@example.org", None),
        ("", None),
        ('"@example.org', None),
        ("alice@example.org.", None),
    ],
)
def test_users_and_tags(find, address, user):
    """An address is its user's in any case and quoting, with any tag, and nobody else's."""
    assert find(address) == user


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("sales@example.org", "bob@example.net"),
        ("Sales+May@example.org", "bob@example.net"),
        ("help@shop.example", "bob@example.net"),
        ("anything@shop.example", "alice@example.org"),
        ("any.thing+tag@SHOP.example", "alice@example.org"),
        ("post+box@example.org", "alice@example.org"),
        ("post@example.org", None),
        ("loop@example.org", None),
        ("gone@example.org", None),
        ("x@void.example", None),
        ("step1@example.org", None),
        ("step9@example.org", "alice@example.org"),
        ("*@shop.example", "alice@example.org"),
        ("*@example.org", None),
    ],
)
def test_aliases_and_catch_alls(find, address, user):
    """An alias leads to its user, over a bounded number of steps, and never takes a user's own address away."""
    assert find(address) == user


@pytest.mark.parametrize(
    "address",
    [
        "postmaster",
        "Postmaster",
        "postmaster@example.org",
        "POSTMASTER@example.net",
        "postmaster+x@example.net",
        "postmaster@shop.example",
        "postmaster@xn--bcher-kva.example",
        "postmaster@bücher.example",
    ],
)
def test_postmaster_is_the_first_user(find, address):
    """RFC 5321 §4.5.1: postmaster at each of our domains, and without a domain."""
    assert find(address) == "alice@example.org"


def test_postmaster_elsewhere(find):
    """Another domain's postmaster is not ours; one that has a mailbox or an alias keeps it; nobody has it without users."""
    assert find("postmaster@remote.example") is None
    assert find("postmaster@example.org", {"postmaster@example.org": "bob@example.net"}) == "bob@example.net"
    assert find.empty is None


@pytest.mark.parametrize("local", ["jörg", "JÖRG", "jo\u0308rg", "jörg+tag"])
@pytest.mark.parametrize("domain", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"])
def test_domains_in_either_form(find, local, domain):
    """RFC 6531 §3.2: an internationalised domain is the same in U-labels and in A-labels."""
    assert find(f"{local}@{domain}") == "jörg@bücher.example"


def test_a_user_added_with_a_labels(find):
    """A user who was added by the domain's A-labels gets what is sent to its U-labels."""
    assert find("eve@münchen.example") == "eve@xn--mnchen-3ya.example"
    assert find("eve@" + "ü" * 80 + ".example") is None
    assert find("eve@xn--\u00fc.example") is None
    assert find("eve@xn--99999999999.example") is None


@pytest.mark.parametrize(
    ("address", "forms"),
    [
        ("Alice@Example.ORG", ["alice@example.org"]),
        ("a+b+c@example.org", ["a+b+c@example.org", "a+b@example.org", "a@example.org"]),
        ('"alice"@bücher.example', ["alice@xn--bcher-kva.example"]),
        ("*@example.org", ["*@example.org"]),
    ],
)
def test_the_forms_of_an_address(address, forms):
    """As it is compared, then without its tags."""
    assert Recipients({}).forms(address) == forms


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("nobody@example.org", True),
        ("nobody@EXAMPLE.net", True),
        ("nobody@shop.example", True),
        ("nobody@bücher.example", True),
        ("nobody@xn--bcher-kva.example", True),
        ("alice@sub.example.org", False),
        ("nobody@remote.example", False),
        ("Postmaster", False),
        ("a@[192.0.2.1]", False),
    ],
)
def test_whose_mail_comes_here(find, address, ours):
    """Every domain in which a user or an alias has an address, in whatever form it is written."""
    with find.database.read() as reader:
        assert Recipients(ALIASES).is_ours(reader, address) == ours
