"""Types whose objects belong to a credential and to no account (RFC 8620 §7.2), and capabilities that may change."""

import json

import pytest

from minijmap.jmap.datatype import DataType, Property
from minijmap.jmap.engine import Engine
from minijmap.jmap.methods import Family
from minijmap.jmap.session import CORE, Capability, Urls, login_of
from minijmap.jmap.values import Id, String
from minijmap.store import schema
from minijmap.store.accounts import User
from minijmap.store.database import Database
from minijmap.store.documents import Collection

KEEPSAKE = "urn:example:keepsake"
TABLE = """
    CREATE TABLE keepsake (key INTEGER PRIMARY KEY, keeper INTEGER NOT NULL, doc TEXT NOT NULL) STRICT;
"""


class KeepsakeType(DataType):
    """The smallest type of its kind: with hooks of its own for writing, since it has no states."""

    name = "Keepsake"
    capability = KEEPSAKE
    prefix = "k"
    collection = Collection("keepsake", "Keepsake", owner="keeper")
    of_credential = True
    verbs = ("get", "set")
    properties = {"id": Property(Id(), immutable=True, server_set=True), "name": Property(String(), default="")}

    def create(self, context, wanted):
        """Store it for the credential."""
        sql = "INSERT INTO keepsake (keeper, doc) VALUES (?, ?)"
        return context.tx.execute(sql, (context.account, json.dumps(wanted))).lastrowid, {}

    def destroy(self, context, key):
        """Remove it, if it is the credential's own."""
        context.tx.execute("DELETE FROM keepsake WHERE key = ? AND keeper = ?", (key, context.account))


@pytest.fixture
def colour():
    """Give what a capability tells, to be changed by a test."""
    return {"colour": "red"}


@pytest.fixture
def engine(tmp_path, colour):
    """Give an engine with keepsakes."""
    path = tmp_path / "file.sqlite3"
    schema.migrate(path, [*schema.STORE_MIGRATIONS, schema.Migration("keepsake-1", TABLE)])
    database = Database(path)
    opened = []
    family = Family((Capability(KEEPSAKE, lambda: dict(colour)),), types=(KeepsakeType(),), open=opened.append)
    yield Engine(database, [family])
    assert opened == [database]
    database.close()


def call(engine, name, arguments, credential=7):
    """Make one call; return name and arguments of the answer."""
    body = json.dumps({"using": [CORE, KEEPSAKE], "methodCalls": [[name, arguments, "c"]]}).encode()
    login = login_of(User(1, "alice@example.com", "Alice", 1), credential)
    return json.loads(engine.handle(login, body))["methodResponses"][0][:2]


def test_no_account_is_taken_and_none_returned(engine):
    """/get has no `accountId` and no `state`, /set no `oldState` and `newState`; all six members are there."""
    assert call(engine, "Keepsake/get", {}) == ["Keepsake/get", {"list": [], "notFound": []}]
    name, answer = call(engine, "Keepsake/set", {"create": {"a": {"name": "ring"}}})
    assert name == "Keepsake/set"
    assert set(answer) == {"created", "updated", "destroyed", "notCreated", "notUpdated", "notDestroyed"}
    assert answer["created"] == {"a": {"id": "k1"}}
    assert call(engine, "Keepsake/get", {"ids": None})[1]["list"] == [{"id": "k1", "name": "ring"}]


def test_each_credential_has_its_own(engine):
    """What another one has made is not there."""
    call(engine, "Keepsake/set", {"create": {"a": {}}})
    assert call(engine, "Keepsake/get", {}, credential=8)[1]["list"] == []
    assert call(engine, "Keepsake/get", {"ids": ["k1"]}, credential=8)[1]["notFound"] == ["k1"]


def test_without_a_credential_it_is_forbidden(engine):
    """There is nobody whose they would be."""
    for name in ("Keepsake/get", "Keepsake/set"):
        assert call(engine, name, {}, credential=0)[1]["type"] == "forbidden"


def test_a_capability_may_change_while_the_server_runs(engine, colour):
    """The Session tells what is so at this moment, and its state changes with it."""
    login = login_of(User(1, "alice@example.com", "Alice", 1), 7)
    urls = Urls("a", "b", "c", "d", "e", "f")
    before = json.loads(engine.session(login, urls))
    assert before["capabilities"][KEEPSAKE] == {"colour": "red"}
    assert engine.session_state(login) == before["state"]
    colour["colour"] = "blue"
    after = json.loads(engine.session(login, urls))
    assert after["capabilities"][KEEPSAKE] == {"colour": "blue"}
    assert engine.session_state(login) == after["state"] != before["state"]
    colour["colour"] = "red"
    assert engine.session_state(login) == before["state"]
