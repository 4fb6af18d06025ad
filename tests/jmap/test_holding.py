"""Types whose objects keep blobs, and of which an account may have so many: two words of a type's declaration.

And what Blob/copy costs, which reads blobs as any method does (RFC 8620 §6.3).
"""

import pytest

from minijmap.jmap.engine import Engine, Limits
from minijmap.jmap.methods import Family
from minijmap.store import blobs, limits, usage
from minijmap.store.documents import Collection
from tests.jmap.toy import FAMILY, BoxType, ToyType

MOST = 3


class HeldToy(ToyType):
    """A Toy that keeps its name as a blob, and of which there are few."""

    holds_blobs = True
    collection = Collection("toy", "Toy", most=MOST)

    def create(self, context, wanted):
        """Store a Toy and its name."""
        key, more = super().create(context, wanted)
        self._keep(context, key, wanted["name"])
        return key, more

    def update(self, context, key, before, after):
        """Store another name."""
        blob = blobs.find(context.tx, context.account, blobs.pack(before["name"].encode()).blob_id)
        blobs.remove_use(context.tx, blob, context.account, self.name, key)
        self._keep(context, key, after["name"])
        return super().update(context, key, before, after)

    def _keep(self, context, key, name):
        blob = blobs.store(context.tx, blobs.pack(name.encode()))
        blobs.add_use(context.tx, blob, context.account, self.name, key)


@pytest.fixture
def held(nursery):
    """The nursery, with Toys that keep blobs, in an account of 20 octets."""
    family = Family(capabilities=FAMILY.capabilities, types=[HeldToy(), BoxType()])
    nursery.engine = Engine(nursery.database, [family], clock=lambda: nursery.now)
    nursery.database.write(lambda tx: limits.set_own(tx, int(nursery.own[1:]), 20))
    return nursery


def used(held, resource=usage.OCTETS):
    """What the account uses."""
    with held.database.read() as reader:
        return usage.used(reader, int(held.own[1:]), resource)


def test_what_does_not_fit_is_over_quota(held):
    """On create and on update, that object alone, with nothing of it left (RFC 8620 §5.3)."""
    create = {"a": {"name": "a" * 12}, "b": {"name": "b" * 9}, "c": {"name": "c" * 8}}
    answered = held.call("Toy/set", create=create)
    assert (list(answered["created"]), answered["notCreated"]["b"]["type"]) == (["a", "c"], "overQuota")
    assert (used(held), used(held, "Toy")) == (20, 2)
    a, c = (answered["created"][name]["id"] for name in ("a", "c"))
    answered = held.call("Toy/set", update={a: {"name": "A" * 13}, c: {"name": "C" * 7}})
    assert (list(answered["updated"]), answered["notUpdated"][a]["type"]) == ([c], "overQuota")
    assert (held.toy(a)["name"], used(held)) == ("a" * 12, 19)
    assert held.call("Toy/set", update={a: {"name": "A" * 13}})["notUpdated"] is None


def test_more_than_there_may_be_is_over_quota(held):
    """The number is kept as objects come and go, in whichever savepoint."""
    ids = held.add("a", "b", "c")
    answered = held.call("Toy/set", create={"d": {"name": "d"}, "e": {"name": "e"}})
    assert {one["type"] for one in answered["notCreated"].values()} == {"overQuota"}
    assert answered["notCreated"]["d"]["description"] == "An account may have 3 objects of the type Toy."
    answered = held.call("Toy/set", create={"x": {"name": "fail notFound"}}, destroy=[ids[0]])
    assert (answered["created"], answered["destroyed"], used(held, "Toy")) == (None, [ids[0]], 2)
    (last,) = held.add("f")
    # What is destroyed makes room for what the same call creates, and for no more than that.
    answered = held.call("Toy/set", create={"g": {"name": "g"}, "h": {"name": "h"}}, destroy=[last])
    assert (list(answered["created"]), list(answered["notCreated"]), used(held, "Toy")) == (["g"], ["h"], 3)


def test_who_holds_a_blob(held):
    """By its id, for the account that asks; another type's objects are not asked."""
    one, _ = held.add("same", "other")
    blob_id = blobs.pack(b"same").blob_id
    toys, boxes = held.engine.types["Toy"], held.engine.types["Box"]
    with held.database.read() as reader:
        found = toys.holders(reader, int(held.own[1:]), blob_id)
        assert [toys.id_of(key) for key in found] == [one]
        assert toys.holders(reader, int(held.second[1:]), blob_id) == []
        assert boxes.holders(reader, int(held.own[1:]), blob_id) == []
    assert (toys.holds_blobs, boxes.holds_blobs, boxes.shows_blobs) == (True, False, False)


def test_copying_ranges_has_a_bound(nursery):
    """What is copied whole costs nothing; ranges become blobs, of which a request makes so many octets."""
    nursery.engine = nursery.make_engine(limits=Limits(max_size_upload=50))
    packed = blobs.pack(b"x" * 90)
    account = int(nursery.own[1:])
    nursery.database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed), account, 0))
    whole = packed.blob_id
    ranges = [f"{whole}-0-60-n", f"{whole}-0-41-n", f"{whole}-50-40-n"]
    both = {"fromAccountId": nursery.own, "accountId": nursery.second}
    answered = nursery.call("Blob/copy", blobIds=[whole, *ranges], **both)
    assert list(answered["copied"]) == [whole, ranges[0], ranges[2]]
    assert answered["notCopied"][ranges[1]]["type"] == "rateLimit"
