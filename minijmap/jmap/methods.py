"""The one table of methods: name → handler and capability.

It answers `unknownMethod`, feeds `minijmap methods` and the tests. A family (mail, contacts, …) brings its
capabilities, its types, whose standard verbs follow from their declarations, and the methods no declaration can say.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minijmap.jmap.call import Call
from minijmap.jmap.copying import copy
from minijmap.jmap.datatype import DataType
from minijmap.jmap.query import query, query_changes
from minijmap.jmap.session import CORE, Capability
from minijmap.jmap.setting import set_objects
from minijmap.jmap.standard import changes, get
from minijmap.store.database import Database
from minijmap.store.schema import Migration

Handler = Callable[[Call], dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """A method: its name on the wire, the capability it belongs to, and what answers it."""

    name: str
    capability: str
    handler: Handler


@dataclass(frozen=True)
class Family:
    """Capabilities, types and methods that belong together, and the steps that make their tables."""

    capabilities: Sequence[Capability]
    types: Sequence[DataType] = ()
    methods: Sequence[Method] = ()
    migrations: Sequence[Migration] = ()
    prepare: Callable[[sqlite3.Connection], None] | None = None
    """Registers the SQL functions that the family's statements use."""
    open: Callable[[Database], None] | None = None
    """Called once with the opened database, before any request: for what must be there from then on."""
    push_types: Sequence[str] = ()
    """Types that have a state and are pushed, but have no objects (RFC 8621 §1.5: EmailDelivery)."""


STANDARD: Mapping[str, Callable[[Call, DataType], dict[str, Any]]] = {
    "get": get,
    "changes": changes,
    "set": set_objects,
    "copy": copy,
    "query": query,
    "queryChanges": query_changes,
}


def echo(call: Call) -> dict[str, Any]:
    """Answer Core/echo (RFC 8620 §4)."""
    return dict(call.raw)


ECHO = Method("Core/echo", CORE, echo)


def method_table(families: Sequence[Family]) -> dict[str, Method]:
    """Return every method of the families, by name."""
    methods = [ECHO]
    for family in families:
        for data_type in family.types:
            methods += [_standard_method(data_type, verb) for verb in data_type.verbs]
        methods += family.methods
    return {method.name: method for method in methods}


def push_types(families: Sequence[Family]) -> frozenset[str]:
    """Return the names of all types that clients may be told of when they change (RFC 8620 §7.1)."""
    return frozenset(name for family in families for name in (*family.push_types, *(one.name for one in family.types)))


def _standard_method(data_type: DataType, verb: str) -> Method:
    answer = STANDARD[verb]
    return Method(f"{data_type.name}/{verb}", data_type.capability, lambda call: answer(call, data_type))
