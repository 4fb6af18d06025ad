"""The engine's own verbs, called for an account without a request: what is exported is what JMAP shows.

Must not know any type.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from minijmap.jmap.call import Call, Snapshot, snapshot_of
from minijmap.jmap.datatype import DataType
from minijmap.jmap.engine import Engine
from minijmap.jmap.session import Login
from minijmap.store import documents

PAGE: Final = 100
"""Objects in memory at once."""


def run(engine: Engine, login: Login, snapshot: Snapshot, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Call a method in the login's own account, with every capability; return its answer. Raises MethodError."""
    method = engine.methods[name]
    using = frozenset(engine.capabilities)
    return method.handler(Call(engine, login, snapshot, {}, name, arguments, "0", using))


def objects(engine: Engine, login: Login, snapshot: Snapshot, data_type: DataType) -> Iterator[list[dict[str, Any]]]:
    """Yield all objects of a type, as /get shows them, page by page."""
    owner = login.credential if data_type.of_credential else login.accounts[0].account
    for ids in _ids(snapshot, data_type, owner):
        arguments = {"ids": ids} if data_type.of_credential else {"accountId": login.accounts[0].account_id, "ids": ids}
        answer = run(engine, login, snapshot, f"{data_type.name}/get", arguments)
        # Some of it may be JSON already.
        yield orjson.loads(orjson.dumps(answer["list"]))


def write(engine: Engine, login: Login, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Call a method that writes; it is on disk when this returns."""
    with snapshot_of(engine.database) as snapshot:
        return run(engine, login, snapshot, name, {"accountId": login.accounts[0].account_id, **arguments})


def _ids(snapshot: Snapshot, data_type: DataType, owner: int) -> Iterator[list[str]]:
    if data_type.singleton is not None:
        yield [data_type.singleton]
        return
    last = 0
    while keys := documents.keys_after(snapshot.reader(), data_type.collection, owner, last, PAGE):
        yield [data_type.id_of(key) for key in keys]
        last = keys[-1]
