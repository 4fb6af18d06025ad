"""What to do so that an account has the objects that another had: which of them are there already, what is to be made.

An object that is there is left alone. Only while an account is as a new one is, what it has been given at its
beginning takes on what was kept: then it is the same account again. Must not know how any of that is done.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from minijmap.contacts.schema import DEFAULT_BOOK
from minijmap.jmap.datatype import REQUIRED, DataType
from minijmap.jmap.values import ValueProblem
from minijmap.mail.identity import default_identity
from minijmap.mail.mailbox import NEW_ACCOUNT

Object = Mapping[str, Any]


@dataclass
class Plan:
    """What becomes of the objects that were kept, by their ids then."""

    there: dict[str, str] = field(default_factory=dict)
    """Those that are there, and their ids now."""
    create: dict[str, dict[str, Any]] = field(default_factory=dict)
    update: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Those that are there, as they are to be; by their ids then, too."""
    destroy: list[str] = field(default_factory=list)
    """What is to go, by ids of now."""
    failures: dict[str, str] = field(default_factory=dict)

    def take_on(self, old: Object, new: Object, values: Mapping[str, Any]) -> None:
        """Have an object that is there become what was kept."""
        self.there[old["id"]] = new["id"]
        changed = {name: value for name, value in values.items() if new.get(name) != value}
        if changed:
            self.update[old["id"]] = changed


def checked(data_type: DataType, kept: Object) -> dict[str, Any]:
    """Return an object that was kept, with every property that a client may set. Raises ValueProblem."""
    values = dict(kept)
    for name, declared in data_type.properties.items():
        if declared.server_set and name != "id":
            continue
        if name not in values and (name == "id" or declared.default is REQUIRED):
            raise ValueProblem("must be there", name)
        try:
            values[name] = declared.kind.check(values[name]) if name in values else declared.default
        except ValueProblem as problem:
            raise problem.under(name) from None
    return values


def values_of(data_type: DataType, kept: Object) -> dict[str, Any]:
    """Return what a client may say of an object when it makes it."""
    names = (name for name, one in data_type.properties.items() if name != "id" and not one.server_set)
    return {name: kept[name] for name in names}


def by_name(data_type: DataType, kept: Iterable[Object], now: Iterable[Object], names: Sequence[str]) -> Plan:
    """Return the plan for objects that are known by some of their properties; of equals each stands for one."""
    plan = Plan()
    pool: dict[bytes, deque[Object]] = defaultdict(deque)
    for one in now:
        pool[_key(one, names)].append(one)
    for one in kept:
        same = pool[_key(one, names)]
        if same:
            plan.there[one["id"]] = same.popleft()["id"]
        else:
            plan.create[one["id"]] = values_of(data_type, one)
    return plan


def identities(data_type: DataType, kept: Sequence[Object], now: Sequence[Object], name: str) -> Plan:
    """Return the plan for Identities: that of the account's own address is the same one, wherever it moves to.

    `name` is the user's: an Identity that a new account has been given has it, and nothing else.
    """
    own_then, own_now = (next((one for one in these if one.get("mayDelete") is False), None) for these in (kept, now))
    others = [one for one in kept if one is not own_then or own_now is None]
    plan = by_name(data_type, others, [one for one in now if one is not own_now], ("email", "name"))
    if own_then is None or own_now is None:
        return plan
    untouched = {"id": own_now["id"], **default_identity(name, own_now["email"], may_delete=False)}
    values = {name: value for name, value in values_of(data_type, own_then).items() if name != "email"}
    plan.take_on(own_then, own_now, values if dict(own_now) == untouched else {})
    return plan


def books(data_type: DataType, kept: Sequence[Object], now: Sequence[Object], *, has_cards: bool) -> Plan:
    """Return the plan for AddressBooks: the only one of an account without cards becomes the default."""
    default = next((one for one in kept if one.get("isDefault") is True), None)
    if default is None or has_cards or len(now) != 1 or not _is_new_book(now[0]):
        return by_name(data_type, kept, now, ("name",))
    plan = by_name(data_type, [one for one in kept if one is not default], (), ("name",))
    plan.take_on(default, now[0], values_of(data_type, default))
    return plan


def _is_new_book(book: Object) -> bool:
    told = (book["name"], book["description"], book["sortOrder"], book["isSubscribed"])
    return told == (DEFAULT_BOOK, None, 0, True)


def mailboxes(data_type: DataType, kept: Sequence[Object], now: Sequence[Object], *, has_emails: bool) -> Plan:
    """Return the plan for Mailboxes, which are known by their role, or by their name and where they are.

    In `create` a parent comes before its children, and `parentId` is an id of now, or “#” and one of then.
    """
    plan = Plan()
    told = sorted((one["name"], one["role"], one["sortOrder"]) for one in now if one["role"] and not one["parentId"])
    is_new = not has_emails and len(now) == len(NEW_ACCOUNT) and told == sorted(NEW_ACCOUNT)
    roles = {one["role"]: one for one in now if one["role"]}
    places = {(one["parentId"], one["name"]): one for one in now if not is_new}
    for one in _top_down(kept, plan):
        parent = None if one["parentId"] is None else plan.there.get(one["parentId"], f"#{one['parentId']}")
        same = roles.get(one["role"]) or places.get((parent, one["name"]))
        values = {**values_of(data_type, one), "parentId": parent}
        if same is None:
            plan.create[one["id"]] = values
        elif is_new:
            plan.take_on(one, same, values)
        else:
            plan.there[one["id"]] = same["id"]
    if is_new:
        stay = set(plan.there.values())
        plan.destroy = [one["id"] for one in now if one["id"] not in stay and one["role"] != "inbox"]
    return plan


def _top_down(kept: Iterable[Object], plan: Plan) -> Iterable[Object]:
    """Yield each Mailbox after its parent. Those that have none here are failures."""
    children: dict[str | None, list[Object]] = defaultdict(list)
    for one in kept:
        children[one["parentId"]].append(one)
    left: deque[str | None] = deque([None])
    while left:
        for one in children.pop(left.popleft(), ()):
            yield one
            left.append(one["id"])
    plan.failures.update({one["id"]: "what it is in is not there." for lost in children.values() for one in lost})


def _key(one: Object, names: Sequence[str]) -> bytes:
    return orjson.dumps([one[name] for name in names])
